//! Convolutions, forward and transposed: strides, dilations, pads, groups, in one to three dimensions.
use super::{USUAL, groups, line, map, volume};
use crate::gradients::sketch::Sketch;
use crate::gradients::{Case, Shape};
use dermai::onnx::Node;

/// Attributes of a convolution; empty lists are left out.
#[derive(Clone, Copy, Debug)]
struct Form {
    kernel: &'static [i64],
    strides: &'static [i64],
    dilations: &'static [i64],
    pads: &'static [i64],
    auto_pad: &'static str,
    group: usize,
    bias: bool,
}

const PLAIN: Form =
    Form { kernel: &[3, 3], strides: &[], dilations: &[], pads: &[], auto_pad: "", group: 1, bias: true };

impl Form {
    fn node(&self, op: &str, inputs: &[&str]) -> Node {
        let mut node = Node::new(op, inputs, &[]);
        for (name, list) in [("strides", self.strides), ("dilations", self.dilations), ("pads", self.pads)] {
            if !list.is_empty() {
                node = node.with(name, list);
            }
        }
        if !self.auto_pad.is_empty() {
            node = node.with("auto_pad", self.auto_pad);
        }
        if self.group > 1 { node.with("group", self.group as i64) } else { node }
    }

    fn add(&self, s: &mut Sketch, x: &str, op: &str, with: impl Fn(Node) -> Node) -> String {
        let channels = s.shape_of(x)[1];
        let others = s.rng.within(1, 2) * self.group;
        let (first, second) =
            if op == "Conv" { (others, channels / self.group) } else { (channels, others / self.group) };
        let kernel: Vec<usize> = self.kernel.iter().map(|&k| k as usize).collect();
        let weights = s.floats(&[&[first, second], kernel.as_slice()].concat());
        let mut inputs = vec![x.to_owned(), weights];
        if self.bias {
            inputs.push(s.floats(&[others]));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        s.node(with(self.node(op, &inputs)))
    }
}

fn conv(name: &str, shape: Shape, form: Form) -> Case {
    Case::new(&format!("Conv {name}"), 9, shape, USUAL, move |s, x| form.add(s, x, "Conv", |node| node))
}

pub fn all() -> Vec<Case> {
    let mut all = vec![
        conv("plain", map, PLAIN),
        conv("without bias", map, Form { bias: false, pads: &[1, 1, 1, 1], ..PLAIN }),
        conv("strides 2", map, Form { strides: &[2, 2], pads: &[1, 1, 1, 1], ..PLAIN }),
        conv("strides 3 that leave a rest", map, Form { kernel: &[2, 1], strides: &[3, 2], ..PLAIN }),
        conv("patches of 16", |_| vec![1, 2, 33, 32], Form { kernel: &[16, 16], strides: &[16, 16], ..PLAIN }),
        conv("patches of 4", |_| vec![1, 3, 9, 11], Form { kernel: &[4, 4], strides: &[4, 4], ..PLAIN }),
        conv("groups", groups, Form { group: 2, pads: &[1, 1, 1, 1], ..PLAIN }),
        conv("depthwise", groups, Form { group: 4, ..PLAIN }),
        conv("groups, strides 1 and 2", groups, Form { group: 2, strides: &[1, 2], pads: &[1, 0, 1, 0], ..PLAIN }),
        conv("groups, strides 2", groups, Form { group: 4, strides: &[2, 2], ..PLAIN }),
        conv("dilated", map, Form { dilations: &[2, 2], pads: &[2, 2, 2, 2], ..PLAIN }),
        conv(
            "dilated one way",
            |_| vec![1, 2, 6, 9],
            Form { kernel: &[2, 3], dilations: &[1, 3], strides: &[2, 1], ..PLAIN },
        ),
        conv("SAME_UPPER, groups", groups, Form { auto_pad: "SAME_UPPER", group: 4, ..PLAIN }),
        conv("SAME_UPPER, strides 2", map, Form { auto_pad: "SAME_UPPER", kernel: &[4, 3], strides: &[2, 2], ..PLAIN }),
        conv("SAME_LOWER, strides 2", map, Form { auto_pad: "SAME_LOWER", kernel: &[4, 2], strides: &[2, 2], ..PLAIN }),
        conv("VALID, strides 2", map, Form { auto_pad: "VALID", strides: &[2, 2], ..PLAIN }),
        conv("asymmetric pads", map, Form { pads: &[0, 0, 1, 1], strides: &[2, 2], ..PLAIN }),
        conv("asymmetric pads, groups", groups, Form { pads: &[0, 0, 1, 1], strides: &[2, 2], group: 2, ..PLAIN }),
        conv("four different pads", map, Form { pads: &[2, 0, 1, 3], ..PLAIN }),
        conv("1-D", line, Form { kernel: &[3], strides: &[2], dilations: &[2], pads: &[1, 2], ..PLAIN }),
        conv("1-D, SAME_UPPER", line, Form { kernel: &[4], strides: &[3], auto_pad: "SAME_UPPER", ..PLAIN }),
        conv("3-D", volume, Form { kernel: &[2, 1, 3], strides: &[2, 1, 2], pads: &[0, 1, 1, 1, 0, 0], ..PLAIN }),
    ];
    // What exporters write in full.
    all.push(Case::new("Conv with every attribute", 9, map, USUAL, |s, x| {
        Form { pads: &[1, 1, 1, 1], strides: &[1, 1], dilations: &[1, 1], auto_pad: "NOTSET", ..PLAIN }.add(
            s,
            x,
            "Conv",
            |node| node.with("group", 1).with("kernel_shape", vec![3, 3]),
        )
    }));
    all.extend(transposed());
    all
}

fn transpose(name: &str, shape: Shape, form: Form, extra: (&'static str, &'static [i64])) -> Case {
    Case::new(&format!("ConvTranspose {name}"), 9, shape, USUAL, move |s, x| {
        form.add(s, x, "ConvTranspose", |node| if extra.0.is_empty() { node } else { node.with(extra.0, extra.1) })
    })
}

fn transposed() -> Vec<Case> {
    const NONE: (&str, &[i64]) = ("", &[]);
    const TWICE: Form = Form { strides: &[2, 2], pads: &[1, 1, 1, 1], ..PLAIN };
    let small: Shape = |rng| vec![rng.within(1, 2), rng.within(2, 3), rng.within(2, 4), 3];
    let small_groups: Shape = |rng| vec![1, 4, rng.within(2, 4), 3];
    let fixed: Shape = |_| vec![1, 2, 4, 3];
    let mut all = vec![
        transpose("plain", small, PLAIN, NONE),
        transpose("strides 2", small, TWICE, NONE),
        transpose("strides 2, output_padding", small, TWICE, ("output_padding", &[1, 0])),
        transpose("strides 3, output_padding", small, Form { strides: &[3, 3], ..PLAIN }, ("output_padding", &[1, 2])),
        transpose("strides wider than the kernel", small, Form { kernel: &[2, 2], strides: &[3, 2], ..PLAIN }, NONE),
        transpose("groups", small_groups, Form { group: 2, ..TWICE }, ("output_padding", &[0, 1])),
        transpose("depthwise", small_groups, Form { group: 4, bias: false, ..PLAIN }, NONE),
        transpose("dilated", small, Form { dilations: &[2, 1], pads: &[1, 0, 0, 2], ..PLAIN }, NONE),
        transpose("asymmetric pads", small, Form { strides: &[2, 2], pads: &[0, 1, 2, 0], ..PLAIN }, NONE),
        transpose("VALID", small, Form { strides: &[2, 1], auto_pad: "VALID", ..PLAIN }, NONE),
        transpose("SAME_UPPER", small, Form { strides: &[2, 2], auto_pad: "SAME_UPPER", ..PLAIN }, NONE),
        transpose("SAME_LOWER", small, Form { strides: &[2, 2], auto_pad: "SAME_LOWER", ..PLAIN }, NONE),
        transpose("SAME_UPPER, wide kernel", small, Form { kernel: &[5, 4], auto_pad: "SAME_UPPER", ..PLAIN }, NONE),
        transpose("1-D", line, Form { kernel: &[3], strides: &[2], pads: &[1, 0], ..PLAIN }, ("output_padding", &[1])),
        transpose(
            "3-D",
            volume,
            Form { kernel: &[2, 1, 2], strides: &[2, 1, 1], pads: &[1, 0, 0, 0, 0, 1], ..PLAIN },
            NONE,
        ),
    ];
    for auto_pad in ["NOTSET", "SAME_UPPER", "SAME_LOWER"] {
        // 9 and 7 is what there is without pads; 8 and 5 cut off, 10 and 8 add.
        for shape in [&[9i64, 7][..], &[8, 4], &[7, 6], &[10, 8], &[6, 5]] {
            let form = Form { strides: &[2, 2], auto_pad, ..PLAIN };
            all.push(transpose(&format!("output_shape {shape:?} {auto_pad}"), fixed, form, ("output_shape", shape)));
        }
    }
    all.push(Case::new("ConvTranspose with every attribute", 9, small, USUAL, |s, x| {
        Form { dilations: &[1, 1], ..TWICE }.add(s, x, "ConvTranspose", |node| {
            node.with("group", 1).with("kernel_shape", vec![3, 3]).with("output_padding", vec![1, 1])
        })
    }));
    all
}
