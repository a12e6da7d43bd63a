//! Operators between number types: Cast, and the straight-through estimator for QuantizeLinear and DequantizeLinear (Bengio 2013).
use super::{Name, Rule, Step};
use crate::onnx::ElementType;
use anyhow::{Context, Result, bail, ensure};

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Cast" => cast,
        "QuantizeLinear" => quantize,
        "DequantizeLinear" => |step| Ok(Step::only(step.gradient()?)),
        _ => return None,
    })
}

fn cast(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let to = step.node.int("to").and_then(|to| i32::try_from(to).ok()).context("it has no `to`")?;
    ensure!(
        ElementType(to) == ElementType::FLOAT,
        "it casts to {}: gradients are computed in float32 only",
        ElementType(to)
    );
    Ok(Step::only(step.gradient()?))
}

/// The bounds of the integers that a QuantizeLinear gives: those of its zero point's type, uint8 without one.
fn range(step: &Step<'_>) -> Result<(f32, f32)> {
    const UINT8: i32 = 2;
    let element = match step.node.given(2) {
        None => step.node.int("output_dtype").filter(|&to| to != 0).map_or(UINT8, |to| to as i32),
        Some(name) => {
            let node = || step.graph.nodes[step.graph.producer(name)?].tensor("value");
            let zero = step.graph.initializer(name).or_else(node);
            zero.with_context(|| format!("its zero point `{name}` is not a constant"))?.data_type
        }
    };
    Ok(match element {
        UINT8 => (0.0, 255.0),
        3 => (-128.0, 127.0),
        4 => (0.0, 65_535.0),
        5 => (-32_768.0, 32_767.0),
        21 => (0.0, 15.0),
        22 => (-8.0, 7.0),
        other => bail!("it quantizes to {}, which no rule differentiates", ElementType(other)),
    })
}

/// The gradient passes where the value was not cut off at an end of the integer range, as PyTorch's fake quantisation has it.
///
/// Gradients between the two nodes are those of the dequantised value.
fn quantize(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let (x, gradient) = (step.input(0)?.to_owned(), step.gradient()?);
    let scale = step.input(1)?.to_owned();
    let rank = step.shape(0)?.len();
    let (low, high) = range(step)?;
    ensure!(step.node.int("block_size").unwrap_or(0) == 0, "it quantizes in blocks, which no rule differentiates");
    let zero = match step.node.given(2) {
        Some(name) => {
            let name = name.to_owned();
            step.emit.as_float(&name)
        }
        None => step.emit.float(0.0),
    };
    let per_axis = step.shape(1)?.iter().product::<usize>() > 1;
    let mut passed = gradient;
    for (bound, op) in [(low - 0.5, "Less"), (high + 0.5, "Greater")] {
        let bound = step.emit.float(bound);
        let steps = step.emit.sub(&bound, &zero);
        let mut edge = step.emit.mul(&steps, &scale);
        if per_axis {
            let axis = crate::onnx::place(step.node.int("axis").unwrap_or(1), rank)
                .context("its `axis` lies outside its input")?;
            let mut shape = vec![1; rank];
            shape[axis] = step.shape(1)?[0];
            edge = step.emit.reshape(&edge, &shape);
        }
        let outside = step.emit.op(op, &[&x, &edge]);
        let inside = step.emit.op("Not", &[&outside]);
        passed = step.emit.masked(&inside, &passed);
    }
    Ok(Step::only(passed))
}
