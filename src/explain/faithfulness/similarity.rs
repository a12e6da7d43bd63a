//! The sanity check (Adebayo et al., "Sanity Checks for Saliency Maps", `NeurIPS` 2018, arXiv 1810.03292): with the head's weights drawn at
//! random a map has to become another one; a method whose map stays shows the picture's edges, not the network's reasons.
use crate::explain::Map;
use crate::explain::cam::normalised;
use anyhow::{Result, ensure};
use ndarray::{ArrayView2, s};
use serde::Serialize;
use std::iter::zip;

/// Side of the windows that SSIM compares, as in scikit-image.
const WINDOW: usize = 7;

/// How alike the map is to that of a network whose head is randomised. 1 is the same map, and bad; about 0 is another map. `None` where it
/// is not defined: one of the maps is one value all over, or too small.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Similarity {
    /// Correlation of the ranks of the values, -1 to 1; what the paper reports first.
    pub spearman: Option<f64>,
    /// Correlation of the values, -1 to 1.
    pub pearson: Option<f64>,
    /// Structural similarity of the maps brought to 0..1, -1 to 1; mean over windows of 7x7, or less where the maps are smaller. Maps
    /// that are smooth or mostly zero come out high; give maps at one size to compare.
    pub ssim: Option<f64>,
}

/// Compares two maps of one size.
pub fn similarity(map: &Map, randomised: &Map) -> Result<Similarity> {
    ensure!(map.dim() == randomised.dim(), "the maps are {:?} and {:?}", map.dim(), randomised.dim());
    ensure!(map.iter().chain(randomised).all(|value| value.is_finite()), "a map has values that are not finite");
    let values = |map: &Map| map.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let (a, b) = (values(map), values(randomised));
    let pearson = correlation(&a, &b);
    let spearman = correlation(&ranks(&a), &ranks(&b));
    let ssim = pearson.and_then(|_| ssim(&normalised(map), &normalised(randomised)));
    Ok(Similarity { spearman, pearson, ssim })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let constant = |values: &[f64]| values.iter().all(|value| *value == values[0]);
    if constant(a) || constant(b) {
        return None;
    }
    let (mean_a, mean_b) = (mean(a), mean(b));
    let [mut ab, mut aa, mut bb] = [0.0; 3];
    for (a, b) in zip(a, b) {
        ab += (a - mean_a) * (b - mean_b);
        aa += (a - mean_a).powi(2);
        bb += (b - mean_b).powi(2);
    }
    let correlation = ab / (aa.sqrt() * bb.sqrt());
    correlation.is_finite().then_some(correlation)
}

/// The rank of each value; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<_> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + (group.len() - 1) as f64 / 2.0;
        for &at in group {
            ranks[at] = rank;
        }
        first += group.len();
    }
    ranks
}

/// Wang et al. 2004 as scikit-image has it: uniform windows wholly inside, covariances of samples, a range of 1.
fn ssim(a: &Map, b: &Map) -> Option<f64> {
    const C1: f64 = 0.01 * 0.01;
    const C2: f64 = 0.03 * 0.03;
    let (height, width) = a.dim();
    let side = WINDOW.min(height).min(width);
    let side = side - usize::from(side.is_multiple_of(2));
    if side < 3 {
        return None;
    }
    let mut all = Vec::new();
    for y in 0..=height - side {
        for x in 0..=width - side {
            let window = s![y..y + side, x..x + side];
            let [mean_a, mean_b, aa, bb, ab] = moments(&a.slice(window), &b.slice(window));
            let luminance = (2.0 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1);
            all.push(luminance * (2.0 * ab + C2) / (aa + bb + C2));
        }
    }
    Some(mean(&all))
}

/// Means, variances and covariance of two windows.
fn moments(a: &ArrayView2<f32>, b: &ArrayView2<f32>) -> [f64; 5] {
    let values = |window: &ArrayView2<f32>| window.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let (a, b) = (values(a), values(b));
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let product = |pick: fn(f64, f64) -> f64| {
        zip(&a, &b).map(|(a, b)| pick(a - mean_a, b - mean_b)).sum::<f64>() / (a.len() - 1) as f64
    };
    [mean_a, mean_b, product(|a, _| a * a), product(|_, b| b * b), product(|a, b| a * b)]
}
