//! Resize and Upsample: every nearest mode, every coordinate transformation, larger and smaller, by scales and by sizes.
use super::USUAL;
use crate::gradients::Case;
use crate::gradients::difference::Running;
use crate::gradients::sketch::{Sketch, X};
use crate::support::rng::Rng;
use dermai::onnx::Node;

const NEAREST: [&str; 4] = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];
const TRANSFORMATIONS: [&str; 5] =
    ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"];

fn shape(rng: &mut Rng) -> Vec<usize> {
    vec![1, rng.within(1, 2), rng.within(3, 5), rng.within(4, 6)]
}

/// How the output's size is said.
#[derive(Clone, Copy, Debug)]
enum By {
    Scales(&'static [f32]),
    Sizes(&'static [i64]),
}

const SIZES: [By; 7] = [
    By::Scales(&[1.0, 1.0, 2.0, 2.0]),
    By::Scales(&[1.0, 1.0, 1.25, 2.5]),
    By::Scales(&[1.0, 1.0, 0.75, 0.5]),
    By::Scales(&[1.0, 1.0, 1.125, 1.0]),
    By::Sizes(&[1, 0, 7, 5]),
    By::Sizes(&[1, 0, 2, 9]),
    By::Sizes(&[1, 0, 1, 1]),
];

/// A Resize since opset 11, its attributes given.
fn resize(s: &mut Sketch, x: &str, by: By, node: impl Fn(&[&str]) -> Node) -> String {
    // From opset 13 on what is not needed is left out.
    let roi = if s.opset < 13 { s.these(&[0], &[]) } else { String::new() };
    match by {
        By::Scales(scales) => {
            let scales = s.these(&[scales.len()], scales);
            s.node(node(&[x, &roi, &scales]))
        }
        By::Sizes(sizes) => {
            let own = s.shape_of(x);
            let sizes: Vec<i64> =
                sizes.iter().enumerate().map(|(i, &n)| if n == 0 { own[i] as i64 } else { n }).collect();
            let (sizes, none) = (s.ints(&sizes), if s.opset < 13 { s.these(&[0], &[]) } else { String::new() });
            s.node(node(&[x, &roi, &none, &sizes]))
        }
    }
}

pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for transformation in TRANSFORMATIONS {
        let since = if transformation == "half_pixel_symmetric" { 19 } else { 11 };
        for by in SIZES {
            for nearest in NEAREST {
                all.push(Case::new(
                    &format!("Resize nearest {nearest} {transformation} {by:?}"),
                    since,
                    shape,
                    USUAL,
                    move |s, x| {
                        resize(s, x, by, |inputs| {
                            Node::new("Resize", inputs, &[])
                                .with("coordinate_transformation_mode", transformation)
                                .with("mode", "nearest")
                                .with("nearest_mode", nearest)
                        })
                    },
                ));
            }
            all.push(Case::new(&format!("Resize linear {transformation} {by:?}"), since, shape, USUAL, move |s, x| {
                resize(s, x, by, |inputs| {
                    Node::new("Resize", inputs, &[])
                        .with("coordinate_transformation_mode", transformation)
                        .with("mode", "linear")
                })
            }));
        }
    }
    // As exporters write it, with an attribute that only cubic needs.
    for (transformation, mode) in [("asymmetric", "nearest"), ("half_pixel", "linear")] {
        all.push(Case::new(&format!("Resize {transformation} {mode} in full"), 11, shape, USUAL, move |s, x| {
            resize(s, x, By::Scales(&[1.0, 1.0, 2.0, 2.0]), |inputs| {
                Node::new("Resize", inputs, &[])
                    .with("coordinate_transformation_mode", transformation)
                    .with("cubic_coeff_a", -0.75)
                    .with("mode", mode)
                    .with("nearest_mode", "floor")
            })
        }));
    }
    all.push(Case::new("Resize without attributes", 11, shape, USUAL, |s, x| {
        resize(s, x, By::Scales(&[1.0, 1.0, 2.0, 1.5]), |inputs| Node::new("Resize", inputs, &[]))
    }));
    for by in [By::Scales(&[1.25, 2.0]), By::Sizes(&[4, 7])] {
        for mode in ["nearest", "linear"] {
            all.push(Case::new(&format!("Resize of two axes {mode} {by:?}"), 18, shape, USUAL, move |s, x| {
                resize(s, x, by, |inputs| Node::new("Resize", inputs, &[]).with("axes", vec![2, 3]).with("mode", mode))
            }));
        }
    }
    all.push(Case::new("Resize linear of a matrix", 11, super::matrix, USUAL, |s, x| {
        resize(s, x, By::Scales(&[2.0, 1.5]), |inputs| Node::new("Resize", inputs, &[]).with("mode", "linear"))
    }));
    for mode in ["nearest", "linear"] {
        all.push(Case::new(&format!("Resize {mode} of channels last"), 11, shape, USUAL, move |s, x| {
            resize(s, x, By::Scales(&[1.0, 2.0, 1.5, 1.0]), |inputs| {
                Node::new("Resize", inputs, &[]).with("mode", mode)
            })
        }));
        all.push(Case::new(&format!("Resize {mode} of a line"), 11, super::line, USUAL, move |s, x| {
            resize(s, x, By::Scales(&[1.0, 1.0, 1.5]), |inputs| Node::new("Resize", inputs, &[]).with("mode", mode))
        }));
        all.push(Case::new(&format!("Resize {mode} of a volume"), 11, super::volume, USUAL, move |s, x| {
            resize(s, x, By::Scales(&[1.0, 1.0, 1.5, 2.0, 0.5]), |inputs| {
                Node::new("Resize", inputs, &[]).with("mode", mode)
            })
        }));
    }
    all.extend(old());
    all
}

/// Up to opset 10 there is one transformation, and the scales are the second input.
fn old() -> Vec<Case> {
    let mut all = Vec::new();
    for mode in ["nearest", "linear"] {
        for scales in [[1.0f32, 1.0, 2.0, 3.0], [1.0, 1.0, 1.25, 2.5], [1.0, 1.0, 1.0, 2.0], [1.0, 1.0, 0.625, 0.5]] {
            for (op, opset) in [("Upsample", 9), ("Resize", 10)] {
                if op == "Upsample" && scales[3] < 1.0 {
                    continue;
                }
                all.push(
                    Case::new(&format!("{op} {mode} {scales:?}"), opset, shape, USUAL, move |s, x| {
                        let scales = s.these(&[4], &scales);
                        s.node(Node::new(op, &[x, &scales], &[]).with("mode", mode))
                    })
                    .until(opset),
                );
            }
        }
    }
    all
}

#[test]
fn the_output_is_as_long_as_in_float32() {
    // 5 times 2.6 are 13 in float32; in float64 they are a little less, because 2.6 itself is.
    let mut s = Sketch::new(Rng::new(0), 13, vec![1, 1, 5, 5], USUAL);
    let output = resize(&mut s, X, By::Scales(&[1.0, 1.0, 1.0, 2.6]), |inputs| Node::new("Resize", inputs, &[]));
    assert_eq!(s.shape_of(&output), [1, 1, 5, 13]);
    Running::start(&s, &output, None).unwrap(); // asks the runtime
}
