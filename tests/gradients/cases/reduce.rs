//! Reductions: axes as an attribute or an input, negative, all or none; reduced axes kept or gone.
use super::{POSITIVE, USUAL};
use crate::gradients::Case;
use crate::gradients::sketch::Sketch;
use crate::support::rng::Rng;
use dermai::onnx::Node;

/// Four axes of different lengths.
fn shape(rng: &mut Rng) -> Vec<usize> {
    vec![rng.within(1, 2), 3, rng.within(2, 4), 5]
}

/// Values of which a norm or maximum is none at a kink.
const SPREAD: (f32, f32) = (-3.0, 3.0);

/// Since when the axes are an input.
fn since_input(op: &str) -> i64 {
    if op == "ReduceSum" { 13 } else { 18 }
}

/// A node, with its axes where this opset has them.
fn reduce(s: &mut Sketch, x: &str, op: &str, axes: Option<&[i64]>) -> Node {
    match axes {
        None => Node::new(op, &[x], &[]),
        Some(axes) if s.opset < since_input(op) => Node::new(op, &[x], &[]).with("axes", axes),
        Some(axes) => {
            let axes = s.ints(axes);
            Node::new(op, &[x, &axes], &[])
        }
    }
}

pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for op in [
        "ReduceSum",
        "ReduceMean",
        "ReduceSumSquare",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMin",
    ] {
        let range = if matches!(op, "ReduceMax" | "ReduceMin") { SPREAD } else { USUAL };
        for axes in [None, Some(&[1i64][..]), Some(&[-1]), Some(&[2, 3]), Some(&[-2, 0]), Some(&[3, 1])] {
            for keep in [None, Some(0), Some(1)] {
                all.push(Case::new(&format!("{op} axes {axes:?} keepdims {keep:?}"), 9, shape, range, move |s, x| {
                    let node = reduce(s, x, op, axes);
                    s.node(match keep {
                        Some(keep) => node.with("keepdims", keep),
                        None => node,
                    })
                }));
            }
        }
        for keep in [0, 1] {
            // With an empty list of axes, and as newer exporters write it.
            all.push(Case::new(
                &format!("{op} no axes keepdims {keep}"),
                since_input(op),
                shape,
                range,
                move |s, x| {
                    let node = reduce(s, x, op, Some(&[]));
                    s.node(node.with("keepdims", keep).with("noop_with_empty_axes", 0))
                },
            ));
            all.push(Case::new(
                &format!("{op} nothing keepdims {keep}"),
                since_input(op),
                shape,
                range,
                move |s, x| s.node(Node::new(op, &[x], &[]).with("keepdims", keep).with("noop_with_empty_axes", 1)),
            ));
            all.push(Case::new(&format!("{op} stated keepdims {keep}"), since_input(op), shape, range, move |s, x| {
                let node = reduce(s, x, op, Some(&[2, -1]));
                s.node(node.with("keepdims", keep).with("noop_with_empty_axes", 0))
            }));
        }
    }
    // As the reference networks have it: axes as an attribute, up to opset 17.
    for (axes, keep) in [(&[1i64, 2][..], 0), (&[1], 1), (&[2, 3], 0)] {
        all.push(
            Case::new(&format!("ReduceMean attribute {axes:?} {keep}"), 9, shape, POSITIVE, move |s, x| {
                s.node(Node::new("ReduceMean", &[x], &[]).with("axes", axes).with("keepdims", keep))
            })
            .until(17),
        );
    }
    all
}
