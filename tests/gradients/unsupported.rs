//! An operator without a rule between layer and classes: an error that says which, and what works instead; never a wrong map.
use super::sketch::{Sketch, X, data_type};
use crate::support::rng::Rng;
use dermai::explain::backward::{Emit, append};
use dermai::explain::{Explainer, Reading, Wanted};
use dermai::model::{Prepared, SessionOptions};
use dermai::onnx::{Node, infer};
use std::fs;
use tempfile::TempDir;

/// Convolution, ReLU, an LRN, which has no rule, convolution, ReLU and a head; with the names of its tensors.
fn sketch() -> (Sketch, Vec<String>) {
    let mut s = Sketch::new(Rng::new(5), 17, vec![1, 3, 8, 8], (-1.0, 1.0));
    let conv = |s: &mut Sketch, x: &str, channels: [usize; 2]| {
        let weights = s.floats(&[channels[1], channels[0], 3, 3]);
        s.op("Conv", &[x, &weights])
    };
    let first = conv(&mut s, X, [3, 4]);
    let early = s.op("Relu", &[&first]);
    let normal = s.node(Node::new("LRN", &[&early], &[]).with("size", 3));
    let second = conv(&mut s, &normal, [4, 5]);
    let late = s.op("Relu", &[&second]);
    let pooled = s.op("GlobalAveragePool", &[&late]);
    let flat = s.op("Flatten", &[&pooled]);
    let weights = s.floats(&[5, 2]);
    let logits = s.op("MatMul", &[&flat, &weights]);
    (s, vec![early, normal, late, logits])
}

/// The same as a model in a folder.
fn folder() -> (TempDir, Vec<String>) {
    let (sketch, names) = sketch();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.onnx"), sketch.model(&names[3]).0).unwrap();
    let card = "card: 1\nname: tiny\nmodel: {file: model.onnx}\n\
        input: {layout: NCHW, size: [8, 8], color: RGB, resize: {mode: stretch, filter: bilinear}, scale: 1.0, mean: [0, 0, 0], std: [1, 1, 1]}\n\
        output: {kind: logits}\nlabels: [{id: a}, {id: b}]\n";
    fs::write(folder.path().join("model.yaml"), card).unwrap();
    (folder, names)
}

fn prepared(folder: &TempDir) -> Prepared {
    Prepared::find(Some(folder.path())).unwrap_or_else(|e| panic!("{e:#}"))
}

#[test]
fn a_layer_before_an_operator_without_a_rule_is_refused_by_name() {
    let (folder, names) = folder();
    let [early, normal, late, _] = names.as_slice() else { panic!() };
    let reading = Reading::of(&prepared(&folder)).unwrap();
    let refused = reading.layer(Some(early)).unwrap_err().to_string();
    for part in [format!("layer `{early}`"), "`node 2` (LRN)".to_owned(), format!("is `{normal}`")] {
        assert!(refused.contains(&part), "{refused:?} does not say {part:?}");
    }
    let question = |layer: &str| Wanted { layer: Some(layer.to_owned()), ..Wanted::default() };
    let options = SessionOptions { threads: 1, spinning: false };
    let started = Explainer::start(prepared(&folder), &question(early), &options).unwrap_err().to_string();
    assert_eq!(started, refused);
    // What it advises works, and so does what is taken without being told.
    for layer in [normal, late] {
        Explainer::start(prepared(&folder), &question(layer), &options).unwrap_or_else(|e| panic!("{layer}: {e:#}"));
    }
    assert_eq!(reading.layer(None).unwrap().name, *late);
}

#[test]
fn the_backward_pass_names_node_and_operator() {
    let (sketch, names) = sketch();
    let (_, graph) = sketch.model(&names[3]);
    let shapes = infer(&graph, &[(X, &sketch.shape)]);
    let to = |target: &str| {
        let mut emit = Emit::new(graph.opset, "gradient/").unwrap();
        let seed = emit.floats(&[1, 2], &[1.0, 0.0]);
        append(&graph, &shapes, &mut emit, target, &names[3], seed)
    };
    for target in [X, &names[0]] {
        let refused = to(target).unwrap_err().to_string();
        assert!(refused.contains("`node 2` (LRN) has no backward rule"), "{refused}");
    }
    for target in &names[1..3] {
        to(target).unwrap_or_else(|e| panic!("{target}: {e:#}"));
    }
}

/// A graph that ends in a node whose rule cannot be applied, and what the error says.
type Refused = (&'static str, i64, fn(&mut Sketch) -> String);

#[test]
fn what_a_rule_does_not_cover_is_refused() {
    let all: [Refused; 14] = [
        ("has no backward rule", 17, |s| s.node(Node { domain: "a.vendor".into(), ..Node::new("Relu", &[X], &[]) })),
        ("its weights depend on the picture", 17, |s| {
            let weights = s.mixed(X, &[2, 2, 1, 1], (-1.0, 1.0));
            s.op("Conv", &[X, &weights])
        }),
        ("its weights depend on the picture", 17, |s| {
            let weights = s.mixed(X, &[2, 2, 1, 1], (-1.0, 1.0));
            s.op("ConvTranspose", &[X, &weights])
        }),
        ("its scale depends on the picture", 17, |s| {
            let (scale, bias) = (s.mixed(X, &[2], (-1.0, 1.0)), s.floats(&[2]));
            s.op("InstanceNormalization", &[X, &scale, &bias])
        }),
        ("it is in training mode", 17, |s| {
            let (ratio, yes) = (s.float(0.5), s.typed(data_type::BOOL, &[], &[1]));
            s.op("Dropout", &[X, &ratio, &yes])
        }),
        ("it is in training mode", 17, |s| {
            let (a, b, mean, var) = (s.floats(&[2]), s.floats(&[2]), s.floats(&[2]), s.floats_in(&[2], 0.5, 1.0));
            s.node(Node::new("BatchNormalization", &[X, &a, &b, &mean, &var], &[]).with("training_mode", 1))
        }),
        ("takes a diagonal", 17, |s| s.node(Node::new("Einsum", &[X], &[]).with("equation", "ncii->nc"))),
        ("takes a diagonal, or sums one operand alone", 17, |s| {
            s.node(Node::new("Einsum", &[X], &[]).with("equation", "nchw->nc"))
        }),
        ("more than two operands or an ellipsis", 17, |s| {
            s.node(Node::new("Einsum", &[X], &[]).with("equation", "...ij->...ji"))
        }),
        ("its mode `cubic` has no rule", 17, |s| resized(s, |node| node.with("mode", "cubic"))),
        ("it antialiases", 18, |s| resized(s, |node| node.with("mode", "linear").with("antialias", 1))),
        ("`tf_half_pixel_for_nn` has no rule", 11, |s| {
            resized(s, |node| node.with("coordinate_transformation_mode", "tf_half_pixel_for_nn"))
        }),
        ("it casts to float64", 17, |s| s.node(Node::new("Cast", &[X], &[]).with("to", 11))),
        ("its norm is not the Euclidean one", 17, |s| s.node(Node::new("LpNormalization", &[X], &[]).with("p", 1))),
    ];
    for (says, opset, build) in all {
        let mut s = Sketch::new(Rng::new(2), opset, vec![1, 2, 3, 3], (-1.0, 1.0));
        let output = build(&mut s);
        let (_, graph) = s.model(&output);
        let shapes = infer(&graph, &[(X, &s.shape)]);
        let mut emit = Emit::new(opset, "gradient/").unwrap();
        let seed = emit.floats(&[1], &[1.0]);
        let refused = format!("{:#}", append(&graph, &shapes, &mut emit, X, &output, seed).expect_err(says));
        let op = &s.nodes.last().unwrap().op_type;
        assert!(refused.contains(says) && refused.contains(&format!("({op})")), "{refused:?} does not say {says:?}");
    }
}

fn resized(s: &mut Sketch, with: impl Fn(Node) -> Node) -> String {
    let (roi, scales) = (s.these(&[0], &[]), s.these(&[4], &[1.0, 1.0, 2.0, 2.0]));
    s.node(with(Node::new("Resize", &[X, &roi, &scales], &[])))
}
