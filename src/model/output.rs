//! From a network's output to probabilities, in the card's words: softmax, logits or sigmoid, with an optional temperature.
use super::card::{Card, OutputKind};
use super::check::check_count;
use anyhow::{Result, bail};

/// Probabilities, one a label. Computed in f64 and rounded once.
pub fn probabilities(values: &[f32], card: &Card, name: &str) -> Result<Vec<f32>> {
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        bail!("output `{name}` holds {} at position {at}: the model cannot judge this image, or is broken", values[at]);
    }
    check_count(card, values.len() as u64, &format!("`{name}`"))?;
    let temperature = card.output.temperature.unwrap_or(1.0);
    let unchanged = temperature == 1.0;
    Ok(match card.output.kind {
        OutputKind::Logits => softmax(values.iter().map(|&v| f64::from(v) / temperature)),
        OutputKind::Softmax if unchanged => values.to_vec(),
        OutputKind::Softmax => softmax(values.iter().map(|&p| f64::from(p).max(f64::MIN_POSITIVE).ln() / temperature)),
        OutputKind::Sigmoid => {
            let heated = |p: f64| 1.0 / (1.0 + ((1.0 - p) / p).powf(1.0 / temperature));
            let all: Vec<_> = values.iter().map(|&p| if unchanged { p } else { heated(p.into()) as f32 }).collect();
            if all.len() == 1 && card.labels.len() == 2 { vec![1.0 - all[0], all[0]] } else { all }
        }
    })
}

fn softmax(logits: impl Iterator<Item = f64> + Clone) -> Vec<f32> {
    let most = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<_> = logits.map(|l| (l - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| (p / sum) as f32).collect()
}
