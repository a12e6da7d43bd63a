//! Grad-CAM (Selvaraju et al. 2017): a channel's weight is the mean of its gradient.
use super::super::Activations;
use super::Weights;

pub(super) fn weights(activations: &Activations) -> Weights {
    let mean = |gradient: ndarray::ArrayView2<f32>| {
        gradient.iter().map(|&g| f64::from(g)).sum::<f64>() / gradient.len() as f64
    };
    Weights::Channels(activations.gradient.outer_iter().map(mean).collect())
}
