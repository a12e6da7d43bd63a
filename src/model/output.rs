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
    check_kind(values, card.output.kind, name)?;
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

/// How far from [0, 1], or their sum from 1, probabilities may lie: what half precision and eight bits make of them.
const ROUNDING: f64 = 0.1;

/// A card that calls scores probabilities would have them shown as such: the values tell.
fn check_kind(values: &[f32], kind: OutputKind, name: &str) -> Result<()> {
    if kind == OutputKind::Logits {
        return Ok(());
    }
    let named = if kind == OutputKind::Softmax { "softmax" } else { "sigmoid" };
    let outside = |v: &&f32| !(-ROUNDING..=1.0 + ROUNDING).contains(&f64::from(**v));
    if let Some(value) = values.iter().find(outside) {
        bail!(
            "`output.kind`: the card says {named}, output `{name}` holds {value}, which is no probability: `kind: logits` if they are scores of one class among several"
        );
    }
    let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
    if kind == OutputKind::Softmax && (sum - 1.0).abs() > ROUNDING {
        bail!(
            "`output.kind`: the card says softmax, output `{name}` sums to {sum:.3}: `kind: sigmoid` if the labels are independent, `kind: logits` if they are scores"
        );
    }
    Ok(())
}

fn softmax(logits: impl Iterator<Item = f64> + Clone) -> Vec<f32> {
    let most = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<_> = logits.map(|l| (l - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| (p / sum) as f32).collect()
}
