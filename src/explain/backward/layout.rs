//! Operators that move values: Reshape, Transpose, Concat, Split, Slice, Gather, Pad, Expand, Tile, DepthToSpace and their like.
use super::selection::Selection;
use super::{Name, Rule, Step};
use crate::onnx::{permutation, place, slice};
use anyhow::{Context, Result, bail, ensure};

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => reshaped,
        "Transpose" => transposed,
        "Concat" => concatenated,
        "Split" => split,
        "Slice" => sliced,
        "Gather" => gathered,
        "Pad" => padded,
        "Expand" => expanded,
        "Tile" => tiled,
        "DepthToSpace" => depth_to_space,
        "SpaceToDepth" => space_to_depth,
        _ => return None,
    })
}

type Gradients = Result<Vec<(usize, Name)>>;

fn reshaped(step: &mut Step<'_>) -> Gradients {
    let (gradient, shape) = (step.gradient()?, step.shape(0)?.to_vec());
    Ok(Step::only(step.emit.reshape(&gradient, &shape)))
}

fn transposed(step: &mut Step<'_>) -> Gradients {
    let (gradient, rank) = (step.gradient()?, step.shape(0)?.len());
    Ok(Step::only(step.emit.transpose(&gradient, &inverse(&permutation(step.node, rank)))))
}

fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; permutation.len()];
    permutation.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    inverse
}

/// The attribute `axis`, from 0.
fn axis_of(step: &Step<'_>, usual: Option<i64>, rank: usize) -> Result<usize> {
    let number = step.node.int("axis").or(usual).context("it has no `axis`")?;
    place(number, rank).with_context(|| format!("its `axis` {number} lies outside {rank} axes"))
}

fn concatenated(step: &mut Step<'_>) -> Gradients {
    let gradient = step.gradient()?;
    let axis = axis_of(step, Some(1), step.output_shape()?.len())?;
    let (mut start, mut found) = (0, Vec::new());
    for at in 0..step.node.input.len() {
        let end = start + step.shape(at)?[axis];
        if step.wants(at) {
            found.push((at, step.emit.slice(&gradient, axis, start, end)));
        }
        start = end;
    }
    Ok(found)
}

fn split(step: &mut Step<'_>) -> Gradients {
    let rank = step.shape(0)?.len();
    let axis = axis_of(step, Some(0), rank)?;
    let mut parts = Vec::new();
    for (at, output) in step.node.output.iter().enumerate() {
        if let Some(gradient) = step.gradient_of(at) {
            parts.push(gradient.clone());
            continue;
        }
        let shape = step.shapes.of(output)?.to_vec();
        let zero = step.emit.floats(&vec![1; rank], &[0.0]);
        parts.push(step.emit.expand(&zero, &shape));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(Step::only(step.emit.concat(&parts, axis)))
}

fn sliced(step: &mut Step<'_>) -> Gradients {
    let mut gradient = step.gradient()?;
    let shape = step.shape(0)?.to_vec();
    let taken = slice(step.graph, step.node, step.shapes).context("its bounds are not constant")?;
    for (axis, positions) in taken.into_iter().enumerate() {
        gradient = Selection::of(shape[axis], positions).adjoint(step.emit, &gradient, axis, shape.len());
    }
    Ok(Step::only(gradient))
}

fn gathered(step: &mut Step<'_>) -> Gradients {
    let (gradient, shape) = (step.gradient()?, step.shape(0)?.to_vec());
    let axis = axis_of(step, Some(0), shape.len())?;
    let length = shape[axis];
    let positions: Vec<usize> = step
        .ints(1)?
        .into_iter()
        .map(|i| usize::try_from(if i < 0 { i + length as i64 } else { i }).ok().filter(|&i| i < length))
        .collect::<Option<_>>()
        .context("an index lies outside its input")?;
    // An index of any rank is one list of positions; the axis that it gives is laid out flat.
    let mut flat = shape.clone();
    flat[axis] = positions.len();
    let gradient = step.emit.reshape(&gradient, &flat);
    Ok(Step::only(Selection::of(length, positions).adjoint(step.emit, &gradient, axis, shape.len())))
}

fn padded(step: &mut Step<'_>) -> Gradients {
    let mut gradient = step.gradient()?;
    let shape = step.shape(0)?.to_vec();
    let pads = match step.node.ints("pads") {
        Some(pads) => pads.to_vec(),
        None => step.ints(1)?,
    };
    let axes: Vec<usize> = match step.node.given(3) {
        Some(_) => {
            step.ints(3)?.iter().map(|&a| place(a, shape.len())).collect::<Option<_>>().context("its axes are wrong")?
        }
        None => (0..shape.len()).collect(),
    };
    ensure!(pads.len() == 2 * axes.len(), "it has {} pads for {} axes", pads.len(), axes.len());
    let mode = step.node.text("mode").unwrap_or("constant").to_owned();
    for (i, &axis) in axes.iter().enumerate() {
        let (before, behind) = (pads[i], pads[i + axes.len()]);
        // The runtime crops (negative pads) before it pads: what is repeated is what is left.
        let cropped = (-before).max(0);
        let length = shape[axis] as i64 - cropped - (-behind).max(0);
        ensure!(length > 0, "its pads leave nothing of axis {axis}");
        let mut rows = Vec::new();
        for position in -before.max(0)..length + behind.max(0) {
            let inside = (0..length).contains(&position);
            let from = match mode.as_str() {
                _ if inside => Some(position),
                "constant" => None,
                "edge" => Some(position.clamp(0, length - 1)),
                "wrap" => Some(position.rem_euclid(length)),
                "reflect" if length == 1 => Some(0),
                "reflect" => {
                    let around = position.rem_euclid(2 * (length - 1));
                    Some(if around < length { around } else { 2 * (length - 1) - around })
                }
                other => bail!("its mode `{other}` is not known"),
            };
            rows.push(from.map(|p| ((p + cropped) as usize, 1.0)).into_iter().collect());
        }
        gradient = Selection { input: shape[axis], rows }.adjoint(step.emit, &gradient, axis, shape.len());
    }
    Ok(Step::only(gradient))
}

fn expanded(step: &mut Step<'_>) -> Gradients {
    let (gradient, from, to) = (step.gradient()?, step.shape(0)?.to_vec(), step.output_shape()?.to_vec());
    Ok(Step::only(step.emit.unbroadcast(&gradient, &to, &from)))
}

fn tiled(step: &mut Step<'_>) -> Gradients {
    let mut gradient = step.gradient()?;
    let (from, to) = (step.shape(0)?.to_vec(), step.output_shape()?.to_vec());
    for axis in 0..from.len() {
        let positions = (0..to[axis]).map(|o| o % from[axis]);
        gradient = Selection::of(from[axis], positions).adjoint(step.emit, &gradient, axis, from.len());
    }
    Ok(Step::only(gradient))
}

/// Side of the blocks, and the input's four axes.
fn blocks(step: &Step<'_>) -> Result<(usize, [usize; 4])> {
    let side = step.node.int("blocksize").and_then(|b| usize::try_from(b).ok()).context("it has no `blocksize`")?;
    let shape = step.shape(0)?.try_into().context("its input has not four axes")?;
    Ok((side, shape))
}

fn depth_to_space(step: &mut Step<'_>) -> Gradients {
    let gradient = step.gradient()?;
    let (b, [n, c, h, w]) = blocks(step)?;
    let split = step.emit.reshape(&gradient, &[n, c / (b * b), h, b, w, b]);
    // The output's axes are (n, channel, row, row in block, column, column in block).
    let perm: &[usize] = if step.node.text("mode") == Some("CRD") { &[0, 1, 3, 5, 2, 4] } else { &[0, 3, 5, 1, 2, 4] };
    let moved = step.emit.transpose(&split, perm);
    Ok(Step::only(step.emit.reshape(&moved, &[n, c, h, w])))
}

fn space_to_depth(step: &mut Step<'_>) -> Gradients {
    let gradient = step.gradient()?;
    let (b, [n, c, h, w]) = blocks(step)?;
    let split = step.emit.reshape(&gradient, &[n, b, b, c, h / b, w / b]);
    let moved = step.emit.transpose(&split, &[0, 3, 4, 1, 5, 2]);
    Ok(Step::only(step.emit.reshape(&moved, &[n, c, h, w])))
}
