//! Score-CAM (Wang et al. 2020): a channel's weight is how well the class does on the picture seen through that channel alone.
use super::super::{Activations, Network};
use super::planes::{planes, planes_mut};
use super::upsample::{Corners, bilinear};
use super::{Question, Weights};
use crate::units::Progress;
use anyhow::{Context, Result};
use ndarray::{Array4, Zip};

/// Divisor of a channel that is one value all over, as in pytorch-grad-cam.
const EPSILON: f64 = 1e-8;

/// The softmax over channels of the scores; the paper's baseline score would cancel in it.
pub(super) fn weights(
    question: &Question,
    activations: &Activations,
    network: &mut dyn Network,
    tensor: &Array4<f32>,
    progress: &mut dyn Progress,
) -> Result<Weights> {
    let picture = planes(tensor, question.layout);
    let (_, height, width) = picture.dim();
    let mut masked = Array4::zeros(tensor.raw_dim());
    let mut score = |tensor: &Array4<f32>| -> Result<f64> {
        let scores = network.scores(tensor)?;
        let score = scores.get(question.class);
        Ok((*score.with_context(|| format!("the network has no class {}", question.class))?).into())
    };
    // A dead channel hides the whole picture; there are many after a ReLU, and their score is one and the same.
    let mut hidden: Option<f64> = None;
    let mut scores = Vec::with_capacity(activations.activation.len_of(ndarray::Axis(0)));
    progress.start("channels", activations.activation.len_of(ndarray::Axis(0)) as u64);
    for channel in activations.activation.outer_iter() {
        let mask = bilinear(&channel, height, width, Corners::Aligned);
        let least = mask.iter().copied().fold(f32::INFINITY, f32::min);
        let most = mask.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let span = f64::from(most) - f64::from(least);
        let value = match hidden {
            Some(value) if span == 0.0 => value,
            _ => {
                for (mut seen, plane) in
                    planes_mut(&mut masked, question.layout).outer_iter_mut().zip(picture.outer_iter())
                {
                    Zip::from(&mut seen).and(&plane).and(&mask).for_each(|seen, &pixel, &open| {
                        *seen = pixel * ((f64::from(open) - f64::from(least)) / (span + EPSILON)) as f32;
                    });
                }
                score(&masked)?
            }
        };
        if span == 0.0 {
            hidden = Some(value);
        }
        scores.push(value);
        progress.step()?;
    }
    progress.finish();
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<_> = scores.iter().map(|score| (score - most).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    Ok(Weights::Channels(exponentials.iter().map(|exponential| exponential / total).collect()))
}
