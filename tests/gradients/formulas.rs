//! Slopes of functions of one value against their definition in float64: constants that a difference in float32 could not tell from others.
use super::difference::Running;
use super::sketch::{Sketch, X};
use crate::support::rng::Rng;
use dermai::onnx::{Node, Value};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// What float32, and the runtime's own approximations of these functions, leave.
const TOLERANCE: f64 = 1e-5;
/// Places away from every kink.
const AT: [f32; 10] = [-3.7, -2.2, -1.1, -0.4, -0.05, 0.03, 0.3, 0.9, 1.8, 3.4];

/// Operator, operator set, attributes, function.
type Formula = (&'static str, i64, Vec<(&'static str, Value)>, fn(f64) -> f64);

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.exp().ln_1p()
}

/// By Simpson's rule; float64 has no error function in the standard library.
fn erf(x: f64) -> f64 {
    const PARTS: i32 = 400;
    let width = x / f64::from(PARTS);
    let bell = |i: i32| (-(width * f64::from(i)).powi(2)).exp();
    let weighted = |i: i32| bell(i) * if i == 0 || i == PARTS { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    2.0 / PI.sqrt() * width / 3.0 * (0..=PARTS).map(weighted).sum::<f64>()
}

fn formulas() -> Vec<Formula> {
    let alpha = |value: f32| vec![("alpha", Value::from(value))];
    vec![
        ("Exp", 13, vec![], f64::exp),
        ("Sigmoid", 13, vec![], sigmoid),
        ("Tanh", 13, vec![], f64::tanh),
        ("Sin", 13, vec![], f64::sin),
        ("Cos", 13, vec![], f64::cos),
        ("Erf", 13, vec![], erf),
        ("Softplus", 13, vec![], softplus),
        ("Softsign", 13, vec![], |x| x / (1.0 + x.abs())),
        ("LeakyRelu", 13, vec![], |x| if x > 0.0 { x } else { 0.01 * x }),
        ("Elu", 13, alpha(0.9), |x| if x > 0.0 { x } else { 0.9 * x.exp_m1() }),
        ("Celu", 13, alpha(1.7), |x| if x > 0.0 { x } else { 1.7 * (x / 1.7).exp_m1() }),
        // The constants of the specification.
        ("Selu", 13, vec![], |x| 1.050_700_987_355_48 * if x > 0.0 { x } else { 1.673_263_242_354_38 * x.exp_m1() }),
        ("HardSigmoid", 13, alpha(0.15), |x| (0.15 * x + 0.5).clamp(0.0, 1.0)),
        ("HardSwish", 14, vec![], |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        ("Mish", 18, vec![], |x| x * softplus(x).tanh()),
        ("Swish", 24, alpha(1.6), |x| x * sigmoid(1.6 * x)),
        ("Gelu", 20, vec![], |x| x * (1.0 + erf(x * FRAC_1_SQRT_2)) / 2.0),
        ("Gelu", 20, vec![("approximate", "tanh".into())], |x| {
            x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh()) / 2.0
        }),
    ]
}

#[test]
fn slopes_are_those_of_the_definition() {
    for (op, opset, attributes, function) in formulas() {
        let mut s = Sketch::new(Rng::new(0), opset, vec![AT.len()], (-1.0, 1.0));
        let node =
            attributes.iter().cloned().fold(Node::new(op, &[X], &[]), |node, (name, value)| node.with(name, value));
        let output = s.node(node);
        let gradient = Running::start(&s, &output, Some(vec![1.0; AT.len()])).unwrap().at(&AT).unwrap().1;
        for (x, given) in AT.iter().zip(gradient) {
            const STEP: f64 = 1e-5;
            let x = f64::from(*x);
            let slope = (function(x + STEP) - function(x - STEP)) / (2.0 * STEP);
            let error = (f64::from(given) - slope).abs() / slope.abs().max(1.0);
            assert!(error < TOLERANCE, "{op} {attributes:?} at {x}: {given} instead of {slope}");
        }
    }
}
