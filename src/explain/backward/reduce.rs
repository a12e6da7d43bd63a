//! Reductions over axes: sum, mean, maximum, minimum, norms.
use super::{Name, Rule, Step};
use crate::onnx::reduced_axes;
use anyhow::{Context, Result};

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "ReduceSum" => |step| spread(step, |_, gradient, _| Ok(gradient.to_owned())),
        "ReduceMean" => |step| {
            spread(step, |step, gradient, _| {
                let (x, y) = (step.shape(0)?, step.output_shape()?);
                let share = y.iter().product::<usize>() as f32 / x.iter().product::<usize>() as f32;
                Ok(step.emit.scale(gradient, share))
            })
        },
        "ReduceSumSquare" => |step| {
            spread(step, |step, gradient, _| {
                let x = step.input(0)?.to_owned();
                let twice = step.emit.scale(gradient, 2.0);
                Ok(step.emit.mul(&twice, &x))
            })
        },
        "ReduceL1" => |step| {
            spread(step, |step, gradient, _| {
                let x = step.input(0)?.to_owned();
                let sign = step.emit.op("Sign", &[&x]);
                Ok(step.emit.mul(gradient, &sign))
            })
        },
        "ReduceL2" => |step| spread(step, euclidean),
        "ReduceLogSumExp" => |step| {
            spread(step, |step, gradient, y| {
                let x = step.input(0)?.to_owned();
                let power = step.emit.sub(&x, y);
                let share = step.emit.op("Exp", &[&power]);
                Ok(step.emit.mul(gradient, &share))
            })
        },
        "ReduceMax" | "ReduceMin" => |step| {
            spread(step, |step, gradient, y| {
                let axes = axes(step)?;
                shared_by_ties(step, gradient, y, &axes)
            })
        },
        _ => return None,
    })
}

fn axes(step: &Step<'_>) -> Result<Vec<usize>> {
    reduced_axes(step.node, step.shapes, step.shape(0)?.len()).context("its axes are not constant")
}

/// Calls `part` with gradient and output in the shape that `keepdims` would give, and repeats what it gives to the input's shape.
fn spread(step: &mut Step<'_>, part: impl Fn(&mut Step<'_>, &str, &str) -> Result<Name>) -> Result<Vec<(usize, Name)>> {
    let (gradient, y, shape) = (step.gradient()?, step.output().to_owned(), step.shape(0)?.to_vec());
    let axes = axes(step)?;
    let kept: Vec<usize> = shape.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect();
    let (gradient, y) = if step.output_shape()? == kept {
        (gradient, y)
    } else {
        (step.emit.reshape(&gradient, &kept), step.emit.reshape(&y, &kept))
    };
    let own = part(step, &gradient, &y)?;
    Ok(Step::only(step.emit.expand(&own, &shape)))
}

/// x / ‖x‖; 0 where the norm is 0, as in PyTorch.
fn euclidean(step: &mut Step<'_>, gradient: &str, y: &str) -> Result<Name> {
    let x = step.input(0)?.to_owned();
    let over = step.emit.div(gradient, y);
    let above = step.emit.greater(y, 0.0);
    let over = step.emit.masked(&above, &over);
    Ok(step.emit.mul(&over, &x))
}

/// The values that equal their extreme `y` share its gradient, as TensorFlow's `reduce_max` and PyTorch's `amax` have it.
pub fn shared_by_ties(step: &mut Step<'_>, gradient: &str, y: &str, axes: &[usize]) -> Result<Name> {
    let x = step.input(0)?.to_owned();
    let equal = step.emit.equal(&x, y);
    let reached = step.emit.as_float(&equal);
    let count = step.emit.sum(&reached, axes);
    let share = step.emit.div(gradient, &count);
    Ok(step.emit.mul(&reached, &share))
}
