//! Where a function has no derivative, the one that the frameworks take; and which of several maxima gets the gradient.
use super::difference::Running;
use super::sketch::{Sketch, X};
use crate::support::rng::Rng;
use dermai::onnx::{Node, Value};

/// The gradient of the sum of a node's output at `x`.
fn gradient(opset: i64, shape: &[usize], x: &[f32], build: impl Fn(&mut Sketch) -> String) -> Vec<f32> {
    let mut s = Sketch::new(Rng::new(0), opset, shape.to_vec(), (-1.0, 1.0));
    let output = build(&mut s);
    let count = s.shape_of(&output).iter().product();
    let mut running = Running::start(&s, &output, Some(vec![1.0; count])).unwrap();
    running.at(x).unwrap().1
}

/// That of an operator of one input.
fn slopes(op: &str, attributes: &[(&str, f32)], x: &[f32]) -> Vec<f32> {
    gradient(17, &[x.len()], x, |s| {
        let node = attributes.iter().fold(Node::new(op, &[X], &[]), |node, &(name, value)| node.with(name, value));
        s.node(node)
    })
}

fn assert_near(what: &str, given: &[f32], expected: &[f32]) {
    assert_eq!(given.len(), expected.len(), "{what}");
    let near = given.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-6);
    assert!(near, "{what}: {given:?}, expected {expected:?}");
}

#[test]
fn kinks_are_as_in_pytorch() {
    const SIXTH: f32 = 1.0 / 6.0;
    for (op, attributes, x, expected) in [
        ("Relu", &[][..], &[-1.0, 0.0, -0.0, 1.0][..], &[0.0, 0.0, 0.0, 1.0][..]),
        ("LeakyRelu", &[("alpha", 0.2)], &[-1.0, 0.0, 1.0], &[0.2, 0.2, 1.0]),
        ("Elu", &[("alpha", 0.7)], &[0.0, 1.0], &[0.7, 1.0]),
        ("Celu", &[("alpha", 0.7)], &[0.0, 1.0], &[1.0, 1.0]),
        ("Selu", &[("alpha", 2.0), ("gamma", 0.5)], &[0.0, 1.0], &[1.0, 0.5]),
        ("Abs", &[], &[-2.0, 0.0, 2.0], &[-1.0, 0.0, 1.0]),
        ("HardSigmoid", &[("alpha", SIXTH), ("beta", 0.5)], &[-3.0, 0.0, 3.0], &[0.0, SIXTH, 0.0]),
        ("HardSwish", &[], &[-4.0, -3.0, 0.0, 3.0, 4.0], &[0.0, 0.0, 0.5, 1.0, 1.0]),
    ] {
        assert_near(op, &slopes(op, attributes, x), expected);
    }
}

#[test]
fn relu6_is_flat_at_both_ends() {
    let (x, expected) = ([-1.0, 0.0, 3.0, 6.0, 7.0], [0.0, 0.0, 1.0, 0.0, 0.0]);
    let as_inputs = gradient(13, &[5], &x, |s| {
        let (low, high) = (s.float(0.0), s.float(6.0));
        s.op("Clip", &[X, &low, &high])
    });
    assert_near("inputs", &as_inputs, &expected);
    let as_attributes =
        gradient(9, &[5], &x, |s| s.node(Node::new("Clip", &[X], &[]).with("min", 0.0).with("max", 6.0)));
    assert_near("attributes", &as_attributes, &expected);
}

#[test]
fn equal_inputs_of_a_maximum_share() {
    for (op, expected) in [("Max", [0.0, 0.5, 1.0]), ("Min", [1.0, 0.5, 0.0])] {
        for opset in [9, 13] {
            let given = gradient(opset, &[3], &[-1.0, 2.0, 5.0], |s| {
                let bound = s.these(&[3], &[0.0, 2.0, 3.0]);
                s.op(op, &[X, &bound])
            });
            assert_near(op, &given, &expected);
        }
        let three = gradient(13, &[1], &[2.0], |s| {
            let (same, also) = (s.float(2.0), s.float(2.0));
            s.op(op, &[&same, X, &also])
        });
        assert_near(op, &three, &[1.0 / 3.0]);
    }
    let slope = gradient(13, &[3], &[-1.0, 0.0, 1.0], |s| {
        let slope = s.float(0.3);
        s.op("PRelu", &[X, &slope])
    });
    assert_near("PRelu", &slope, &[0.3, 0.3, 1.0]);
}

#[test]
fn the_first_maximum_of_a_window_takes_all() {
    let pool = |opset: i64, shape: &[usize], x: &[f32], attributes: &[(&str, Value)]| {
        gradient(opset, shape, x, |s| {
            let node = Node::new("MaxPool", &[X], &[]);
            s.node(attributes.iter().cloned().fold(node, |node, (name, value)| node.with(name, value)))
        })
    };
    let ints = |name, all: &[i64]| (name, Value::from(all));
    for opset in [9, 10, 11, 12, 17] {
        // Nothing but zeros, as behind a ReLU: the first place of each window.
        let plain = [ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
        let first = [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_near("zeros", &pool(opset, &[1, 1, 2, 4], &[0.0; 8], &plain), &first);
        // Rows come before columns: of (0, 1) and (1, 0) it is the former.
        let order = [0.0, 5.0, 5.0, 0.0];
        assert_near("rows", &pool(opset, &[1, 1, 2, 2], &order, &plain), &[0.0, 1.0, 0.0, 0.0]);
        // Windows that overlap add up; what lies in the padding is no maximum.
        let padded = [ints("kernel_shape", &[3, 3]), ints("strides", &[1, 1]), ints("pads", &[1, 1, 1, 1])];
        let expected = [4.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        assert_near("padded", &pool(opset, &[1, 1, 3, 3], &[0.0; 9], &padded), &expected);
        // The second channel and the second picture count from their own start.
        let twice = pool(opset, &[2, 2, 2, 2], &[7.0; 16], &plain);
        assert_near("planes", &twice, &[1.0, 0.0, 0.0, 0.0].repeat(4));
    }
    let columns = [ints("kernel_shape", &[2, 2]), ("storage_order", 1.into())];
    assert_near("column major", &pool(12, &[1, 1, 2, 2], &[0.0, 5.0, 5.0, 0.0], &columns), &[0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn equal_values_of_a_reduction_share() {
    let x = [3.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 2.0];
    for opset in [9, 10, 13, 18] {
        let global = gradient(opset, &[1, 2, 2, 2], &x, |s| s.op("GlobalMaxPool", &[X]));
        assert_near("GlobalMaxPool", &global, &[0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let reduce = |op: &str| {
            gradient(opset, &[2, 4], &x, |s| {
                if opset < 18 {
                    return s.node(Node::new(op, &[X], &[]).with("axes", vec![1]));
                }
                let axes = s.ints(&[1]);
                s.op(op, &[X, &axes])
            })
        };
        assert_near("ReduceMax", &reduce("ReduceMax"), &[0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let third = 1.0 / 3.0;
        assert_near("ReduceMin", &reduce("ReduceMin"), &[0.0, 0.0, 0.0, 1.0, third, third, third, 0.0]);
    }
}

#[test]
fn the_norm_of_nothing_has_no_slope() {
    let norm = |op: &str| {
        gradient(13, &[2, 2], &[0.0, 0.0, 3.0, 4.0], |s| s.node(Node::new(op, &[X], &[]).with("axes", vec![1])))
    };
    assert_near("ReduceL2", &norm("ReduceL2"), &[0.0, 0.0, 0.6, 0.8]);
    assert_near("ReduceL1", &norm("ReduceL1"), &[0.0, 0.0, 1.0, 1.0]);
    let unit = gradient(13, &[2, 2], &[0.0, 0.0, 3.0, 4.0], |s| s.op("LpNormalization", &[X]));
    assert_near("LpNormalization", &unit, &[0.0, 0.0, 0.032, -0.024]);
}
