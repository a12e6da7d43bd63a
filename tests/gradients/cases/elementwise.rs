//! Operators of one input, value by value.
use super::{POSITIVE, USUAL, any};
use crate::gradients::{Case, Place};
use dermai::onnx::Node;

/// Far enough to both sides for what saturates.
const WIDE: (f32, f32) = (-5.0, 5.0);

pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for (op, since, range) in [
        ("Identity", 9, USUAL),
        ("Neg", 9, USUAL),
        ("Relu", 9, USUAL),
        ("Exp", 9, USUAL),
        ("Sigmoid", 9, WIDE),
        ("Tanh", 9, USUAL),
        ("Sqrt", 9, POSITIVE),
        ("Reciprocal", 9, POSITIVE),
        ("Log", 9, POSITIVE),
        ("Abs", 9, USUAL),
        ("Sin", 9, WIDE),
        ("Cos", 9, WIDE),
        ("Erf", 9, USUAL),
        ("Softplus", 9, WIDE),
        ("Softsign", 9, USUAL),
        ("Elu", 9, USUAL),
        ("Celu", 12, USUAL),
        ("Selu", 9, USUAL),
        ("LeakyRelu", 9, USUAL),
        ("HardSigmoid", 9, WIDE),
        ("HardSwish", 14, WIDE),
        ("Mish", 18, WIDE),
        ("Gelu", 20, USUAL),
        ("Swish", 24, WIDE),
    ] {
        all.push(Case::new(op, since, any, range, move |s, x| s.op(op, &[x])));
    }
    for (op, since, attributes) in [
        ("LeakyRelu", 9, vec![("alpha", 0.1)]),
        ("Elu", 9, vec![("alpha", 0.9)]),
        ("Elu", 9, vec![("alpha", 2.0)]),
        ("Celu", 12, vec![("alpha", 1.7)]),
        ("Selu", 9, vec![("alpha", 1.2), ("gamma", 0.8)]),
        ("HardSigmoid", 9, vec![("alpha", 1.0 / 6.0)]),
        ("HardSigmoid", 9, vec![("alpha", 1.0 / 6.0), ("beta", 0.5)]),
        ("HardSigmoid", 9, vec![("alpha", 0.3), ("beta", 0.1)]),
        ("Swish", 24, vec![("alpha", 1.6)]),
    ] {
        let range = if op.starts_with("Hard") { WIDE } else { USUAL };
        all.push(Case::new(&format!("{op} {attributes:?}"), since, any, range, move |s, x| {
            let node = Node::new(op, &[x], &[]);
            s.node(attributes.iter().fold(node, |node, &(name, value)| node.with(name, value)))
        }));
    }
    for approximate in ["none", "tanh"] {
        all.push(Case::new(&format!("Gelu {approximate}"), 20, any, (-3.0, 3.0), move |s, x| {
            s.node(Node::new("Gelu", &[x], &[]).with("approximate", approximate))
        }));
    }
    all.push(Case::new("Gelu of the runtime", 9, any, (-3.0, 3.0), |s, x| {
        s.node(Node { domain: "com.microsoft".to_owned(), ..Node::new("Gelu", &[x], &[]) })
    }));
    all.extend(clips());
    all.extend(dropouts());
    // Not behind just any value: what saturates, and what grows so fast that no step is small enough.
    let is_picky = |case: &Case| case.range != USUAL || case.name.starts_with("Clip") || case.name == "Exp";
    all.into_iter().map(|case| if is_picky(&case) { case } else { case.at(Place::Anywhere) }).collect()
}

fn clips() -> Vec<Case> {
    let mut all = Vec::new();
    for (min, max) in [(Some(-0.7), Some(0.8)), (Some(-0.4), None), (None, Some(0.5)), (None, None)] {
        all.push(
            Case::new(&format!("Clip attributes {min:?} {max:?}"), 9, any, USUAL, move |s, x| {
                let mut node = Node::new("Clip", &[x], &[]);
                for (name, bound) in [("min", min), ("max", max)] {
                    if let Some(bound) = bound {
                        node = node.with(name, bound);
                    }
                }
                s.node(node)
            })
            .until(10),
        );
        all.push(Case::new(&format!("Clip inputs {min:?} {max:?}"), 11, any, USUAL, move |s, x| {
            let [min, max] = [min, max].map(|bound| bound.map(|bound| s.float(bound)));
            let mut inputs = vec![x.to_owned(), min.unwrap_or_default(), max.unwrap_or_default()];
            while inputs.last().is_some_and(String::is_empty) {
                inputs.pop();
            }
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            s.op("Clip", &inputs)
        }));
    }
    all
}

fn dropouts() -> Vec<Case> {
    let with_mask = |count: usize| {
        Case::new(&format!("Dropout with {count} outputs"), 9, any, USUAL, move |s, x| {
            let node = if s.opset < 12 {
                Node::new("Dropout", &[x], &[]).with("ratio", 0.4)
            } else {
                let ratio = s.float(0.4);
                Node::new("Dropout", &[x, &ratio], &[])
            };
            s.nodes(node, count).remove(0)
        })
    };
    vec![with_mask(1), with_mask(2)]
}
