//! A Gaussian blur of the tensor, from which insertion starts.
use super::Subject;
use ndarray::{Array4, Axis};

/// The tensor blurred with a standard deviation of `share` of its shorter side. Beyond the edge the outermost value goes on, so that
/// edges do not darken.
pub(super) fn blurred(subject: &Subject, share: f64) -> Array4<f32> {
    let (_, height, width) = subject.planes().dim();
    let sigma = share * height.min(width) as f64;
    let mut picture = subject.tensor.clone();
    if sigma > 0.0 {
        let kernel = kernel(sigma);
        let mut planes = subject.planes_of(&mut picture);
        for axis in [Axis(1), Axis(2)] {
            for mut lane in planes.lanes_mut(axis) {
                let values: Vec<_> = lane.iter().map(|&value| f64::from(value)).collect();
                for (at, value) in lane.iter_mut().enumerate() {
                    *value = smoothed(&values, at, &kernel) as f32;
                }
            }
        }
    }
    picture
}

/// Weights at distances from 0 to three standard deviations; both sides together sum to 1.
fn kernel(sigma: f64) -> Vec<f64> {
    let radius = (3.0 * sigma).ceil() as usize;
    let mut weights: Vec<_> = (0..=radius).map(|d| (-0.5 * (d as f64 / sigma).powi(2)).exp()).collect();
    let total = 2.0 * weights.iter().sum::<f64>() - weights[0];
    for weight in &mut weights {
        *weight /= total;
    }
    weights
}

fn smoothed(values: &[f64], at: usize, kernel: &[f64]) -> f64 {
    let last = values.len() - 1;
    let pair = |distance: usize| values[at.saturating_sub(distance)] + values[(at + distance).min(last)];
    kernel[0] * values[at] + (1..kernel.len()).map(|distance| kernel[distance] * pair(distance)).sum::<f64>()
}
