//! Operators of two and more inputs: each input alone and both, broadcast in every direction.
use super::{POSITIVE, USUAL};
use crate::gradients::sketch::{Sketch, data_type};
use crate::gradients::{Case, Shape};
use crate::support::rng::Rng;
use dermai::onnx::{Node, TensorProto, Value};

/// Up to four axes, some of length 1, so that both sides can be broadcast.
fn with_ones(rng: &mut Rng) -> Vec<usize> {
    let rank = rng.within(2, 4);
    let mut shape: Vec<usize> = (0..rank).map(|_| rng.pick(&[1, 2, 3])).collect();
    let at = rng.below(rank);
    shape[at] = rng.within(2, 4);
    shape[(at + 1) % rank] = 1;
    shape
}

/// A shape that broadcasts to `shape` and is not it: axes missing in front, or of length 1.
fn smaller(rng: &mut Rng, shape: &[usize]) -> Vec<usize> {
    let at = rng.below(shape.len());
    let mut small = shape.to_vec();
    small[at] = 1;
    let gone = rng.below(shape.len());
    small[gone..].to_vec()
}

/// A shape to which `shape` broadcasts and that is not it.
fn larger(rng: &mut Rng, shape: &[usize]) -> Vec<usize> {
    let grown: Vec<usize> = shape.iter().map(|&d| if d == 1 { rng.within(2, 3) } else { d }).collect();
    if rng.once_in(2) && grown.len() < 5 { [&[rng.within(1, 3)], grown.as_slice()].concat() } else { grown }
}

/// What stands at the other input.
#[derive(Clone, Copy, Debug)]
enum Other {
    Smaller,
    Larger,
    /// Some axes of each are stretched.
    Crossed,
    /// The very tensor.
    Same,
    /// Depends on the picture too.
    SmallerMoving,
    LargerMoving,
    Scalar,
    ScalarMoving,
}

const OTHERS: [Other; 8] = [
    Other::Smaller,
    Other::Larger,
    Other::Crossed,
    Other::Same,
    Other::SmallerMoving,
    Other::LargerMoving,
    Other::Scalar,
    Other::ScalarMoving,
];

/// The other input, its values between the bounds of `range`.
fn other(s: &mut Sketch, x: &str, other: Other, range: (f32, f32)) -> String {
    let shape = s.shape_of(x);
    let shape = match other {
        Other::Smaller | Other::SmallerMoving => smaller(&mut s.rng, &shape),
        Other::Larger | Other::LargerMoving => larger(&mut s.rng, &shape),
        Other::Crossed => {
            let small = smaller(&mut s.rng, &shape);
            larger(&mut s.rng, &small)
        }
        Other::Same => return x.to_owned(),
        Other::Scalar | Other::ScalarMoving => vec![],
    };
    // One value for all has to lie among theirs, or it is every maximum.
    let range = if shape.is_empty() { (range.0 * 0.2 + range.1 * 0.1, range.1 * 0.3) } else { range };
    // What x has been broadcast to has to fit.
    let own = s.shape_of(x);
    let shape: Vec<usize> = (0..shape.len())
        .map(|i| match (own.len() + i).checked_sub(shape.len()).map(|at| own[at]) {
            Some(d) if d != 1 && shape[i] != 1 => d,
            _ => shape[i],
        })
        .collect();
    if matches!(other, Other::SmallerMoving | Other::LargerMoving | Other::ScalarMoving) {
        return s.mixed(x, &shape, range);
    }
    s.floats_in(&shape, range.0, range.1)
}

pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for (op, range) in [
        ("Add", USUAL),
        ("Sub", USUAL),
        ("Mul", USUAL),
        ("Div", POSITIVE),
        ("Pow", POSITIVE),
        ("Min", USUAL),
        ("Max", USUAL),
        ("Sum", USUAL),
        ("Mean", USUAL),
    ] {
        for kind in OTHERS {
            for is_right in [false, true] {
                if matches!(kind, Other::Same) && (is_right || matches!(op, "Sub" | "Div")) {
                    continue; // x - x and x / x have no slope
                }
                let name = format!("{op} {kind:?} {}", if is_right { "on the left" } else { "on the right" });
                all.push(Case::new(&name, 9, with_ones, range, move |s, x| {
                    let other = other(s, x, kind, range);
                    s.op(op, &if is_right { [&other, x] } else { [x, &other] })
                }));
            }
        }
    }
    for op in ["Min", "Max", "Sum", "Mean"] {
        all.push(Case::new(&format!("{op} of one"), 9, with_ones, USUAL, move |s, x| s.op(op, &[x])));
        all.push(Case::new(&format!("{op} of three"), 9, with_ones, USUAL, move |s, x| {
            let (a, b) = (other(s, x, Other::Smaller, USUAL), other(s, x, Other::SmallerMoving, USUAL));
            s.op(op, &[&a, x, &b])
        }));
    }
    all.extend(constants());
    all.extend(powers());
    all.extend(wheres());
    all.extend(prelus());
    all
}

/// Constants that are nodes, as some exporters write them.
fn constants() -> Vec<Case> {
    let values: [(&str, Value); 3] = [
        ("value_float", 0.7.into()),
        ("value_floats", vec![0.4, -1.2].into()),
        ("value", TensorProto::of_floats("", &[2, 1], &[0.9, -0.3]).into()),
    ];
    let pairs: Shape = |rng| vec![rng.within(2, 3), 2, 2];
    let mut all = Vec::new();
    for (attribute, value) in values {
        let since = if attribute == "value" { 9 } else { 12 };
        all.push(Case::new(&format!("Mul by a node's {attribute}"), since, pairs, USUAL, move |s, x| {
            let constant = s.node(Node::new("Constant", &[], &[]).with(attribute, value.clone()));
            s.op("Mul", &[&constant, x])
        }));
    }
    all
}

fn powers() -> Vec<Case> {
    let mut all = Vec::new();
    for exponent in [2.0, 3.0, 1.0] {
        all.push(Case::new(&format!("Pow {exponent} of both signs"), 9, with_ones, USUAL, move |s, x| {
            let exponent = s.float(exponent);
            s.op("Pow", &[x, &exponent])
        }));
    }
    all.push(Case::new("Pow with a whole exponent", 12, with_ones, USUAL, |s, x| {
        let exponent = s.int_tensor(&[], &[3]);
        s.op("Pow", &[x, &exponent])
    }));
    all
}

/// A constant condition, or one that depends on the picture.
fn condition(s: &mut Sketch, x: &str, shape: &[usize], moving: bool) -> String {
    if moving {
        let bound = s.float(0.2);
        return s.op("Greater", &[x, &bound]);
    }
    let mut values: Vec<i32> = (0..shape.iter().product()).map(|_| i32::from(s.rng.once_in(2))).collect();
    values[0] = 0;
    if let Some(last) = values.last_mut() {
        *last = 1;
    }
    s.typed(data_type::BOOL, shape, &values)
}

fn wheres() -> Vec<Case> {
    let mut all = Vec::new();
    for kind in [Other::Smaller, Other::Larger, Other::SmallerMoving, Other::LargerMoving] {
        for (is_right, moving) in [(false, false), (true, false), (false, true)] {
            let name = format!("Where {kind:?} {is_right} {moving}");
            all.push(Case::new(&name, 9, with_ones, USUAL, move |s, x| {
                let other = other(s, x, kind, USUAL);
                let full = if matches!(kind, Other::Larger | Other::LargerMoving) {
                    s.shape_of(&other)
                } else {
                    s.shape_of(x)
                };
                let condition = condition(s, x, &full, moving);
                s.op("Where", &if is_right { [&condition, &other, x] } else { [&condition, x, &other] })
            }));
        }
    }
    all.push(Case::new("Where by what is not 0", 9, with_ones, USUAL, |s, x| {
        // The condition's own way from the picture has no gradient, though Relu has.
        let above = s.op("Relu", &[x]);
        let condition = s.node(Node::new("Cast", &[&above], &[]).with("to", 9));
        let bent = s.op("Sin", &[x]);
        s.op("Where", &[&condition, &bent, x])
    }));
    all
}

/// Slopes of one a channel, one for all and one a value, and slopes that depend on the picture.
fn prelus() -> Vec<Case> {
    let small: Shape = |rng| vec![rng.within(1, 2), rng.within(2, 3), rng.within(2, 4), 3];
    let mut all = Vec::new();
    for name in ["a channel", "for all", "a value"] {
        for moving in [false, true] {
            all.push(Case::new(&format!("PRelu one slope {name} {moving}"), 9, small, USUAL, move |s, x| {
                let own = s.shape_of(x);
                let shape = match name {
                    "a channel" => std::iter::once(own[1]).chain(own[2..].iter().map(|_| 1)).collect(),
                    "for all" => vec![1],
                    _ => own,
                };
                let slope = if moving { s.mixed(x, &shape, (0.1, 0.5)) } else { s.floats_in(&shape, 0.1, 0.5) };
                s.op("PRelu", &[x, &slope])
            }));
        }
    }
    all.push(Case::new("PRelu of one value", 9, with_ones, USUAL, |s, x| {
        let slope = s.floats_in(&[1], 0.1, 0.5);
        s.op("PRelu", &[x, &slope])
    }));
    all
}
