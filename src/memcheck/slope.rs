//! Whether memory grows from request to request: a straight line through what was left after each, with a confidence interval.
use super::Requests;
use crate::memory::Step;
use crate::units::Bytes;
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::time::Duration;

/// The first requests fill caches and arenas; this part of them is left out.
const WARM_UP: f64 = 0.2;
/// A line through fewer points tells nothing.
const FEWEST: usize = 8;

/// What `steps` show; `left` is the budget that is not used yet. The slope is no number when they are too few, and there is nothing without any.
pub fn requests(steps: &[Step], left: Bytes) -> Option<Requests> {
    if steps.is_empty() {
        return None;
    }
    let settled = &steps[(steps.len() as f64 * WARM_UP).ceil() as usize..];
    let memory: Vec<f64> = settled.iter().map(|step| step.anon.0 as f64).collect();
    let (slope, margin) = if memory.len() < FEWEST { (f64::NAN, f64::NAN) } else { line(&memory) };
    let mut times: Vec<Duration> = steps.iter().map(|step| step.elapsed).collect();
    times.sort_unstable();
    let mut requests = Requests {
        count: steps.len(),
        slope,
        ci95: (slope - margin, slope + margin),
        median: times[times.len() / 2],
        slowest: times[times.len() - 1],
        until_full: None,
    };
    if requests.leaks() {
        requests.until_full = Some((left.0 as f64 / slope) as u64);
    }
    Some(requests)
}

/// Slope of the least-squares line through equally spaced values, and half its 95 % confidence interval (Student's t, n - 2 degrees of freedom).
fn line(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let (middle, mean) = ((n - 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let spread = n * (n * n - 1.0) / 12.0; // sum of (x - middle)² for x in 0..n
    let slope = values.iter().zip(0u32..).map(|(y, x)| (f64::from(x) - middle) * (y - mean)).sum::<f64>() / spread;
    let residual = |(y, x): (&f64, u32)| (y - mean - slope * (f64::from(x) - middle)).powi(2);
    let error = (values.iter().zip(0u32..).map(residual).sum::<f64>() / (n - 2.0) / spread).sqrt();
    let quantile = StudentsT::new(0.0, 1.0, n - 2.0).map_or(f64::INFINITY, |t| t.inverse_cdf(0.975));
    (slope, quantile * error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(anon: impl Fn(u64) -> u64) -> Vec<Step> {
        let step = |i| Step { elapsed: Duration::from_millis(10 + i % 3), anon: Bytes(anon(i)) };
        (0..50).map(step).collect()
    }

    #[test]
    fn a_leak_is_its_size_and_says_when_the_budget_is_used_up() {
        let noise = |i: u64| i.wrapping_mul(2_654_435_761) % 4096;
        let found = requests(&steps(|i| (40 << 20) + (i << 20) + noise(i)), Bytes::mb(100)).unwrap();
        assert!((found.slope - f64::from(1 << 20)).abs() < 500.0, "{found:?}");
        assert!(found.leaks() && found.until_full == Some(100) || found.until_full == Some(99), "{found:?}");
        assert!(found.ci95.0 < found.slope && found.slope < found.ci95.1);
    }

    #[test]
    fn growth_that_ends_with_the_warm_up_is_no_leak() {
        let found = requests(&steps(|i| (40 << 20) + (i.min(9) << 20)), Bytes::mb(100)).unwrap();
        assert!(!found.leaks() && found.until_full.is_none(), "{found:?}");
        assert_eq!((found.count, found.median.as_millis(), found.slowest.as_millis()), (50, 11, 12));
    }

    /// By the textbook's formulas in another language; Student's t with 8 degrees of freedom has its 97.5 % point at 2.306004.
    #[test]
    fn the_interval_is_the_textbooks() {
        let (slope, margin) = line(&[1.0, 3.0, 2.0, 5.0, 4.0, 6.0, 8.0, 7.0, 9.0, 8.0]);
        assert!((slope - 0.854_545_45).abs() < 1e-7, "{slope}");
        assert!((margin - 0.251_564_09).abs() < 1e-6, "{margin}");
    }

    #[test]
    fn a_handful_of_requests_tells_times_but_no_growth() {
        let few = requests(&steps(|i| i << 30)[..9], Bytes::mb(1)).unwrap();
        assert!(few.slope.is_nan() && !few.leaks() && few.until_full.is_none(), "{few:?}");
        assert_eq!((few.count, few.median.as_millis()), (9, 11));
        assert_eq!(requests(&[], Bytes::mb(1)), None);
    }
}
