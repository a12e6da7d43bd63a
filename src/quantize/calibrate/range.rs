//! From what was observed to the range that 256 steps cover: everything, or less of it for finer steps.
use super::Tensor;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the range of a tensor is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// From the smallest value to the largest.
    MinMax,
    /// All but one value in 100,000, split between both ends where there are two.
    Percentile,
    /// The range whose 128 steps keep the most information (Migacz, "8-bit Inference with `TensorRT`", GTC 2017).
    Entropy,
    /// The range with the least mean squared error.
    #[default]
    Mse,
}

impl Method {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [Self::Mse, Self::MinMax, Self::Percentile, Self::Entropy];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MinMax => "min-max",
            Self::Percentile => "percentile",
            Self::Entropy => "entropy",
            Self::Mse => "mse",
        })
    }
}

/// Share of the values that [`Method::Percentile`] leaves out.
const OUTSIDE: f64 = 1e-5;
/// Steps of an activation.
const STEPS: f32 = 255.0;
/// Ranges that are tried, from all down to this share of it.
const TRIED: usize = 40;
const LEAST: f32 = 0.3;
/// Levels of [`Method::Entropy`], and how many bins it is made of.
const LEVELS: usize = 128;
const FINE: usize = 2048;

/// Asymmetric uint8 over a range that holds zero: `real = (stored - zero) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    /// Width of a step.
    pub scale: f32,
    /// What zero is stored as.
    pub zero: u8,
}

impl Steps {
    /// Over the range from `low` to `high`, stretched to hold zero.
    pub fn over(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = ((high - low) / STEPS).max(f32::MIN_POSITIVE * STEPS);
        Self { scale, zero: (-low / scale).round_ties_even().clamp(0.0, STEPS) as u8 }
    }

    /// The value that is read where `value` was stored.
    pub fn rounded(self, value: f32) -> f32 {
        let zero = f32::from(self.zero);
        (((value / self.scale).round_ties_even() + zero).clamp(0.0, STEPS) - zero) * self.scale
    }
}

/// The range of a tensor by a method.
pub fn range(tensor: &Tensor, method: Method) -> (f32, f32) {
    let whole = (tensor.low, tensor.high);
    if method == Method::MinMax || whole.1 <= whole.0 {
        return whole;
    }
    let bins = tensor.histogram.filled();
    let (low, high) = match method {
        Method::MinMax => whole,
        Method::Percentile => percentile(&bins, whole),
        Method::Entropy => entropy(&bins, whole),
        Method::Mse => least_error(&bins, whole),
    };
    (low.max(whole.0), high.min(whole.1))
}

/// The range without the rarest values at either end.
fn percentile(bins: &[(f32, f64)], (low, high): (f32, f32)) -> (f32, f32) {
    let all: f64 = bins.iter().map(|(_, n)| n).sum();
    let has_two_ends = low < 0.0 && high > 0.0;
    let left_out = all * if has_two_ends { OUTSIDE / 2.0 } else { OUTSIDE };
    let end = |mut bins: Box<dyn Iterator<Item = &(f32, f64)> + '_>| {
        let mut seen = 0.0;
        let inside = bins.find(|(_, n)| {
            seen += n;
            seen > left_out
        });
        inside.map(|(value, _)| *value)
    };
    let lower = if low < 0.0 { end(Box::new(bins.iter())) } else { None };
    let upper = if high > 0.0 { end(Box::new(bins.iter().rev())) } else { None };
    (lower.unwrap_or(low), upper.unwrap_or(high))
}

/// Both ends together first, then each by itself.
fn least_error(bins: &[(f32, f64)], (low, high): (f32, f32)) -> (f32, f32) {
    let error = |(low, high): (f32, f32)| {
        let steps = Steps::over(low, high);
        bins.iter().map(|(value, n)| f64::from(steps.rounded(*value) - value).powi(2) * n).sum::<f64>()
    };
    let best = |tries: &mut dyn Iterator<Item = (f32, f32)>| {
        let mut best = (f64::INFINITY, (low, high));
        for range in tries {
            let error = error(range);
            if error < best.0 {
                best = (error, range);
            }
        }
        best.1
    };
    let (lower, upper) = best(&mut shares().map(|share| (low * share, high * share)));
    if low >= 0.0 || high <= 0.0 {
        return (lower, upper);
    }
    let (_, upper) = best(&mut shares().map(|share| (lower, high * share)).chain([(lower, upper)]));
    best(&mut shares().map(|share| (low * share, upper)).chain([(lower, upper)]))
}

/// From 1 down.
fn shares() -> impl Iterator<Item = f32> {
    (0..TRIED).map(|at| (at as f32 / (TRIED - 1) as f32).mul_add(LEAST - 1.0, 1.0))
}

/// Over magnitudes: the limit whose levels tell most of what the values tell.
fn entropy(bins: &[(f32, f64)], (low, high): (f32, f32)) -> (f32, f32) {
    let largest = high.max(-low);
    let mut fine = vec![0f64; FINE];
    for (value, n) in bins {
        let at = (value.abs() / largest * FINE as f32) as usize;
        fine[at.min(FINE - 1)] += n;
    }
    // Zeros say nothing about the limit, and there are as many of them as ReLU makes.
    fine[0] = fine.get(1).copied().unwrap_or_default();
    let best =
        (LEVELS..=FINE).step_by(LEVELS / 4).min_by(|&a, &b| divergence(&fine, a).total_cmp(&divergence(&fine, b)));
    let limit = largest * best.unwrap_or(FINE) as f32 / FINE as f32;
    (low.max(-limit), high.min(limit))
}

/// KL of the first `kept` bins, the rest added to the last of them, from the same in [`LEVELS`] levels.
fn divergence(fine: &[f64], kept: usize) -> f64 {
    let mut reference = fine[..kept].to_vec();
    reference[kept - 1] += fine[kept..].iter().sum::<f64>();
    let mut coarse = vec![0f64; kept];
    for level in 0..LEVELS {
        let part = level * kept / LEVELS..(level + 1) * kept / LEVELS;
        let filled = reference[part.clone()].iter().filter(|n| **n > 0.0).count().max(1) as f64;
        let mean = fine[part.clone()].iter().sum::<f64>() / filled;
        for at in part {
            coarse[at] = if reference[at] > 0.0 { mean } else { 0.0 };
        }
    }
    let (of_p, of_q) = (reference.iter().sum::<f64>(), coarse.iter().sum::<f64>());
    if of_q <= 0.0 {
        return f64::INFINITY;
    }
    let smallest = 1e-12;
    let term =
        |(p, q): (&f64, &f64)| if *p > 0.0 { p / of_p * ((p / of_p) / (q / of_q).max(smallest)).ln() } else { 0.0 };
    reference.iter().zip(&coarse).map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::calibrate::Histogram;

    fn tensor(values: &[f32]) -> Tensor {
        let mut histogram = Histogram::default();
        histogram.add(values);
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Tensor { low, high, channels: None, histogram }
    }

    /// 100,000 values from 0 to 1, evenly, and one of 20.
    fn with_an_outlier() -> Tensor {
        let mut values: Vec<f32> = (0..100_000).map(|at| at as f32 / 1e5).collect();
        values.push(20.0);
        tensor(&values)
    }

    #[test]
    fn each_method_keeps_what_it_promises() {
        let outlier = with_an_outlier();
        assert_eq!(range(&outlier, Method::MinMax), (0.0, 20.0));
        // One in 100,001 is left out; the bin's middle is what is known of the next.
        let (low, high) = range(&outlier, Method::Percentile);
        assert!(low == 0.0 && (high - 1.0).abs() < 0.01, "{high}");
        // Error of rounding, (r / 255)^2 / 12 for each of 100,000, against (20 - r)^2 once: least at r = 18.0.
        let (_, high) = range(&outlier, Method::Mse);
        assert!((high - 18.0).abs() < 0.5, "{high}");
        let (_, high) = range(&outlier, Method::Entropy);
        assert!(high < 3.0, "{high}");
    }

    #[test]
    fn ends_of_either_sign_are_chosen_apart() {
        let mut values: Vec<f32> = (0..20_000).map(|at| at as f32 / 1e4 - 1.0).collect();
        values.extend([-30.0; 3]);
        let (low, high) = range(&tensor(&values), Method::Mse);
        assert!(low < -10.0 && (high - 1.0).abs() < 0.05, "{low} {high}");
    }

    #[test]
    fn steps_hold_zero_exactly() {
        for (low, high) in [(0.0, 6.0), (-1.0, 3.0), (2.0, 5.0), (-5.0, -2.0), (0.0, 0.0)] {
            let steps = Steps::over(low, high);
            assert_eq!(steps.rounded(0.0), 0.0, "{low} {high}");
            assert!((steps.rounded(high) - high).abs() <= steps.scale, "{low} {high}");
        }
        assert_eq!(Steps::over(0.0, 6.0), Steps { scale: 6.0 / 255.0, zero: 0 });
        assert_eq!(Steps::over(0.0, 6.0).rounded(7.0), 6.0);
    }
}
