//! Forms that are calibrated, `int8` and `int8-weights`: trained networks keep their answers and maps, the same input gives the same bytes, and what
//! cannot be calibrated is told.
use super::storage::transposing;
use super::{files, quantize};
use crate::gradients::sketch::{Sketch, X};
use crate::support::models::{CARD, card, copy, folder, model, put_behind_input};
use crate::support::pictures::png;
use crate::support::program::{fixture, predict_in, quantize_in};
use crate::support::rng::Rng;
use crate::support::shared::{folders, on_all_cores, shared};
use dermai::model::Prepared;
use dermai::onnx::{Node, TensorProto};
use dermai::quantize::{Bound, Calibration, Config, Effort, Mode, Pictures, make};
use dermai::units::Size;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Pictures that a network is calibrated with, and others that it is judged by.
const EACH: usize = 50;

/// Share of the answers that a mode keeps at least, and the mean correlation of maps, of [`EACH`] pictures that it was not calibrated with. Networks
/// that were trained on other pictures are unsure of most, and one answer is two points.
fn kept(mode: Mode, is_at_home: bool) -> (f64, f64) {
    match (mode, is_at_home) {
        (Mode::Int8Weights, true) => (0.96, 0.99),
        (Mode::Int8Weights, false) => (0.88, 0.95),
        (_, true) => (0.90, 0.96),
        (_, false) => (0.75, 0.85),
    }
}

/// A list of pictures of `folder`, every second one from `first` on.
fn every_second(folder: &Path, first: usize, place: &TempDir) -> Pictures {
    let mut paths: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending != "csv"));
    paths.sort();
    let chosen = paths.iter().skip(first).step_by(2).take(EACH).map(|path| path.display().to_string());
    let list = place.path().join(format!("{first}.csv"));
    fs::write(&list, ["file".to_owned()].into_iter().chain(chosen).collect::<Vec<_>>().join("\n")).unwrap();
    Pictures::unlabelled(&list).unwrap()
}

#[test]
fn trained_networks_keep_their_answers_and_maps() {
    let Some(shared) = shared() else { return };
    let complaints = on_all_cores(&folders(&shared.join("models")), |model| {
        let name = model.file_name().unwrap().to_string_lossy().into_owned();
        let is_of_things = name.starts_with("cifar10") || name.starts_with("imagenet");
        let home = shared.join("calibration").join(if is_of_things { "cifar10" } else { "ham" });
        let is_at_home = !name.starts_with("imagenet");
        let place = tempfile::tempdir().unwrap();
        let sets = [0, 1].map(|first| every_second(&home, first, &place));
        let prepared = Prepared::find(Some(model)).unwrap();
        [Mode::Int8Weights, Mode::Int8].map(|mode| {
            let calibration =
                Calibration { pictures: sets[0].clone(), method: None, bound: Bound::Full, effort: Effort::Plain };
            let config = Config {
                calibration: Some(calibration),
                evaluation: Some(sets[1].clone()),
                ..Config::plain(mode, place.path().join(mode.to_string()))
            };
            let measured = make(&prepared, &config, &mut ()).unwrap().measured;
            let (answers, maps) = (measured.answers.unwrap(), measured.maps.unwrap());
            let agreement = answers.same as f64 / answers.images as f64;
            let (answers, map) = kept(mode, is_at_home);
            if agreement >= answers && maps.mean >= map {
                String::new()
            } else {
                format!("{name} {mode}: {agreement:.3} of the answers, maps {:.3}\n", maps.mean)
            }
        })
    });
    assert_eq!(complaints.concat().concat(), "");
}

#[test]
fn the_same_pictures_give_the_same_bytes() {
    let images = fixture("images");
    for mode in ["int8", "int8-weights"] {
        let [one, other] = [(), ()].map(|()| {
            let place = tempfile::tempdir().unwrap();
            quantize(place.path(), mode).args(["--quiet", "--calibrate", images.to_str().unwrap()]).run().exits(0);
            files(&place)
        });
        assert_eq!(one.len(), 6, "four graphs, weights and a card");
        for ((name, a), (_, b)) in one.iter().zip(&other) {
            assert!(a == b, "{mode}: {name} differs");
        }
        let card = one.iter().find(|(name, _)| name == "model.yaml").unwrap();
        assert!(String::from_utf8_lossy(&card.1).contains("calibration_sha256: "), "{mode}");
    }
}

#[test]
fn what_a_mode_needs_or_cannot_use_is_told_before_the_work() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("empty")).unwrap();
    let photos = folder(&[("a.jpg", "images/lesion.jpg")]);
    let photos = photos.path().to_str().unwrap();
    for (mode, arguments, words) in [
        ("int8", &[][..], "`--calibrate DIR`"),
        ("int8", &["--calibrate", "empty"], "`empty`: no image in this folder"),
        ("int8", &["--calibrate", "nowhere"], "`nowhere`"),
        ("fp16", &["--calibrate", photos], "no other mode looks at pictures"),
        ("int8-weights", &["--calibrate", photos, "--auto"], "`--auto` is for `--mode int8`"),
        ("int8-weights", &["--calibrate", photos, "--range", "mse"], "`--range` is for `--mode int8`"),
    ] {
        let outcome = quantize(place.path(), mode).args(arguments).run().exits(2);
        assert!(outcome.one_error().contains(words), "{mode} {arguments:?}: {}", outcome.text());
    }
    assert!(!place.path().join("small").exists());
}

#[test]
fn too_many_unreadable_pictures_are_an_error() {
    let place = tempfile::tempdir().unwrap();
    let set = place.path().join("set");
    fs::create_dir(&set).unwrap();
    copy("images/lesion.jpg", &set.join("a.jpg"));
    copy("bad/text.jpg", &set.join("b.jpg"));
    for mode in ["int8", "int8-weights"] {
        let outcome = quantize(place.path(), mode).args(["--calibrate", "set", "--quiet"]).run().exits(2);
        let error = outcome.one_error();
        assert!(error.contains("1 of 2 pictures of `set`") && error.contains("`b.jpg`"), "{error}");
    }
    assert!(!place.path().join("small").exists());
}

/// A network with a step that gives NaN wherever a picture has light.
#[test]
fn a_tensor_without_numbers_is_named_with_its_picture() {
    let place = model("tiny-nchw-softmax", CARD);
    let path = place.path().join("model.onnx");
    let root = |input: &str| vec![Node::new("Neg", &[input], &["below"]), Node::new("Sqrt", &["below"], &["behind"])];
    put_behind_input(&path, root, Vec::new());
    let pictures = folder(&[("one.jpg", "images/lesion.jpg")]);
    let arguments =
        ["model.onnx", "-o", "small", "--mode", "int8", "--quiet", "--calibrate", pictures.path().to_str().unwrap()];
    let outcome = quantize_in(place.path(), arguments).run().exits(2);
    let error = outcome.one_error();
    assert!(error.contains("on `one.jpg`") && error.contains("NaN or infinite"), "{error}");
    assert!(!place.path().join("small").exists());
}

/// Side of the pictures of [`one_hole`]: large enough that not every value of a picture is counted.
const SIDE: usize = 64;

/// A network with a tensor that is NaN at one place, and that looks past this place before it answers.
fn one_hole(is_of_tokens: bool) -> Vec<u8> {
    let mut sketch = Sketch::new(Rng::new(5), 17, vec![1, 3, SIDE, SIDE], (0.0, 1.0));
    let mut below = vec![0.0; 3 * SIDE * SIDE];
    // The first picture's values are counted at multiples of a step from 0 on.
    below[1] = -2.0;
    let below = sketch.these(&[1, 3, SIDE, SIDE], &below);
    let moved = sketch.op("Add", &[X, &below]);
    let root = sketch.op("Sqrt", &[&moved]);
    let from = sketch.ints(&[1]);
    let flat = if is_of_tokens {
        let (tokens, wide) = (sketch.reshape(&root, &[1, 1024, 12]), sketch.floats(&[12, 64]));
        let spread = sketch.op("MatMul", &[&tokens, &wide]);
        let (to, axis) = (sketch.ints(&[1024]), sketch.ints(&[1]));
        let seen = sketch.op("Slice", &[&spread, &from, &to, &axis]);
        sketch.node(Node::new("ReduceMean", &[&seen], &[]).with("axes", vec![1]).with("keepdims", 0))
    } else {
        let kernel = sketch.floats(&[64, 3, 1, 1]);
        let spread = sketch.op("Conv", &[&root, &kernel]);
        let (to, axis) = (sketch.ints(&[SIDE as i64]), sketch.ints(&[2]));
        let seen = sketch.op("Slice", &[&spread, &from, &to, &axis]);
        let mean = sketch.op("GlobalAveragePool", &[&seen]);
        sketch.op("Flatten", &[&mean])
    };
    let head = sketch.floats(&[64, 3]);
    let scores = sketch.op("MatMul", &[&flat, &head]);
    let output = sketch.op("Softmax", &[&scores]);
    sketch.model(&output).0
}

/// The source answers, so that nothing but what is counted of its tensors can tell.
#[test]
fn a_single_value_that_is_no_number_is_told() {
    let side = format!("size: [{SIDE}, {SIDE}]");
    let place = model("tiny-nchw-softmax", &card("size: [8, 8]", &side));
    let pictures = folder(&[("one.jpg", "images/lesion.jpg")]);
    let photo = pictures.path().join("one.jpg");
    for is_of_tokens in [false, true] {
        fs::write(place.path().join("model.onnx"), one_hole(is_of_tokens)).unwrap();
        predict_in(place.path(), ["--model", "model.onnx"]).args([&photo]).run().exits(0);
        let usual = ["model.onnx", "-o", "small", "--quiet", "--mode", "int8", "--calibrate"];
        let outcome = quantize_in(place.path(), usual).args([pictures.path()]).run().exits(2);
        let error = outcome.one_error();
        assert!(error.contains("on `one.jpg`") && error.contains("NaN or infinite"), "{error}");
    }
    assert!(!place.path().join("small").exists());
}

/// A bundle would answer where its source does not: 8 bits have no place for what is no number.
#[test]
fn a_weight_that_is_no_number_is_named() {
    let place = model("tiny-nchw-softmax", CARD);
    let pictures = folder(&[("one.jpg", "images/lesion.jpg")]);
    for broken in [f32::NAN, f32::INFINITY] {
        let mut sketch = Sketch::new(Rng::new(5), 17, vec![1, 3, 8, 8], (0.0, 1.0));
        let mut weights = vec![0.25; 64 * 3 * 9];
        weights[7] = broken;
        let kernel = sketch.these(&[64, 3, 3, 3], &weights);
        let spread = sketch.op("Conv", &[X, &kernel]);
        let mean = sketch.op("GlobalAveragePool", &[&spread]);
        let flat = sketch.op("Flatten", &[&mean]);
        let head = sketch.floats(&[64, 3]);
        let scores = sketch.op("MatMul", &[&flat, &head]);
        let output = sketch.op("Softmax", &[&scores]);
        fs::write(place.path().join("model.onnx"), sketch.model(&output).0).unwrap();
        let usual = ["model.onnx", "-o", "small", "--quiet", "--mode"];
        for (mode, is_calibrated) in [("int8-weights", false), ("int8-weights", true), ("int8", true)] {
            let calibrate = ["--calibrate".as_ref(), pictures.path().as_os_str()];
            let more = if is_calibrated { &calibrate[..] } else { &[] };
            let outcome = quantize_in(place.path(), usual).args([mode]).args(more).run().exits(2);
            assert!(outcome.one_error().contains("NaN or infinite"), "{broken}, {mode}: {}", outcome.text());
            assert!(is_calibrated || outcome.one_error().contains("weight `"), "{}", outcome.text());
        }
    }
    assert!(!place.path().join("small").exists());
}

#[test]
fn a_model_that_is_quantized_already_is_no_source() {
    let place = model("tiny-nchw-softmax", CARD);
    let path = place.path().join("model.onnx");
    let stored = |input: &str| {
        vec![
            Node::new("QuantizeLinear", &[input, "step", "zero"], &["stored"]),
            Node::new("DequantizeLinear", &["stored", "step", "zero"], &["behind"]),
        ]
    };
    let constants = vec![TensorProto::of_floats("step", &[], &[0.1]), TensorProto::of_uint8("zero", 0)];
    put_behind_input(&path, stored, constants);
    let images = fixture("images");
    for (mode, code) in [("int8", 2), ("int8-weights", 2), ("prepare", 0)] {
        let usual = ["model.onnx", "-o", "small", "--mode", mode, "--quiet"];
        let calibration = ["--calibrate", images.to_str().unwrap()];
        let more = if mode == "int8" { &calibration[..] } else { &[] };
        let outcome = quantize_in(place.path(), usual.iter().chain(more)).run().exits(code);
        if code == 2 {
            let error = outcome.one_error();
            assert!(error.contains("is quantized already") && error.contains("QuantizeLinear"), "{error}");
        }
    }
}

#[test]
fn an_operator_without_int8_stays_in_float_and_is_listed() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("model.onnx"), transposing()).unwrap();
    fs::write(source.join("model.yaml"), CARD).unwrap();
    let images = fixture("images");
    let usual = ["source", "-o", "small", "--mode", "int8", "--calibrate", images.to_str().unwrap()];
    let outcome = quantize_in(place.path(), usual).run().exits(0);
    assert!(outcome.stdout.contains("ConvTranspose") && outcome.stdout.contains("no int8 form"), "{}", outcome.text());
    let report = quantize_in(place.path(), usual).args(["--json", "--quiet"]).run().exits(0).json();
    let layers = report["quantization"]["layers"].as_array().unwrap();
    let float: Vec<_> = layers.iter().filter(|layer| layer["reason"] == "unsupported").collect();
    assert!(float.len() == 2 && float.iter().all(|layer| layer["op"] == "ConvTranspose"), "{layers:?}");
    assert!(layers.iter().any(|layer| layer["state"] == "int8"), "{layers:?}");
}

#[test]
fn few_layers_stay_in_float_until_answers_agree() {
    let place = tempfile::tempdir().unwrap();
    let images = fixture("images");
    let arguments = ["--auto", "--quiet", "--json", "--calibrate", images.to_str().unwrap()];
    let report = quantize(place.path(), "int8").args(arguments).run().exits(0).json();
    let quantization = &report["quantization"];
    assert!(quantization["agreement"].as_f64() > Some(0.9), "{quantization}");
    let layers = quantization["layers"].as_array().unwrap();
    let sensitive = layers.iter().filter(|layer| layer["reason"] == "sensitive").count();
    assert!(sensitive * 4 <= layers.len(), "{sensitive} of {}", layers.len());
}

/// Channels of [`colours`]: each is one of the three colours, but for the first, which is always 0.
const CHANNELS: usize = 64;

/// The strongest of three colours. One small layer has a weight, of the channel that is always 0, that is so large that in int8 all others are nothing.
/// One channel before it is so much larger than the others that steps are coarse: colours that are nearly equal are mixed up.
fn colours() -> Vec<u8> {
    let mut sketch = Sketch::new(Rng::new(9), 17, vec![1, 3, 8, 8], (0.0, 1.0));
    let mut layer = |input: &str, [outputs, inputs, taps]: [usize; 3], weight: &dyn Fn(usize, usize) -> f32| {
        let mut weights = vec![0.0; outputs * inputs * taps];
        for place in 0..outputs * inputs {
            weights[place * taps + taps / 2] = weight(place / inputs, place % inputs);
        }
        let side = if taps == 9 { 3 } else { 1 };
        let kernel = sketch.these(&[outputs, inputs, side, side], &weights);
        sketch.node(Node::new("Conv", &[input, &kernel], &[]).with("pads", vec![side as i64 / 2; 4]))
    };
    let is = |holds: bool, value: f32| if holds { value } else { 0.0 };
    let first = layer(X, [CHANNELS, 3, 1], &|out, colour| is(out > 0 && out % 3 == colour, 1.0));
    let size = |channel| if channel == 1 { 4.0 } else { 1.0 };
    let large = layer(&first, [CHANNELS, CHANNELS, 9], &|out, channel| is(out > 0 && out == channel, size(out)));
    let mean = 3.0 / CHANNELS as f32;
    let small = layer(&large, [6, CHANNELS, 1], &|out, channel| match channel {
        0 => 100.0,
        _ => is(out % 3 == channel % 3, mean / size(channel)),
    });
    let mean = sketch.op("GlobalAveragePool", &[&small]);
    let flat = sketch.op("Flatten", &[&mean]);
    let weights: Vec<f32> = (0..18).map(|place| is(place / 3 % 3 == place % 3, 20.0)).collect();
    let head = sketch.these(&[6, 3], &weights);
    let scores = sketch.op("Gemm", &[&flat, &head]);
    let output = sketch.op("Softmax", &[&scores]);
    sketch.model(&output).0
}

/// The most probable class of each picture of a folder.
fn classes(model: &Path, pictures: &Path) -> Vec<u64> {
    let arguments = ["--model", model.to_str().unwrap(), "--jsonl", "--top", "1", "--quiet"];
    let lines = predict_in(pictures, arguments).args(["."]).run().exits(0).lines();
    lines.iter().map(|line| line["predictions"][0]["index"].as_u64().unwrap()).collect()
}

#[test]
fn a_layer_that_costs_the_answers_stays_in_float_and_the_record_says_what_is_answered() {
    let place = model("tiny-nchw-softmax", CARD);
    fs::write(place.path().join("model.onnx"), colours()).unwrap();
    let set = place.path().join("set");
    fs::create_dir(&set).unwrap();
    // Of each of ten brightnesses three pictures of a clear colour, and three in which two colours are nearly equal.
    for at in 0..60u8 {
        let mut colour = [20 + at / 6 * 20; 3];
        colour[usize::from(at % 3)] += 15;
        colour[usize::from((at + 1) % 3)] += if at % 6 < 3 { 0 } else { 14 };
        let size = Size { width: 8, height: 8 };
        fs::write(set.join(format!("{at:02}.png")), png(&colour.repeat(64), size, None)).unwrap();
    }
    let source = classes(&place.path().join("model.onnx"), &set);
    let made = |more: &[&str]| {
        let usual = ["model.onnx", "-o", "small", "--mode", "int8", "--calibrate", "set", "--json", "--quiet"];
        let report = quantize_in(place.path(), usual).args(more).run().exits(0).json();
        let answered = classes(&place.path().join("small"), &set);
        let same = source.iter().zip(&answered).filter(|(before, after)| before == after).count();
        (report["quantization"].clone(), same as f64 / source.len() as f64)
    };
    let (quantization, agreement) = made(&["--sensitivity"]);
    assert!(agreement < 0.5, "{agreement}");
    assert_eq!(quantization["agreement"], agreement);
    let (quantization, agreement) = made(&["--auto"]);
    assert!((0.7..1.0).contains(&agreement), "{agreement}");
    assert_eq!(quantization["agreement"], agreement, "{quantization}");
    let layers = quantization["layers"].as_array().unwrap();
    let states: Vec<_> = layers.iter().map(|layer| [&layer["state"], &layer["reason"]]).collect();
    let (int8, float) = ([&Value::from("int8"), &Value::Null], [&Value::from("float"), &Value::from("sensitive")]);
    assert_eq!(states, [int8, int8, float, int8]);
    let sensitivity = |layer: &Value| layer["sensitivity"].as_f64().unwrap();
    assert!(layers.iter().all(|layer| sensitivity(layer) <= sensitivity(&layers[2])), "{layers:?}");
}

/// A convolution and a last layer whose bias is one number for all classes.
fn with_scalar_bias(opset: i64) -> Vec<u8> {
    let mut sketch = Sketch::new(Rng::new(3), opset, vec![1, 3, 8, 8], (0.0, 1.0));
    let (kernel, head, bias) = (sketch.floats(&[64, 3, 3, 3]), sketch.floats(&[64, 3]), sketch.floats(&[1]));
    let spread = sketch.op("Conv", &[X, &kernel]);
    let mean = sketch.op("GlobalAveragePool", &[&spread]);
    let flat = sketch.op("Flatten", &[&mean]);
    let scores = sketch.op("Gemm", &[&flat, &head, &bias]);
    let output = sketch.op("Softmax", &[&scores]);
    sketch.model(&output).0
}

#[test]
fn a_bias_that_is_no_list_leaves_its_layer_in_float() {
    let place = model("tiny-nchw-softmax", CARD);
    let images = fixture("images");
    let made = |mode: &str, opset: i64| {
        fs::write(place.path().join("model.onnx"), with_scalar_bias(opset)).unwrap();
        let usual = ["model.onnx", "-o", "small", "--json", "--quiet", "--mode", mode, "--calibrate"];
        quantize_in(place.path(), usual).args([&images]).run()
    };
    let report = made("int8", 17).exits(0).json();
    let states: Vec<_> = report["quantization"]["layers"].as_array().unwrap().iter().map(|l| &l["reason"]).collect();
    assert_eq!(states, [&Value::Null, &"unsupported".into()]);
    made("int8-weights", 17).exits(0);
    // Steps for each channel came with operator set 13.
    for mode in ["int8", "int8-weights"] {
        let error = made(mode, 12).exits(2);
        assert!(error.one_error().contains("is of operator set 12"), "{}", error.text());
    }
}
