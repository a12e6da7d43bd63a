//! Operators that move values: shapes, parts, indices, pads, repeats and blocks.
use super::{USUAL, map};
use crate::gradients::sketch::{Sketch, data_type};
use crate::gradients::{Case, Shape};
use crate::support::rng::Rng;
use dermai::onnx::Node;

/// Four axes of different lengths.
fn four(rng: &mut Rng) -> Vec<usize> {
    vec![rng.within(1, 2), 4, rng.within(3, 5), 6]
}

fn case(name: &str, since: i64, build: impl Fn(&mut Sketch, &str) -> String + Send + Sync + 'static) -> Case {
    Case::new(name, since, four, USUAL, build)
}

pub fn all() -> Vec<Case> {
    let mut all = shapes();
    all.extend(axes());
    all.extend(joined());
    all.extend(slices());
    all.extend(gathers());
    all.extend(pads());
    all.extend(repeats());
    all.extend(blocks());
    all
}

fn shapes() -> Vec<Case> {
    let mut all = Vec::new();
    for target in [&[0i64, -1][..], &[-1], &[0, 0, -1], &[-1, 2, 6], &[0, 2, 2, -1, 3]] {
        all.push(case(&format!("Reshape {target:?}"), 9, move |s, x| {
            let target = s.ints(target);
            s.op("Reshape", &[x, &target])
        }));
    }
    all.push(case("Reshape allowzero", 14, |s, x| {
        let target = s.ints(&[-1, 4]);
        s.node(Node::new("Reshape", &[x, &target], &[]).with("allowzero", 1))
    }));
    for axis in [None, Some(0), Some(1), Some(2), Some(4), Some(-1)] {
        all.push(case(&format!("Flatten {axis:?}"), if axis == Some(-1) { 11 } else { 9 }, move |s, x| {
            let node = Node::new("Flatten", &[x], &[]);
            s.node(match axis {
                Some(axis) => node.with("axis", axis),
                None => node,
            })
        }));
    }
    for permutation in [None, Some(&[0i64, 2, 3, 1][..]), Some(&[0, 3, 1, 2]), Some(&[2, 0, 1, 3]), Some(&[1, 2, 3, 0])]
    {
        all.push(case(&format!("Transpose {permutation:?}"), 9, move |s, x| {
            let node = Node::new("Transpose", &[x], &[]);
            s.node(match permutation {
                Some(permutation) => node.with("perm", permutation),
                None => node,
            })
        }));
    }
    all
}

fn axes() -> Vec<Case> {
    let ones: Shape = |rng| vec![1, rng.within(2, 4), 1, rng.within(3, 4), 1];
    let mut all = Vec::new();
    let with_axes = |op: &'static str, axes: &'static [i64]| {
        let since = if axes.iter().any(|&a| a < 0) { 11 } else { 9 };
        Case::new(&format!("{op} {axes:?}"), since, ones, USUAL, move |s, x| {
            if s.opset < 13 {
                return s.node(Node::new(op, &[x], &[]).with("axes", axes));
            }
            let axes = s.ints(axes);
            s.op(op, &[x, &axes])
        })
    };
    for axes in [&[0i64][..], &[2, 4], &[-1], &[-3, 0]] {
        all.push(with_axes("Squeeze", axes));
    }
    for axes in [&[0i64][..], &[1, 3], &[-1], &[6, 0], &[-2, -5]] {
        all.push(with_axes("Unsqueeze", axes));
    }
    all.push(Case::new("Squeeze of all", 9, ones, USUAL, |s, x| s.op("Squeeze", &[x])));
    all
}

fn joined() -> Vec<Case> {
    let mut all = Vec::new();
    for axis in [-1i64, 0, 1, 2] {
        all.push(case(&format!("Concat axis {axis}"), 9, move |s, x| {
            let mut shape = s.shape_of(x);
            let at = if axis < 0 { shape.len() - 1 } else { axis as usize };
            shape[at] = s.rng.within(1, 3);
            let (before, moving) = (s.floats(&shape), s.mixed(x, &shape, USUAL));
            s.node(Node::new("Concat", &[&before, x, &moving, x], &[]).with("axis", axis))
        }));
    }
    // Parts of 1, 2 and the rest, given in both ways; what is left over is nobody's.
    for (axis, parts) in [(1i64, &[1i64, 3][..]), (3, &[2, 1, 3]), (-1, &[4, 2])] {
        for used in [0, 1] {
            all.push(case(&format!("Split axis {axis} {parts:?} only {used}"), 9, move |s, x| {
                let node = if s.opset < 13 {
                    Node::new("Split", &[x], &[]).with("split", parts)
                } else {
                    let sizes = s.ints(parts);
                    Node::new("Split", &[x, &sizes], &[])
                };
                s.nodes(node.with("axis", axis), parts.len()).remove(used)
            }));
        }
    }
    all.push(case("Split into equal parts, all used", 9, |s, x| {
        let node = Node::new("Split", &[x], &[]).with("axis", 1);
        let node = if s.opset < 18 { node } else { node.with("num_outputs", 2) };
        let parts = s.nodes(node, 2);
        let bent = s.op("Tanh", &[&parts[0]]);
        s.op("Mul", &[&bent, &parts[1]])
    }));
    let odd: Shape = |rng| vec![rng.within(1, 2), 7, 3];
    all.push(Case::new("Split num_outputs that leaves a smaller part", 18, odd, USUAL, |s, x| {
        let node = Node::new("Split", &[x], &[]).with("axis", 1).with("num_outputs", 3);
        let parts = s.nodes(node, 3);
        s.node(Node::new("Concat", &[&parts[2], &parts[0]], &[]).with("axis", 1))
    }));
    all.push(case("Split num_outputs", 18, |s, x| {
        s.nodes(Node::new("Split", &[x], &[]).with("axis", 1).with("num_outputs", 2), 2).remove(1)
    }));
    all
}

/// Starts, ends, axes, steps.
type Bounds = (&'static [i64], &'static [i64], &'static [i64], &'static [i64]);

fn slices() -> Vec<Case> {
    const FAR: i64 = i64::MAX;
    let mut all = Vec::new();
    let forward: [Bounds; 5] = [
        (&[1], &[3], &[1], &[]),
        (&[0, 2], &[FAR, 5], &[2, 3], &[]),
        (&[-3], &[-1], &[3], &[]),
        (&[1, 0], &[-1, -2], &[1, -1], &[]),
        (&[0, 1], &[1, 4], &[], &[]),
    ];
    for (starts, ends, axes, _) in forward {
        all.push(
            case(&format!("Slice attributes {starts:?} {ends:?} {axes:?}"), 9, move |s, x| {
                let node = Node::new("Slice", &[x], &[]).with("starts", starts).with("ends", ends);
                let axes: Vec<i64> = axes.iter().map(|&a| if a < 0 { a + 4 } else { a }).collect();
                s.node(if axes.is_empty() { node } else { node.with("axes", axes) })
            })
            .until(9),
        );
    }
    let stepping: [Bounds; 5] = [
        (&[0], &[FAR], &[3], &[2]),
        (&[1, 0], &[4, 100], &[1, 3], &[2, 3]),
        (&[-1], &[-FAR], &[3], &[-1]),
        (&[100, 3], &[0, -100], &[3, 1], &[-2, -1]),
        (&[4], &[-6], &[-1], &[-2]),
    ];
    for (starts, ends, axes, steps) in forward.into_iter().chain(stepping) {
        all.push(case(&format!("Slice {starts:?} {ends:?} {axes:?} {steps:?}"), 10, move |s, x| {
            let mut inputs = vec![x.to_owned(), s.ints(starts), s.ints(ends)];
            if !axes.is_empty() {
                inputs.push(s.ints(axes));
            }
            if !steps.is_empty() {
                inputs.push(s.ints(steps));
            }
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            s.op("Slice", &inputs)
        }));
    }
    all
}

fn gathers() -> Vec<Case> {
    let mut all = Vec::new();
    for (axis, shape, index) in [
        (None, &[][..], &[0i64][..]),
        (Some(1i64), &[], &[2]),
        (Some(2), &[], &[-1]),
        (Some(3), &[4], &[0, 5, 0, 0]),
        (Some(-1), &[2, 3], &[0, -1, 3, 3, -6, 1]),
        (Some(1), &[1, 2, 1], &[3, 3]),
        (Some(1), &[1], &[0]),
    ] {
        for is_short in [false, true] {
            all.push(case(&format!("Gather axis {axis:?} {shape:?} {index:?} {is_short}"), 11, move |s, x| {
                let index = if is_short {
                    let index: Vec<i32> = index.iter().map(|&i| i as i32).collect();
                    s.typed(data_type::INT32, shape, &index)
                } else {
                    s.int_tensor(shape, index)
                };
                let node = Node::new("Gather", &[x, &index], &[]);
                s.node(match axis {
                    Some(axis) => node.with("axis", axis),
                    None => node,
                })
            }));
        }
    }
    all.push(case("Gather in old files", 9, |s, x| {
        let index = s.ints(&[5, 0, 0]);
        s.node(Node::new("Gather", &[x, &index], &[]).with("axis", 3))
    }));
    all
}

fn pads() -> Vec<Case> {
    let mut all = Vec::new();
    for (mode, since) in [("", 9), ("constant", 9), ("reflect", 9), ("edge", 9), ("wrap", 19)] {
        for pads in [&[0i64, 0, 1, 1, 0, 0, 1, 1][..], &[0, 0, 2, 1, 0, 0, 0, 2], &[0, 1, 0, 2, 0, 2, 2, 3]] {
            all.push(case(&format!("Pad {mode} {pads:?}"), since, move |s, x| {
                let node = if s.opset < 11 {
                    Node::new("Pad", &[x], &[]).with("pads", pads)
                } else {
                    let pads = s.ints(pads);
                    Node::new("Pad", &[x, &pads], &[])
                };
                s.node(if mode.is_empty() { node } else { node.with("mode", mode) })
            }));
        }
        all.push(case(&format!("Pad {mode} of two axes"), since.max(18), move |s, x| {
            let (pads, value, axes) = (s.ints(&[1, 2, 2, 0]), s.float(0.7), s.ints(&[-1, 2]));
            let node = Node::new("Pad", &[x, &pads, &value, &axes], &[]);
            s.node(if mode.is_empty() { node } else { node.with("mode", mode) })
        }));
        all.push(case(&format!("Pad {mode} that crops"), since.max(11), move |s, x| {
            let (pads, value) = (s.ints(&[0, -1, 1, -2, 0, 0, -1, 1]), s.float(-0.4));
            let node = Node::new("Pad", &[x, &pads, &value], &[]);
            s.node(if mode.is_empty() { node } else { node.with("mode", mode) })
        }));
    }
    all
}

fn repeats() -> Vec<Case> {
    let ones: Shape = |rng| vec![1, rng.within(2, 3), 1, 4];
    let mut all = Vec::new();
    for target in [&[2i64, 1, 3, 1][..], &[1, 1, 5, 4], &[3, 1, 1, 1, 1], &[4], &[1]] {
        all.push(Case::new(&format!("Expand {target:?}"), 9, ones, USUAL, move |s, x| {
            let target = s.ints(target);
            s.op("Expand", &[x, &target])
        }));
    }
    for times in [&[1i64, 2, 1, 3][..], &[2, 1, 1, 1], &[1, 1, 1, 1], &[2, 2, 2, 2]] {
        all.push(Case::new(&format!("Tile {times:?}"), 9, ones, USUAL, move |s, x| {
            let times = s.ints(times);
            s.op("Tile", &[x, &times])
        }));
    }
    all
}

fn blocks() -> Vec<Case> {
    let deep: Shape = |rng| vec![rng.within(1, 2), rng.pick(&[4, 8]), 2, 3];
    let wide: Shape = |rng| vec![rng.within(1, 2), rng.within(2, 3), 4, 6];
    let mut all = Vec::new();
    for mode in ["", "DCR", "CRD"] {
        let since = if mode.is_empty() { 9 } else { 11 };
        all.push(Case::new(&format!("DepthToSpace {mode}"), since, deep, USUAL, move |s, x| {
            let node = Node::new("DepthToSpace", &[x], &[]).with("blocksize", 2);
            s.node(if mode.is_empty() { node } else { node.with("mode", mode) })
        }));
    }
    all.push(Case::new(
        "DepthToSpace by 3",
        9,
        |_| vec![1, 9, 2, 1],
        USUAL,
        |s, x| s.node(Node::new("DepthToSpace", &[x], &[]).with("blocksize", 3)),
    ));
    all.push(Case::new("SpaceToDepth", 9, wide, USUAL, |s, x| {
        s.node(Node::new("SpaceToDepth", &[x], &[]).with("blocksize", 2))
    }));
    all.push(Case::new(
        "SpaceToDepth of a map",
        9,
        |rng| map(rng).iter().map(|&d| d * 3).collect(),
        USUAL,
        |s, x| s.node(Node::new("SpaceToDepth", &[x], &[]).with("blocksize", 3)),
    ));
    all
}
