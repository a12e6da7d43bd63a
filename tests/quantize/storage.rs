//! How a bundle keeps weights: its two forms share them, and every kind of layer's are made small.
use super::{MODES, default_model, farthest, forms_apart, maps_apart, say};
use crate::gradients::sketch::{Sketch, X};
use crate::support::models::CARD;
use crate::support::program::fixture;
use crate::support::rng::Rng;
use dermai::model::{Prepared, cpu_class};
use dermai::onnx::{Graph, ModelFile, Node, TensorProto};
use dermai::quantize::{Bound, Calibration, Config, Effort, Made, Mode, Pictures, make};
use std::fs;
use std::path::Path;

/// Largest size of the default model's bundle, as a share of the model's file. Its channels are few, so that a block of 16 is half empty in
/// some layers; without sharing it would be 2.1, 1.1 and 0.6.
fn largest(mode: Mode) -> f64 {
    match mode {
        Mode::Prepare => 1.25,
        Mode::Fp16 => 0.7,
        Mode::Int8Weights => 0.45,
        Mode::Int8 => 0.4,
    }
}

/// Calibrated with the pictures of the fixtures, where the mode takes any.
fn bundle(model: &Path, mode: Mode, output: &Path) -> Made {
    let calibration = || Calibration {
        pictures: Pictures::unlabelled(&fixture("images")).unwrap(),
        method: None,
        bound: Bound::Full,
        effort: Effort::Plain,
    };
    let calibration = (mode == Mode::Int8).then(calibration);
    let config = Config { calibration, ..Config::plain(mode, output.to_owned()) };
    make(&Prepared::find(Some(model)).unwrap(), &config, &mut ()).unwrap()
}

/// Renames the class of CPU of the fast forms, so that the portable ones are taken here.
fn forget_fast_forms(bundle: &Path) {
    let card = bundle.join("model.yaml");
    let text = fs::read_to_string(&card).unwrap();
    let fast = format!("cpu: {}\n", cpu_class());
    assert!(text.contains(&fast), "{text}");
    fs::write(&card, text.replace(&fast, "cpu: another\n")).unwrap();
}

#[test]
fn the_portable_form_answers_as_the_fast_one_over_the_same_weights() {
    let photo = fixture("images/lesion.jpg");
    for mode in MODES.into_iter().chain([Mode::Int8]) {
        let place = tempfile::tempdir().unwrap();
        let output = place.path().join("small");
        let made = bundle(&default_model(), mode, &output);
        let share = made.after.0 as f64 / made.before.0 as f64;
        assert!(share <= largest(mode), "{mode}: {share:.2} of the model");
        let fast = say(&output, &photo);
        forget_fast_forms(&output);
        let portable = say(&output, &photo);
        let apart = [
            farthest(&fast.probabilities, &portable.probabilities),
            maps_apart(&fast.map.unwrap(), &portable.map.unwrap()),
        ];
        assert!(
            apart[0] <= forms_apart(mode).0 && apart[1] <= forms_apart(mode).1,
            "{mode}: probabilities and maps {apart:?} apart"
        );
    }
}

/// Two transposed convolutions, the second in groups, behind each other.
pub fn transposing() -> Vec<u8> {
    let mut sketch = Sketch::new(Rng::new(7), 17, vec![1, 3, 8, 8], (0.0, 1.0));
    let spread = sketch.floats(&[16, 3, 1, 1]);
    let mut last = sketch.op("Conv", &[X, &spread]);
    for (shape, groups) in [([16, 20, 3, 5], 1i64), ([20, 8, 3, 3], 2)] {
        let weight = sketch.floats(&shape);
        let node = Node::new("ConvTranspose", &[&last, &weight], &[]).with("strides", vec![2, 2]);
        let grown = sketch.node(node.with("group", groups));
        last = sketch.op("Tanh", &[&grown]);
    }
    let mean = sketch.op("GlobalAveragePool", &[&last]);
    let flat = sketch.reshape(&mean, &[1, 16]);
    let head = sketch.floats(&[16, 3]);
    let scores = sketch.op("MatMul", &[&flat, &head]);
    let output = sketch.op("Softmax", &[&scores]);
    sketch.model(&output).0
}

#[test]
fn transposed_convolutions_are_stored_as_int8_too() {
    let place = tempfile::tempdir().unwrap();
    let (model, output) = (place.path().join("source"), place.path().join("small"));
    fs::create_dir(&model).unwrap();
    fs::write(model.join("model.onnx"), transposing()).unwrap();
    fs::write(model.join("model.yaml"), CARD).unwrap();
    bundle(&model, Mode::Int8Weights, &output);
    let graph: Graph = ModelFile::open(&output.join("predict.any.onnx")).unwrap().graph().unwrap();
    let small = graph.initializer_names().filter_map(|name| graph.initializer(name));
    let small: Vec<_> = small.filter(|t| t.data_type == TensorProto::INT8).map(|t| t.dims.clone()).collect();
    assert_eq!(small.len(), 2, "{small:?}");
    let axes: Vec<_> = graph.nodes.iter().filter(|n| n.op_type == "DequantizeLinear").map(|n| n.int("axis")).collect();
    // 1 is what it is where nothing is said.
    assert!(axes.contains(&Some(0)) && axes.contains(&None), "{axes:?}");
    let photo = fixture("images/lesion.jpg");
    let (before, after) = (say(&model, &photo), say(&output, &photo));
    let apart = farthest(&before.probabilities, &after.probabilities);
    assert!(apart > 0.0 && apart < 2e-3, "probabilities {apart:.1e} apart");
}
