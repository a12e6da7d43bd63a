//! Normalisation, by stored statistics and by the picture's own.
use super::{USUAL, groups, line, map, volume};
use crate::gradients::sketch::Sketch;
use crate::gradients::{Case, NEWEST, Shape};
use crate::support::rng::Rng;
use dermai::onnx::Node;

/// Three axes, the last two of several values.
fn tokens(rng: &mut Rng) -> Vec<usize> {
    vec![rng.within(1, 2), rng.within(3, 4), rng.within(4, 6)]
}

pub fn all() -> Vec<Case> {
    let mut all = batches();
    all.extend(layers());
    for (name, shape) in [("map", map as Shape), ("line", line), ("volume", volume)] {
        for epsilon in [None, Some(1e-5), Some(0.3)] {
            all.push(Case::new(
                &format!("InstanceNormalization of a {name} {epsilon:?}"),
                9,
                shape,
                USUAL,
                move |s, x| normalised(s, x, "InstanceNormalization", 1, |node| with_epsilon(node, epsilon)),
            ));
        }
    }
    all.extend(grouped());
    for axis in [None, Some(1), Some(-2)] {
        all.push(Case::new(&format!("LpNormalization axis {axis:?}"), 9, map, USUAL, move |s, x| {
            let node = Node::new("LpNormalization", &[x], &[]);
            s.node(match axis {
                Some(axis) => node.with("axis", axis).with("p", 2),
                None => node,
            })
        }));
    }
    all
}

fn with_epsilon(node: Node, epsilon: Option<f32>) -> Node {
    match epsilon {
        Some(epsilon) => node.with("epsilon", epsilon),
        None => node,
    }
}

/// A node with a scale and a bias of `x`'s axis `axis`.
fn normalised(s: &mut Sketch, x: &str, op: &str, axis: usize, with: impl Fn(Node) -> Node) -> String {
    let channels = s.shape_of(x)[axis];
    let (scale, bias) = (s.floats(&[channels]), s.floats(&[channels]));
    s.node(with(Node::new(op, &[x, &scale, &bias], &[])))
}

fn batches() -> Vec<Case> {
    let shapes: [(&str, Shape); 4] = [("map", map), ("line", line), ("volume", volume), ("matrix", super::matrix)];
    let mut all = Vec::new();
    for (name, shape) in shapes {
        for states_all in [false, true] {
            let since = if states_all { 14 } else { 9 };
            all.push(Case::new(
                &format!("BatchNormalization of a {name} {states_all}"),
                since,
                shape,
                USUAL,
                move |s, x| {
                    let channels = s.shape_of(x)[1];
                    let (scale, bias, mean) = (s.floats(&[channels]), s.floats(&[channels]), s.floats(&[channels]));
                    let var = s.floats_in(&[channels], 0.2, 2.0);
                    let node = Node::new("BatchNormalization", &[x, &scale, &bias, &mean, &var], &[]);
                    s.node(if states_all {
                        node.with("epsilon", 1e-5).with("momentum", 0.9).with("training_mode", 0)
                    } else {
                        node.with("epsilon", 0.1)
                    })
                },
            ));
        }
    }
    all
}

fn layers() -> Vec<Case> {
    let mut all = Vec::new();
    for epsilon in [1e-5, 1e-6] {
        for stash in [false, true] {
            all.push(Case::new(&format!("LayerNormalization {epsilon} {stash}"), 17, tokens, USUAL, move |s, x| {
                normalised(s, x, "LayerNormalization", 2, |node| {
                    let node = node.with("axis", -1).with("epsilon", epsilon);
                    if stash { node.with("stash_type", 1) } else { node }
                })
            }));
        }
    }
    all.push(Case::new("LayerNormalization of two axes, no bias", 17, tokens, USUAL, |s, x| {
        let shape = s.shape_of(x)[1..].to_vec();
        let scale = s.floats(&shape);
        s.node(Node::new("LayerNormalization", &[x, &scale], &[]).with("axis", 1).with("epsilon", 0.2))
    }));
    all.push(Case::new("LayerNormalization of two axes, one scale for both", 17, tokens, USUAL, |s, x| {
        let (width, height) = (s.shape_of(x)[2], s.shape_of(x)[1]);
        let (scale, bias) = (s.floats(&[width]), s.floats(&[height, width]));
        s.node(Node::new("LayerNormalization", &[x, &scale, &bias], &[]).with("axis", -2))
    }));
    all.push(Case::new("LayerNormalization with its mean", 17, tokens, USUAL, |s, x| {
        let width = s.shape_of(x)[2];
        let (scale, bias) = (s.floats(&[width]), s.floats(&[width]));
        s.nodes(Node::new("LayerNormalization", &[x, &scale, &bias], &[]), 3).remove(0)
    }));
    all
}

/// One scale a group up to opset 20, one a channel from 21 on.
fn grouped() -> Vec<Case> {
    let mut all = Vec::new();
    for count in [1, 2, 4] {
        for (since, last) in [(18, 20), (21, NEWEST)] {
            for epsilon in [None, Some(0.2)] {
                let name = format!("GroupNormalization {count} since {since} {epsilon:?}");
                let case = Case::new(&name, since, groups, USUAL, move |s, x| {
                    let scales = if s.opset < 21 { count } else { s.shape_of(x)[1] };
                    let (scale, bias) = (s.floats(&[scales]), s.floats(&[scales]));
                    let node = Node::new("GroupNormalization", &[x, &scale, &bias], &[]);
                    s.node(with_epsilon(node.with("num_groups", count as i64), epsilon))
                });
                all.push(case.until(last));
            }
        }
    }
    for (name, shape) in [("line", (|_| vec![2, 4, 6]) as Shape), ("volume", |_| vec![1, 4, 3, 2, 2])] {
        all.push(Case::new(&format!("GroupNormalization of a {name}"), 21, shape, USUAL, |s, x| {
            normalised(s, x, "GroupNormalization", 1, |node| node.with("num_groups", 2))
        }));
    }
    all
}
