//! Conversions between number types. What rounds has no difference to compare with: `quantized` tests it by its definition.
use super::{USUAL, any};
use crate::gradients::Case;
use dermai::onnx::Node;

pub fn all() -> Vec<Case> {
    vec![
        Case::new("Cast to float32", 9, any, USUAL, |s, x| s.node(Node::new("Cast", &[x], &[]).with("to", 1))),
        // The mask that a condition becomes has no slope; what it weighs has.
        Case::new("Cast of a mask", 9, any, USUAL, |s, x| {
            let bound = s.float(0.1);
            let above = s.op("Greater", &[x, &bound]);
            let mask = s.node(Node::new("Cast", &[&above], &[]).with("to", 1));
            let plain = s.node(Node::new("Cast", &[x], &[]).with("to", 1));
            s.op("Mul", &[&plain, &mask])
        }),
    ]
}
