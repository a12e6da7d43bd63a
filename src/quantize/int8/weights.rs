//! Weights in 8 bits: symmetric, a scale for each output channel; rounded so that what a kernel sums up to stays, and what is left goes into the bias.
//!
//! A convolution's taps see nearly the same values (pictures are smooth), so it is the error of their sum that shows in its answer. Measured on
//! ham-mobilenetv2 (weights alone in int8, KL of the answers to float32): rounded to nearest 0.300, sums kept 0.146, bias corrected 0.0016, both 0.0005.

use crate::quantize::small::LARGEST;

/// Two products of neighbours are added in 16 bits where the CPU has no VNNI, and 255 x 128 still fits.
const LARGEST_PAIR: f32 = 128.0;
/// A bias is stored in 32 bits.
const LARGEST_BIAS: f64 = 2_147_483_000.0;

/// Weights seen as `[outer, channels, inner]` for scales, each channel's kernels lying one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Output channels.
    pub channels: usize,
    /// Inputs of a channel.
    pub inputs: usize,
    /// Taps of a kernel: neighbours that see nearly the same; 1 for linear layers.
    pub taps: usize,
    /// Whether the output channel is the last axis (`[inputs, channels]`) instead of the first.
    pub is_last: bool,
}

impl Form {
    /// Where weight number `at` of a channel lies.
    fn place(self, channel: usize, at: usize) -> usize {
        if self.is_last { at * self.channels + channel } else { channel * self.inputs * self.taps + at }
    }

    /// The channel of the weight that lies at a place.
    pub fn channel(self, place: usize) -> usize {
        if self.is_last { place % self.channels } else { place / (self.inputs * self.taps) }
    }
}

/// How weights are bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bound {
    /// By 8 bits.
    #[default]
    Full,
    /// So that no pair of products leaves 16 bits, whatever the CPU (`--no-saturation`).
    Pairs,
}

/// Weights in 8 bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounded {
    /// In the order of the source.
    pub values: Vec<i8>,
    /// For each output channel.
    pub scales: Vec<f32>,
    /// For each output channel and input, how much the sum of its taps has grown.
    pub growth: Vec<Vec<f64>>,
}

/// Rounds weights. `least` bounds each channel's scale from below: a bias in 32 bits has to fit steps of the product of both scales.
pub fn rounded(weights: &[f32], form: Form, bound: Bound, least: &[f32]) -> Rounded {
    let length = form.inputs * form.taps;
    let mut values = vec![0i8; weights.len()];
    let (mut scales, mut growth) = (Vec::new(), Vec::new());
    for channel in 0..form.channels {
        let kernels: Vec<f32> = (0..length).map(|at| weights[form.place(channel, at)]).collect();
        let scale = scale(&kernels, bound).max(least.get(channel).copied().unwrap_or_default());
        let mut of_inputs = Vec::with_capacity(form.inputs);
        for (input, kernel) in kernels.chunks(form.taps.max(1)).enumerate() {
            let steps = kept_sum(kernel, scale);
            let before: f64 = kernel.iter().map(|&weight| f64::from(weight)).sum();
            let after: f64 = steps.iter().map(|&step| f64::from(step) * f64::from(scale)).sum();
            of_inputs.push(after - before);
            for (tap, step) in steps.into_iter().enumerate() {
                values[form.place(channel, input * form.taps + tap)] = step as i8;
            }
        }
        scales.push(scale);
        growth.push(of_inputs);
    }
    Rounded { values, scales, growth }
}

fn scale(kernels: &[f32], bound: Bound) -> f32 {
    let (mut first, mut second) = (0f32, 0f32);
    for weight in kernels.iter().map(|weight| weight.abs()) {
        if weight > first {
            (first, second) = (weight, first);
        } else if weight > second {
            second = weight;
        }
    }
    let scale = match bound {
        Bound::Full => first / LARGEST,
        // Each may be rounded up by half a step.
        Bound::Pairs => (first / LARGEST).max((first + second) / (LARGEST_PAIR - 1.0)),
    };
    if scale > 0.0 { scale } else { 1.0 }
}

/// Each weight in steps, rounded to the nearest but for those that bring the sum to its nearest.
fn kept_sum(kernel: &[f32], scale: f32) -> Vec<f32> {
    let exact: Vec<f32> = kernel.iter().map(|weight| (weight / scale).clamp(-LARGEST, LARGEST)).collect();
    let mut steps: Vec<f32> = exact.iter().map(|value| value.round_ties_even()).collect();
    if kernel.len() < 2 {
        return steps;
    }
    let excess: f32 = steps.iter().zip(&exact).map(|(step, value)| step - value).sum();
    let count = excess.round_ties_even();
    // Those that were rounded farthest the wrong way cost least.
    let mut order: Vec<usize> = (0..steps.len()).collect();
    let gain = |at: usize| (steps[at] - exact[at]) * count.signum();
    // The largest stays what it is: by it the scale is known.
    order.retain(|&at| steps[at].abs() < LARGEST);
    order.sort_by(|&a, &b| gain(b).total_cmp(&gain(a)));
    for at in order.into_iter().take(count.abs() as usize) {
        steps[at] = (steps[at] - count.signum()).clamp(-LARGEST, LARGEST);
    }
    steps
}

/// What each channel's bias has to give back: the growth of its weights times what its inputs are on average. `inputs_of` says which input channels a
/// channel sees.
pub fn drift(rounded: &Rounded, mean: &[f64], first_input: impl Fn(usize) -> usize) -> Vec<f64> {
    let of_channel = |(channel, growth): (usize, &Vec<f64>)| {
        let first = first_input(channel);
        growth.iter().enumerate().map(|(at, grown)| grown * mean.get(first + at).copied().unwrap_or_default()).sum()
    };
    rounded.growth.iter().enumerate().map(of_channel).collect()
}

/// The least scale of each channel's weights with which its bias fits 32 bits.
pub fn least_scales(bias: &[f32], input_scale: f32) -> Vec<f32> {
    bias.iter().map(|bias| (f64::from(bias.abs()) / LARGEST_BIAS / f64::from(input_scale)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTHWISE: Form = Form { channels: 2, inputs: 1, taps: 3, is_last: false };

    #[test]
    fn sums_of_taps_stay_within_half_a_step() {
        // Steps of 0.01: three times 0.3 of a step rounds to nothing, while their sum is nearly one.
        let weights = [1.27, 0.003, 0.003, -1.27, 0.004, 0.004];
        let found = rounded(&weights, DEPTHWISE, Bound::Full, &[]);
        assert_eq!(found.values, [127, 1, 0, -127, 1, 0]);
        for (channel, growth) in found.growth.iter().enumerate() {
            assert!(growth[0].abs() <= f64::from(found.scales[channel]) / 2.0, "{growth:?}");
        }
        // One that holds its mean over 10: 0.004 * 10 in the first channel.
        let drifts = drift(&found, &[10.0, -5.0], |channel| channel);
        assert!((drifts[0] - 0.04).abs() < 1e-5 && (drifts[1] + 0.01).abs() < 1e-5, "{drifts:?}");
    }

    #[test]
    fn channels_of_a_linear_layer_lie_across() {
        // [inputs, channels] = [2, 3].
        let weights = [1.0, 20.0, 0.0, -2.0, 10.0, 0.0];
        let form = Form { channels: 3, inputs: 2, taps: 1, is_last: true };
        let found = rounded(&weights, form, Bound::Full, &[]);
        assert_eq!(found.values, [64, 127, 0, -127, 64, 0]);
        assert_eq!(found.scales, [2.0 / 127.0, 20.0 / 127.0, 1.0]);
    }

    #[test]
    fn no_pair_of_products_leaves_16_bits() {
        let weights = [1.0, 1.0, -1.0, 0.5, 0.3, 0.01];
        let found = rounded(&weights, DEPTHWISE, Bound::Pairs, &[]);
        for kernel in found.values.chunks(3) {
            let mut sizes: Vec<i32> = kernel.iter().map(|v| i32::from(v.unsigned_abs())).collect();
            sizes.sort_unstable();
            assert!(255 * (sizes[2] + sizes[1]) <= 32767, "{kernel:?}");
        }
    }

    #[test]
    fn a_large_bias_makes_larger_steps() {
        let least = least_scales(&[0.0, 1e6], 1e-6);
        let found = rounded(&[1e-6; 6], DEPTHWISE, Bound::Full, &least);
        assert!(1e6 / (f64::from(found.scales[1]) * 1e-6) < 2f64.powi(31), "{:?}", found.scales);
        assert_eq!(found.scales[0], 1e-6 / 127.0);
    }
}
