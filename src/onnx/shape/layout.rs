//! Shapes of operators that move values without changing them: Transpose, Reshape, Squeeze, Split, Slice.
use super::{Shapes, place};
use crate::onnx::graph::Graph;
use crate::onnx::node::Node;

/// Where each output axis of a Transpose comes from.
pub fn permutation(node: &Node, rank: usize) -> Vec<usize> {
    match node.ints("perm").filter(|p| p.len() == rank) {
        Some(perm) => perm.iter().map(|&p| p as usize).collect(),
        None => (0..rank).rev().collect(),
    }
}

pub(super) fn reshape(x: &[usize], target: &[i64], zero_is_zero: bool) -> Option<Vec<usize>> {
    let count: usize = x.iter().product();
    let mut out = Vec::with_capacity(target.len());
    let mut free = None;
    for (i, &d) in target.iter().enumerate() {
        out.push(match d {
            -1 => {
                free = Some(i);
                1
            }
            0 if !zero_is_zero => *x.get(i)?,
            d => usize::try_from(d).ok()?,
        });
    }
    if let Some(i) = free {
        let rest: usize = out.iter().product();
        out[i] = count.checked_div(rest)?;
    }
    (out.iter().product::<usize>() == count).then_some(out)
}

pub(super) fn squeeze(adds: bool, x: &[usize], axes: Option<Vec<i64>>) -> Option<Vec<usize>> {
    if adds {
        let axes = axes?;
        let rank = x.len() + axes.len();
        let axes: Vec<_> = axes.iter().map(|&a| place(a, rank)).collect::<Option<_>>()?;
        let mut rest = x.iter();
        return (0..rank).map(|i| if axes.contains(&i) { Some(1) } else { rest.next().copied() }).collect();
    }
    let gone: Vec<usize> = match axes {
        Some(axes) => axes.iter().map(|&a| place(a, x.len())).collect::<Option<_>>()?,
        None => (0..x.len()).filter(|&i| x[i] == 1).collect(),
    };
    Some(x.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, &d)| d).collect())
}

pub(super) fn split(graph: &Graph, node: &Node, x: &[usize], sizes: Option<Vec<i64>>) -> Option<Vec<Vec<usize>>> {
    let at = place(node.int("axis").unwrap_or(0), x.len())?;
    let sizes = split_sizes(graph, node, x[at], sizes)?;
    let part = |n: usize| {
        let mut out = x.to_vec();
        out[at] = n;
        out
    };
    Some(sizes.into_iter().map(part).collect())
}

/// Lengths of the parts of a Split along an axis of `length`.
fn split_sizes(graph: &Graph, node: &Node, length: usize, sizes: Option<Vec<i64>>) -> Option<Vec<usize>> {
    let sizes = if graph.opset < 13 { node.ints("split").map(<[i64]>::to_vec) } else { sizes };
    if let Some(sizes) = sizes {
        return sizes.iter().map(|&n| usize::try_from(n).ok()).collect();
    }
    // Equal parts, the last one smaller where it does not divide (opset 18).
    let parts = node.output.len();
    let each = length.div_ceil(parts);
    Some((0..parts).map(|i| each.min(length.saturating_sub(each * i))).collect())
}

/// For each axis of a Slice node's input, the positions that are taken, in order.
pub fn slice(graph: &Graph, node: &Node, shapes: &Shapes) -> Option<Vec<Vec<usize>>> {
    let x = shapes.get(node.given(0)?)?;
    let list = |name: &str, at: usize| -> Option<Vec<i64>> {
        if graph.opset < 10 {
            return node.ints(name).map(<[i64]>::to_vec);
        }
        shapes.value(node.given(at)?)?.as_ints().map(<[i64]>::to_vec)
    };
    let (starts, ends) = (list("starts", 1)?, list("ends", 2)?);
    let axes = list("axes", 3).unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = if node.given(4).is_some() { list("steps", 4)? } else { vec![1; starts.len()] };
    let mut taken: Vec<Vec<usize>> = x.iter().map(|&d| (0..d).collect()).collect();
    for (i, &number) in axes.iter().enumerate() {
        let at = place(number, x.len())?;
        let (length, step) = (x[at] as i64, *steps.get(i)?);
        let from_end = |v: i64| if v < 0 { v.saturating_add(length) } else { v };
        let (start, end) = (from_end(*starts.get(i)?), from_end(*ends.get(i)?));
        // Steps forward stop at `end`, steps back too; both are clamped as the specification says.
        let (mut p, end) = match step {
            0 => return None,
            1.. => (start.clamp(0, length), end.clamp(0, length)),
            _ => (start.clamp(-1, length - 1), end.clamp(-1, length - 1)),
        };
        let mut positions = Vec::new();
        while (step > 0 && p < end) || (step < 0 && p > end) {
            positions.push(p as usize);
            p = p.saturating_add(step);
        }
        taken[at] = positions;
    }
    Some(taken)
}
