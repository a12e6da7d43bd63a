//! Average drop and increase in confidence (Chattopadhay et al., "Grad-CAM++", WACV 2018, arXiv 1710.11063): how much of the probability
//! is left when only the hot parts of the picture are shown?
use super::{Baseline, Probability, Subject};
use crate::explain::cam::normalised;
use anyhow::Result;
use serde::Serialize;

/// The probability of the whole picture and of its hot parts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Confidence {
    /// Of the whole picture.
    pub whole: f64,
    /// Of the picture seen through the map, each pixel as strongly as it is hot.
    pub masked: f64,
}

impl Confidence {
    /// What is lost, as a share of what there was: 0 (nothing, or it even rose) to 1. Lower is better.
    pub fn drop(self) -> f64 {
        if self.whole > 0.0 { (self.whole - self.masked).max(0.0) / self.whole } else { 0.0 }
    }

    /// Whether it rose: what is cold only spoke against the class.
    pub fn increased(self) -> bool {
        self.masked > self.whole
    }
}

/// Both over several pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AverageDrop {
    /// Mean of [`Confidence::drop`], 0 to 1. Lower is better.
    pub drop: f64,
    /// Share of the pictures where the probability rose, 0 to 1. Higher is better.
    pub increase: f64,
}

/// Shows the network the picture through the map, brought to 0..1: `baseline + heat * (pixel - baseline)`. Two runs.
///
/// [`Baseline::Zero`] is what pytorch-grad-cam computes; it gives the drop as a difference of probabilities, the paper as a share.
pub fn confidence(subject: &Subject, baseline: Baseline, probability: &mut Probability) -> Result<Confidence> {
    let whole = probability(subject.tensor)?.into();
    let heat = normalised(&subject.heat);
    let fill = baseline.of(&subject.planes());
    let mut picture = subject.tensor.clone();
    for (mut plane, fill) in subject.planes_of(&mut picture).outer_iter_mut().zip(fill) {
        plane.zip_mut_with(&heat, |value, &heat| *value = fill + heat * (*value - fill));
    }
    Ok(Confidence { whole, masked: probability(&picture)?.into() })
}

/// The mean over pictures; `None` of none.
pub fn average(pictures: &[Confidence]) -> Option<AverageDrop> {
    let mean = |value: fn(Confidence) -> f64| pictures.iter().copied().map(value).sum::<f64>() / pictures.len() as f64;
    let increase = |confidence: Confidence| f64::from(u8::from(confidence.increased()));
    (!pictures.is_empty()).then(|| AverageDrop { drop: mean(Confidence::drop), increase: mean(increase) })
}
