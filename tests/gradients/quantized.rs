//! QuantizeLinear and DequantizeLinear by their definition: the gradient passes where the value lies inside the integers' range, and is 0 outside.
use super::Drawn;
use super::difference::Running;
use super::sketch::{Sketch, X, data_type};
use crate::support::rng::Rng;
use dermai::onnx::{Node, TensorProto};

/// So near to an end of the range float32 may round to either side.
const EDGE: f32 = 1e-4;

/// A kind of quantisation.
#[derive(Clone, Copy, Debug)]
struct Form {
    since: i64,
    /// Element type and its bounds.
    element: (i32, f32, f32),
    zeros: &'static [i32],
    scales: &'static [f32],
    axis: Option<i64>,
    /// Whether the zero point is given; without one it is 0 of uint8.
    stated: bool,
    /// Whether it is a Constant node, as some exporters write it, instead of an initializer.
    node: bool,
}

const UINT8: (i32, f32, f32) = (data_type::UINT8, 0.0, 255.0);
const INT8: (i32, f32, f32) = (data_type::INT8, -128.0, 127.0);
const UINT16: (i32, f32, f32) = (4, 0.0, 65_535.0);
const INT16: (i32, f32, f32) = (5, -32_768.0, 32_767.0);
const UINT4: (i32, f32, f32) = (21, 0.0, 15.0);
const INT4: (i32, f32, f32) = (22, -8.0, 7.0);
const PLAIN: Form =
    Form { since: 10, element: UINT8, zeros: &[128], scales: &[0.01], axis: None, stated: true, node: false };

const FORMS: [Form; 11] = [
    PLAIN,
    Form { zeros: &[40], scales: &[0.02], ..PLAIN },
    Form { element: INT8, zeros: &[3], scales: &[0.01], ..PLAIN },
    Form { element: INT8, zeros: &[-60], node: true, ..PLAIN },
    Form { zeros: &[0], stated: false, scales: &[0.006], ..PLAIN },
    Form { since: 13, zeros: &[120, 140, 90], scales: &[0.01, 0.004, 0.02], axis: Some(1), ..PLAIN },
    Form {
        since: 13,
        element: INT8,
        zeros: &[0, -3, 90, 7],
        scales: &[0.01, 0.004, 0.02, 0.013],
        axis: Some(-1),
        ..PLAIN
    },
    Form { since: 21, element: INT16, zeros: &[100], scales: &[3e-5], ..PLAIN },
    Form { since: 21, element: UINT16, zeros: &[30_000], scales: &[4e-5], ..PLAIN },
    Form { since: 21, element: INT4, zeros: &[1], scales: &[0.15], ..PLAIN },
    Form { since: 21, element: UINT4, zeros: &[8], scales: &[0.12], ..PLAIN },
];

impl Form {
    /// Scale and zero point of the value at `at`, in row-major order.
    fn of(&self, shape: &[usize], at: usize) -> (f32, f32) {
        let i = match self.axis {
            None => 0,
            Some(-1) => at % shape[shape.len() - 1],
            Some(axis) => at / shape[axis as usize + 1..].iter().product::<usize>() % shape[axis as usize],
        };
        (self.scales[i], self.zeros[i] as f32)
    }

    fn add(&self, s: &mut Sketch, x: &str) -> String {
        let shape: Vec<usize> = self.axis.map(|_| self.scales.len()).into_iter().collect();
        let scale = s.these(&shape, self.scales);
        let mut inputs = vec![x.to_owned(), scale.clone()];
        if self.stated {
            let packed = matches!(self.element.0, 21 | 22); // two values a byte
            let zeros: Vec<i32> =
                if packed { self.zeros.iter().map(|z| z & 15).collect() } else { self.zeros.to_vec() };
            inputs.push(if self.node {
                let dims = shape.iter().map(|&d| d as i64).collect();
                let value =
                    TensorProto { dims, data_type: self.element.0, int32_data: zeros, ..TensorProto::default() };
                s.node(Node::new("Constant", &[], &[]).with("value", value))
            } else {
                s.typed(self.element.0, &shape, &zeros)
            });
        }
        let with_axis = |node: Node| match self.axis {
            Some(axis) => node.with("axis", axis),
            None => node,
        };
        let named: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let quantized = s.node(with_axis(Node::new("QuantizeLinear", &named, &[])));
        inputs[0] = quantized;
        let named: Vec<&str> = inputs.iter().map(String::as_str).collect();
        s.node(with_axis(Node::new("DequantizeLinear", &named, &[])))
    }
}

fn draw(form: Form, opset: i64) -> Drawn {
    let mut s = Sketch::new(Rng::new(opset as u64), opset, vec![2, 3, 4], (-2.0, 2.0));
    let output = form.add(&mut s, X);
    Drawn { name: format!("opset {opset} {form:?}"), sketch: s, output }
}

/// Every form at the oldest opset that has it and at newer ones.
fn drawn() -> impl Iterator<Item = (Form, Drawn)> {
    FORMS
        .into_iter()
        .flat_map(|form| [form.since, i64::midpoint(form.since, 21), 21].map(|opset| (form, draw(form, opset))))
}

/// The graphs, for the counts.
pub fn all() -> Vec<Drawn> {
    drawn().map(|(_, drawn)| drawn).collect()
}

#[test]
fn quantized_gradients_pass_inside_the_range_only() {
    for (form, Drawn { name, sketch, output }) in drawn() {
        let (_, least, most) = form.element;
        let mut running = Running::start(&sketch, &output, None).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        let x = Rng::new(3).floats(24, -2.0, 2.0);
        let weights = running.weights().to_vec();
        let gradient = running.at(&x).unwrap().1;
        let mut inside = 0;
        for (at, (&x, &given)) in x.iter().zip(&gradient).enumerate() {
            let (scale, zero) = form.of(&sketch.shape, at);
            let (low, high) = ((least - zero - 0.5) * scale, (most - zero + 0.5) * scale);
            if (x - low).abs() < EDGE || (x - high).abs() < EDGE {
                continue;
            }
            let is_inside = (low..=high).contains(&x);
            inside += usize::from(is_inside);
            assert_eq!(given, if is_inside { weights[at] } else { 0.0 }, "{name}: value {at}, {x} in {low} to {high}");
        }
        assert!(inside > 4 && inside < 20, "{name}: {inside} of 24 values lie inside");
    }
}

#[test]
fn what_lies_before_and_behind_keeps_its_gradient() {
    let mut s = Sketch::new(Rng::new(1), 13, vec![4], (-1.0, 1.0));
    let (two, three) = (s.float(2.0), s.float(3.0));
    let scaled = s.op("Mul", &[X, &two]);
    let quantized = PLAIN.add(&mut s, &scaled);
    let output = s.op("Mul", &[&quantized, &three]);
    let mut running = Running::start(&s, &output, Some(vec![1.0; 4])).unwrap();
    // Twice the value is 0.4, -0.6, 2 and -2; the range is -1.285 to 1.275.
    assert_eq!(running.at(&[0.2, -0.3, 1.0, -1.0]).unwrap().1, [6.0, 6.0, 0.0, 0.0]);
}

#[test]
fn a_quantized_convolution_has_the_gradient_of_its_dequantized_weights() {
    let mut s = Sketch::new(Rng::new(9), 13, vec![1, 2, 5, 4], (-1.5, 1.5));
    let values: Vec<i32> = (0..54).map(|i| i * 37 % 251 - 125).collect();
    let weights = s.typed(data_type::INT8, &[3, 2, 3, 3], &values);
    let (scale, zero) = (s.these(&[3], &[0.01, 0.02, 0.005]), s.typed(data_type::INT8, &[3], &[0, 4, -7]));
    let weights = s.node(Node::new("DequantizeLinear", &[&weights, &scale, &zero], &[]).with("axis", 0));
    let plain = s.op("Conv", &[X, &weights]);
    let quantized = PLAIN.add(&mut s, X);
    let output = s.op("Conv", &[&quantized, &weights]);
    let x = s.rng.floats(40, -1.5, 1.5);
    let ones = || Some(vec![1.0; s.shape_of(&output).iter().product()]);
    let gradient = |tensor: &str| Running::start(&s, tensor, ones()).unwrap().at(&x).unwrap().1;
    let (expected, given) = (gradient(&plain), gradient(&output));
    for (at, x) in x.iter().enumerate() {
        let expected = if (-1.285..=1.275).contains(x) { expected[at] } else { 0.0 };
        assert!((given[at] - expected).abs() < 1e-5, "value {at}, {x}: {} instead of {expected}", given[at]);
    }
    assert!(expected.iter().filter(|g| g.abs() > 0.1).count() > 20, "{expected:?}");
}
