//! XGrad-CAM (Fu et al. 2020): a channel's weight is the mean of its gradient, each element counting as much as its activation.
use super::super::Activations;
use super::Weights;
use std::iter::zip;

/// Makes a dead channel's weight 0, as in pytorch-grad-cam.
const EPSILON: f64 = 1e-7;

pub(super) fn weights(activations: &Activations) -> Weights {
    let channels = zip(activations.activation.outer_iter(), activations.gradient.outer_iter());
    let weight = |(activation, gradient): (ndarray::ArrayView2<f32>, ndarray::ArrayView2<f32>)| {
        let total: f64 = activation.iter().map(|&a| f64::from(a)).sum();
        let product: f64 = zip(activation, gradient).map(|(&a, &g)| f64::from(a) * f64::from(g)).sum();
        product / (total + EPSILON)
    };
    Weights::Channels(channels.map(weight).collect())
}
