//! Pooling: windows that overlap, reach into the pads, are dilated, or leave a rest.
use super::{USUAL, line, map, volume};
use crate::gradients::{Case, Place, Shape};
use crate::support::rng::Rng;
use dermai::onnx::{Node, Value};

/// Attributes of a node.
type Attributes = Vec<(&'static str, Value)>;

fn ints(name: &'static str, all: &[i64]) -> (&'static str, Value) {
    (name, all.into())
}

/// A map of a few more rows, so that several windows fit.
fn wide(rng: &mut Rng) -> Vec<usize> {
    vec![rng.within(1, 2), rng.within(1, 2), rng.within(6, 9), rng.within(7, 9)]
}

fn case(op: &'static str, since: i64, shape: Shape, attributes: Attributes) -> Case {
    let named: Vec<String> = attributes
        .iter()
        .map(|(name, value)| format!("{name} {value:?}").replace("Ints(", "").replace("Int(", "").replace(')', ""))
        .collect();
    let rounds_up = attributes.contains(&("ceil_mode", 1.into()));
    let case = Case::new(&format!("{op} {}", named.join(" ")), since, shape, (-3.0, 3.0), move |s, x| {
        let node = Node::new(op, &[x], &[]);
        s.node(attributes.iter().cloned().fold(node, |node, (name, value)| node.with(name, value)))
    });
    if rounds_up { case.at(Place::Nowhere) } else { case }
}

pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for op in ["GlobalAveragePool", "GlobalMaxPool"] {
        for (name, shape) in [("map", map as Shape), ("line", line), ("volume", volume)] {
            all.push(Case::new(&format!("{op} of a {name}"), 9, shape, USUAL, move |s, x| s.op(op, &[x])));
        }
    }
    all.extend(averages());
    all.extend(maxima());
    all
}

fn averages() -> Vec<Case> {
    const OP: &str = "AveragePool";
    let with = |ceil: i64, counts: i64, kernel: &[i64], pads: &[i64], strides: &[i64]| -> Attributes {
        vec![
            ("ceil_mode", ceil.into()),
            ("count_include_pad", counts.into()),
            ints("kernel_shape", kernel),
            ints("pads", pads),
            ints("strides", strides),
        ]
    };
    let mut all = Vec::new();
    for (ceil, counts, kernel, pads, strides) in [
        (0, 0, [3, 3], [1, 1, 1, 1], [1, 1]),
        (0, 0, [5, 5], [2, 2, 2, 2], [1, 1]),
        (0, 1, [2, 1], [0, 0, 0, 0], [2, 1]),
        (0, 1, [3, 3], [1, 1, 1, 1], [1, 1]),
        (1, 0, [2, 2], [0, 0, 0, 0], [2, 2]),
        (1, 1, [3, 3], [1, 1, 1, 1], [2, 2]),
        (1, 0, [3, 2], [1, 0, 0, 1], [2, 3]),
        (1, 1, [3, 2], [0, 1, 1, 0], [3, 2]),
    ] {
        all.push(case(OP, 10, wide, with(ceil, counts, &kernel, &pads, &strides)));
    }
    all.push(case(OP, 9, wide, vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]));
    all.push(case(OP, 9, wide, vec![ints("kernel_shape", &[2, 3])]));
    for pads in [[0, 0, 1, 1], [1, 1, 1, 1], [1, 0, 0, 2]] {
        let attributes = vec![ints("kernel_shape", &[3, 3]), ints("pads", &pads), ints("strides", &[2, 2])];
        all.push(case(OP, 9, wide, attributes));
    }
    for auto in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        for counts in [0, 1] {
            let attributes = vec![
                ("auto_pad", auto.into()),
                ("count_include_pad", counts.into()),
                ints("kernel_shape", &[3, 2]),
                ints("strides", &[2, 2]),
            ];
            all.push(case(OP, 9, wide, attributes));
        }
    }
    for counts in [0, 1] {
        let attributes = vec![
            ints("dilations", &[2, 1]),
            ("count_include_pad", counts.into()),
            ints("kernel_shape", &[2, 3]),
            ints("pads", &[1, 0, 1, 1]),
            ints("strides", &[1, 2]),
        ];
        all.push(case(OP, 19, wide, attributes.clone()));
        all.push(case(OP, 19, wide, [attributes, vec![("ceil_mode", 1.into())]].concat()));
    }
    all.push(case(OP, 9, line, vec![ints("kernel_shape", &[3]), ints("strides", &[2]), ints("pads", &[1, 0])]));
    all.push(case(OP, 9, volume, vec![ints("kernel_shape", &[2, 1, 3]), ints("strides", &[1, 1, 2])]));
    all
}

fn maxima() -> Vec<Case> {
    const OP: &str = "MaxPool";
    let mut all = Vec::new();
    // What exporters write in full, as the reference networks have it.
    for (ceil, dilations, kernel, pads, strides) in [
        (0, [1, 1], [3, 3], [0, 0, 0, 0], [2, 2]),
        (0, [1, 1], [3, 3], [1, 1, 1, 1], [1, 1]),
        (0, [1, 1], [3, 3], [1, 1, 1, 1], [2, 2]),
        (1, [1, 1], [3, 3], [0, 0, 0, 0], [2, 2]),
        (1, [1, 2], [3, 2], [1, 0, 1, 0], [2, 1]),
        (1, [2, 1], [2, 3], [0, 1, 1, 0], [2, 2]),
    ] {
        let attributes = vec![
            ("ceil_mode", ceil.into()),
            ints("dilations", &dilations),
            ints("kernel_shape", &kernel),
            ints("pads", &pads),
            ints("strides", &strides),
        ];
        all.push(case(OP, 10, wide, attributes));
    }
    for order in [0, 1] {
        let attributes = vec![
            ("auto_pad", "NOTSET".into()),
            ("ceil_mode", 0.into()),
            ints("dilations", &[1, 1]),
            ints("kernel_shape", &[3, 3]),
            ints("pads", &[1, 1, 1, 1]),
            ("storage_order", order.into()),
            ints("strides", &[2, 2]),
        ];
        all.push(case(OP, 10, wide, attributes));
    }
    let whole = vec![ints("kernel_shape", &[12, 12]), ints("pads", &[0, 0, 0, 0]), ints("strides", &[12, 12])];
    all.push(case(OP, 9, |rng| vec![1, 2, 12, rng.pick(&[12, 25])], whole));
    all.push(case(OP, 9, wide, vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]));
    all.push(case(OP, 9, wide, vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2])]));
    all.push(case(OP, 9, wide, vec![ints("kernel_shape", &[2, 3])]));
    let corner = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[0, 0, 1, 1]), ints("strides", &[2, 2])];
    all.push(case(OP, 9, wide, corner));
    for auto in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        let attributes = vec![("auto_pad", auto.into()), ints("kernel_shape", &[3, 2]), ints("strides", &[2, 2])];
        all.push(case(OP, 9, wide, attributes));
    }
    all.push(case(OP, 9, line, vec![ints("kernel_shape", &[3]), ints("strides", &[2]), ints("pads", &[1, 0])]));
    all.push(case(OP, 9, volume, vec![ints("kernel_shape", &[2, 1, 3]), ints("strides", &[1, 1, 2])]));
    all.push(Case::new("MaxPool with its indices", 9, wide, (-3.0, 3.0), |s, x| {
        s.nodes(Node::new(OP, &[x], &[]).with("kernel_shape", vec![2, 2]), 2).remove(0)
    }));
    all
}
