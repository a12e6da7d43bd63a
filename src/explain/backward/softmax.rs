//! Softmax and `LogSoftmax`.
use super::{Name, Rule, Step};
use crate::onnx::place;
use anyhow::{Context, Result};

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Softmax" => softmax,
        "LogSoftmax" => log_softmax,
        _ => return None,
    })
}

/// The axes that are normalised together: one since opset 13, all from `axis` on before.
fn axes(step: &Step<'_>) -> Result<Vec<usize>> {
    let rank = step.output_shape()?.len();
    let since_13 = step.emit.opset() >= 13;
    let number = step.node.int("axis").unwrap_or(if since_13 { -1 } else { 1 });
    let axis = place(number, rank).with_context(|| format!("its `axis` {number} lies outside {rank} axes"))?;
    Ok(if since_13 { vec![axis] } else { (axis..rank).collect() })
}

/// y (g - Σ g y).
fn softmax(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let (y, gradient, axes) = (step.output().to_owned(), step.gradient()?, axes(step)?);
    let product = step.emit.mul(&gradient, &y);
    let sum = step.emit.sum(&product, &axes);
    let rest = step.emit.sub(&gradient, &sum);
    Ok(Step::only(step.emit.mul(&rest, &y)))
}

/// g - e^y Σ g.
fn log_softmax(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let (y, gradient, axes) = (step.output().to_owned(), step.gradient()?, axes(step)?);
    let sum = step.emit.sum(&gradient, &axes);
    let p = step.emit.op("Exp", &[&y]);
    let part = step.emit.mul(&p, &sum);
    Ok(Step::only(step.emit.sub(&gradient, &part)))
}
