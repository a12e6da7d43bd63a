//! Shapes that the graph computes itself, as exporters write them: what is inferred of them has to be what the runtime computes.
use super::USUAL;
use crate::gradients::sketch::{Sketch, data_type};
use crate::gradients::{Case, Place, Shape};
use dermai::onnx::{Node, TensorProto};

fn case(name: &str, since: i64, build: impl Fn(&mut Sketch, &str) -> String + Send + Sync + 'static) -> Case {
    let shape: Shape = |rng| vec![rng.within(1, 2), rng.pick(&[2, 4]), rng.within(3, 5), 6];
    Case::new(name, since, shape, USUAL, build)
}

fn with_axis(s: &mut Sketch, op: &str, inputs: &[&str], axis: i64) -> String {
    s.node(Node::new(op, inputs, &[]).with("axis", axis))
}

fn unsqueezed(s: &mut Sketch, scalar: &str) -> String {
    if s.opset < 13 {
        return s.node(Node::new("Unsqueeze", &[scalar], &[]).with("axes", vec![0]));
    }
    let axis = s.ints(&[0]);
    s.op("Unsqueeze", &[scalar, &axis])
}

/// The length of one axis as a scalar.
fn length(s: &mut Sketch, x: &str, axis: i64) -> String {
    let shape = s.op("Shape", &[x]);
    let at = s.int_tensor(&[], &[axis]);
    with_axis(s, "Gather", &[&shape, &at], 0)
}

pub fn all() -> Vec<Case> {
    let mut all = vec![
        case("Reshape by Slice and Concat", 10, |s, x| {
            let shape = s.op("Shape", &[x]);
            let (zero, one, rest) = (s.ints(&[0]), s.ints(&[1]), s.ints(&[-1]));
            let first = s.op("Slice", &[&shape, &zero, &one]);
            let target = with_axis(s, "Concat", &[&first, &rest], 0);
            s.op("Reshape", &[x, &target])
        }),
        case("Reshape by Gather and Cast", 9, |s, x| {
            let (first, rest) = (length(s, x, 1), s.ints(&[-1]));
            let float = s.node(Node::new("Cast", &[&first], &[]).with("to", 1));
            let whole = s.node(Node::new("Cast", &[&float], &[]).with("to", 7));
            let first = unsqueezed(s, &whole);
            let target = with_axis(s, "Concat", &[&rest, &first], 0);
            s.op("Reshape", &[x, &target])
        }),
        case("Reshape by part of a shape", 15, |s, x| {
            let part = s.node(Node::new("Shape", &[x], &[]).with("start", 1).with("end", -1));
            let rest = s.ints(&[-1]);
            let target = with_axis(s, "Concat", &[&part, &rest], 0);
            s.op("Reshape", &[x, &target])
        }),
    ];
    all.extend(arithmetic());
    all.extend(expanded());
    all
}

/// Channels split in two, halves swapped, as shuffling networks have it; heights and widths multiplied.
fn arithmetic() -> Vec<Case> {
    vec![
        case("Reshape by Div and Mul", 9, |s, x| {
            let (channels, height, width) = (length(s, x, 1), length(s, x, -2), length(s, x, 3));
            let (two, half) = (s.int_tensor(&[], &[2]), s.ints(&[2]));
            let each = s.op("Div", &[&channels, &two]);
            let places = s.op("Mul", &[&height, &width]);
            let (each, places, first) = (unsqueezed(s, &each), unsqueezed(s, &places), s.ints(&[-1]));
            let target = with_axis(s, "Concat", &[&first, &half, &each, &places], 0);
            let split = s.op("Reshape", &[x, &target]);
            s.node(Node::new("Transpose", &[&split], &[]).with("perm", vec![0, 2, 1, 3]))
        }),
        case("Slice to half the width", 12, |s, x| {
            let width = length(s, x, 3);
            let (two, one, start, axis) =
                (s.int_tensor(&[], &[2]), s.int_tensor(&[], &[1]), s.ints(&[1]), s.ints(&[3]));
            let half = s.op("Div", &[&width, &two]);
            let more = s.op("Add", &[&half, &one]);
            let less = s.op("Sub", &[&more, &one]);
            let end = s.op("Max", &[&less, &one]);
            let end = unsqueezed(s, &end);
            s.op("Slice", &[x, &start, &end, &axis])
        }),
        case("Pad to a multiple of four", 11, |s, x| {
            let width = length(s, x, 3);
            let (four, before) = (s.int_tensor(&[], &[4]), s.ints(&[0; 7]));
            let over = s.op("Mod", &[&width, &four]);
            let missing = s.op("Sub", &[&four, &over]);
            let missing = unsqueezed(s, &missing);
            let pads = with_axis(s, "Concat", &[&before, &missing], 0);
            s.op("Pad", &[x, &pads])
        }),
        case("Resize by a computed size", 11, |s, x| {
            let shape = s.op("Shape", &[x]);
            let (zero, two, times) = (s.ints(&[0]), s.ints(&[2]), s.ints(&[2, 3]));
            let (first, last) = (s.op("Slice", &[&shape, &zero, &two]), s.ints(&[4]));
            let sides = s.op("Slice", &[&shape, &two, &last]);
            let sides = s.op("Mul", &[&sides, &times]);
            let sizes = with_axis(s, "Concat", &[&first, &sides], 0);
            let (roi, scales) = (s.these(&[0], &[]), s.these(&[0], &[]));
            s.op("Resize", &[x, &roi, &scales, &sizes])
        }),
        case("Resize by computed scales", 11, |s, x| {
            let shape = s.op("Shape", &[x]);
            let float = s.node(Node::new("Cast", &[&shape], &[]).with("to", 1));
            let wanted = s.these(&[4], &[1.0, 1.0, 1.5, 0.5]);
            let product = s.op("Mul", &[&float, &wanted]);
            let whole = s.op("Ceil", &[&product]);
            let whole = s.op("Floor", &[&whole]);
            let scales = s.op("Div", &[&whole, &float]);
            let ones = s.these(&[4], &[1.0, 1.0, 0.0, 0.0]);
            let scales = s.op("Max", &[&scales, &ones]);
            let roi = s.these(&[0], &[]);
            s.op("Resize", &[x, &roi, &scales])
        })
        .at(Place::Nowhere),
    ]
}

/// PyTorch's `expand`: -1 stands for the length that is there.
fn expanded() -> Vec<Case> {
    vec![
        case("Expand by Where", 9, |s, x| {
            let ones = s.ints(&[-1, 1, -1, -1]);
            let shape = s.op("Shape", &[&ones]);
            let filler = TensorProto::of_ints("", &[1], &[1]);
            let filled = s.node(Node::new("ConstantOfShape", &[&shape], &[]).with("value", filler));
            let minus = s.ints(&[-1]);
            let negative = s.op("Mul", &[&filled, &minus]);
            let is_free = s.op("Equal", &[&ones, &negative]);
            let target = s.op("Where", &[&is_free, &filled, &ones]);
            let (twice, ones) = (s.ints(&[2, 1, 1, 1, 1]), s.ints(&[5]));
            let filler = TensorProto::of_ints("", &[1], &[1]);
            let ones = s.node(Node::new("ConstantOfShape", &[&ones], &[]).with("value", filler));
            let wider = s.op("Mul", &[&twice, &ones]);
            let stretched = s.op("Expand", &[x, &target]);
            s.op("Expand", &[&stretched, &wider])
        }),
        case("Gather of a computed range", 11, |s, x| {
            let width = length(s, x, 3);
            let (start, step) = (s.int_tensor(&[], &[0]), s.int_tensor(&[], &[2]));
            let index = s.op("Range", &[&start, &width, &step]);
            let back = s.op("Neg", &[&index]);
            let back = s.op("Abs", &[&back]);
            with_axis(s, "Gather", &[x, &back], 3)
        }),
        case("Where by a computed mask", 9, |s, x| {
            let mask = s.typed(data_type::BOOL, &[1, 6], &[1, 0, 1, 1, 0, 1]);
            let turned = s.op("Not", &[&mask]);
            let zero = s.float(0.0);
            s.op("Where", &[&turned, x, &zero])
        }),
        case("Tile by a Transpose of a constant", 9, |s, x| {
            let times = s.int_tensor(&[2, 2], &[1, 2, 1, 3]);
            let turned = s.node(Node::new("Transpose", &[&times], &[]).with("perm", vec![1, 0]));
            let flat = s.ints(&[-1]);
            let times = s.op("Reshape", &[&turned, &flat]);
            s.op("Tile", &[x, &times])
        }),
        case("Reshape by Size", 9, |s, x| {
            let size = s.op("Size", &[x]);
            let width = length(s, x, 3);
            let rest = s.op("Div", &[&size, &width]);
            let (rest, width) = (unsqueezed(s, &rest), unsqueezed(s, &width));
            let target = with_axis(s, "Concat", &[&width, &rest], 0);
            let copied = s.op("Identity", &[&target]);
            s.op("Reshape", &[x, &copied])
        }),
    ]
}
