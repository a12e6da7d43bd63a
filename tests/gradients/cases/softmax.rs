//! Softmax and its logarithm: over one axis since opset 13, over all from an axis on before.
use super::any;
use crate::gradients::{Case, Shape};
use crate::support::rng::Rng;
use dermai::onnx::Node;

/// Two to four axes.
fn several(rng: &mut Rng) -> Vec<usize> {
    let mut shape = any(rng);
    if shape.len() < 2 {
        shape.push(rng.within(2, 3));
    }
    shape
}

pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for op in ["Softmax", "LogSoftmax"] {
        for axis in [None, Some(-1), Some(1), Some(0), Some(-2)] {
            for (since, last) in [(9, 12), (13, super::super::NEWEST)] {
                let name = format!("{op} axis {axis:?} since {since}");
                let shape: Shape = |rng| loop {
                    // Along an axis of length 1 it is constant.
                    let shape = several(rng);
                    if shape.iter().all(|&d| d > 1) {
                        return shape;
                    }
                };
                let case = Case::new(&name, since, shape, (-2.0, 2.0), move |s, x| {
                    let node = Node::new(op, &[x], &[]);
                    s.node(match axis {
                        Some(axis) => node.with("axis", axis),
                        None => node,
                    })
                });
                all.push(case.until(last));
            }
        }
    }
    all
}
