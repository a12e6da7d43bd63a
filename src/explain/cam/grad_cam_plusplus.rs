//! Grad-CAM++ (Chattopadhay et al. 2018): positive gradients, each weighed by alpha of the paper's equation 19.
//!
//! That equation takes the score as exp(S), so that second and third derivatives are powers of the first.
use super::super::Activations;
use super::Weights;
use std::iter::zip;

/// Keeps alpha finite where both terms of its denominator are 0, as in pytorch-grad-cam.
const EPSILON: f64 = 1e-6;

pub(super) fn weights(activations: &Activations) -> Weights {
    let channels = zip(activations.activation.outer_iter(), activations.gradient.outer_iter());
    let weight = |(activation, gradient): (ndarray::ArrayView2<f32>, ndarray::ArrayView2<f32>)| -> f64 {
        let total: f64 = activation.iter().map(|&a| f64::from(a)).sum();
        let positive = gradient.iter().map(|&g| f64::from(g)).filter(|&g| g > 0.0);
        positive.map(|g| g * (g * g / (2.0 * g * g + total * g * g * g + EPSILON))).sum()
    };
    Weights::Channels(channels.map(weight).collect())
}
