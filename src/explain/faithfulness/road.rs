//! ROAD, remove and debias (Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022, arXiv
//! 2202.00449): pixels are removed so that their shape tells nothing, filled in from their neighbours with a little noise.
use super::noise::Noise;
use super::{Probability, Subject, impute};
use crate::units::Progress;
use anyhow::{Result, ensure};
use ndarray::{Array2, Array3, Array4, Zip};
use serde::Serialize;

/// How much is removed, and the noise.
#[derive(Clone, Debug)]
pub struct RoadSettings {
    /// At percentile p the (100 - p) % hottest pixels go, then the (100 - p) % coldest.
    pub percentiles: Vec<f64>,
    /// Standard deviation of the noise on imputed pixels, over that of the tensor, so that it means the same for every card.
    /// (pytorch-grad-cam: 0.01 in the tensor's own unit, the same where the card brings pictures to a deviation of 1.)
    pub noise: f64,
    /// Seed of the noise; the same noise lies on every picture.
    pub seed: u64,
}

impl RoadSettings {
    /// Percentiles 20, 40, 60, 80 and a noise of 0.01.
    pub fn standard() -> Self {
        Self { percentiles: vec![20.0, 40.0, 60.0, 80.0], noise: 0.01, seed: 0 }
    }
}

/// One percentile. Pixels of one heat go together, so that more may be removed than was asked for; what would take them all (or a map
/// that is one value all over) spares the last heat instead, so that less is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RoadStep {
    /// The percentile.
    pub percentile: f64,
    /// The probability without the hottest pixels (most relevant first).
    pub morf: f64,
    /// Share of the pixels that were removed for it, 0 to 1.
    pub morf_removed: f64,
    /// The probability without the coldest pixels (least relevant first).
    pub lerf: f64,
    /// Share of the pixels that were removed for it, 0 to 1.
    pub lerf_removed: f64,
}

/// What became of the probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Road {
    /// The probability of the whole picture.
    pub whole: f64,
    /// Each percentile.
    pub steps: Vec<RoadStep>,
}

impl Road {
    fn mean(&self, value: fn(&RoadStep) -> f64) -> f64 {
        self.steps.iter().map(value).sum::<f64>() / self.steps.len() as f64
    }

    /// Mean change of the probability without the hottest pixels, -1 to 1. Lower is better.
    pub fn morf(&self) -> f64 {
        self.mean(|step| step.morf) - self.whole
    }

    /// Mean change of the probability without the coldest pixels, -1 to 1. Higher is better.
    pub fn lerf(&self) -> f64 {
        self.mean(|step| step.lerf) - self.whole
    }

    /// `(lerf - morf) / 2`, -0.5 to 0.5, as pytorch-grad-cam's `ROADCombined`. Higher is better; 0: the map orders pixels no better than chance.
    pub fn combined(&self) -> f64 {
        (self.lerf() - self.morf()) / 2.0
    }
}

/// Which end of a map is removed.
#[derive(Clone, Copy)]
enum End {
    Hottest,
    Coldest,
}

/// Removes and asks, `2 * percentiles + 1` times.
pub fn road(
    subject: &Subject,
    settings: &RoadSettings,
    probability: &mut Probability,
    progress: &mut dyn Progress,
) -> Result<Road> {
    ensure!(!settings.percentiles.is_empty(), "ROAD takes at least one percentile");
    for percentile in &settings.percentiles {
        ensure!((0.0..=100.0).contains(percentile), "percentile {percentile} is not within 0 to 100");
    }
    let field = noise(subject, settings);
    progress.start("pictures", 2 * settings.percentiles.len() as u64 + 1);
    let mut ask = |tensor: &Array4<f32>| -> Result<f64> {
        let answer = probability(tensor)?;
        progress.step()?;
        Ok(answer.into())
    };
    let whole = ask(subject.tensor)?;
    let mut steps = Vec::new();
    for &percentile in &settings.percentiles {
        let mut without = |end| -> Result<(f64, f64)> {
            let removed = removed(&subject.heat, percentile, end);
            let mut picture = subject.tensor.clone();
            let mut planes = subject.planes_of(&mut picture);
            impute(planes.view_mut(), &removed)?;
            for (mut plane, noise) in planes.outer_iter_mut().zip(field.outer_iter()) {
                let noisy =
                    |value: &mut f32, &noise: &f32, &removed: &bool| *value += if removed { noise } else { 0.0 };
                Zip::from(&mut plane).and(&noise).and(&removed).for_each(noisy);
            }
            let share = removed.iter().filter(|removed| **removed).count() as f64 / removed.len() as f64;
            Ok((ask(&picture)?, share))
        };
        let ((morf, morf_removed), (lerf, lerf_removed)) = (without(End::Hottest)?, without(End::Coldest)?);
        steps.push(RoadStep { percentile, morf, morf_removed, lerf, lerf_removed });
    }
    progress.finish();
    Ok(Road { whole, steps })
}

/// Noise for every pixel, `[3, H, W]`.
fn noise(subject: &Subject, settings: &RoadSettings) -> Array3<f32> {
    let planes = subject.planes();
    let deviation = planes.iter().map(|&value| f64::from(value)).collect::<ndarray::Array1<_>>().std(0.0);
    let mut noise = Noise::new(settings.seed);
    Array3::from_shape_simple_fn(planes.raw_dim(), || (noise.normal() * deviation * settings.noise) as f32)
}

/// The pixels that go: those at the percentile and beyond it.
fn removed(heat: &Array2<f32>, percentile: f64, end: End) -> Array2<bool> {
    let mut sorted: Vec<_> = heat.iter().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let (coldest, hottest) = (sorted[0], sorted[sorted.len() - 1]);
    match end {
        End::Hottest => {
            let threshold = at_percentile(&sorted, percentile);
            if threshold <= coldest.into() {
                return heat.mapv(|heat| heat > coldest);
            }
            heat.mapv(|heat| f64::from(heat) >= threshold)
        }
        End::Coldest => {
            let threshold = at_percentile(&sorted, 100.0 - percentile);
            if threshold >= hottest.into() {
                return heat.mapv(|heat| heat < hottest);
            }
            heat.mapv(|heat| f64::from(heat) <= threshold)
        }
    }
}

/// NumPy's percentile: linear between neighbours.
fn at_percentile(sorted: &[f32], percentile: f64) -> f64 {
    let at = (sorted.len() - 1) as f64 * (percentile / 100.0);
    let below = (at as usize).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    let [below, above, share] = [sorted[below].into(), sorted[above].into(), at - below as f64];
    below + (above - below) * share
}
