//! A bundle on another machine than it was made for: another class of CPU, another ONNX Runtime; and the model that it was made from.
use super::{default_model, forms_apart, made, maps_apart, probabilities, quantize};
use crate::support::models::copy;
use crate::support::program::{fixture, gradcam_in, predict_in};
use dermai::input::sha256_of;
use dermai::model::{Prepared, cpu_class, has_vnni};
use dermai::quantize::Mode;
use serde_json::Value;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use tempfile::TempDir;

type Forms = Vec<serde_yaml::Value>;

/// Changes what a bundle's card says of its forms.
fn edit(place: &TempDir, edit: impl Fn(&mut Forms)) {
    let path = place.path().join("small/model.yaml");
    let before: serde_yaml::Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut card = before.clone();
    edit(card["bundle"]["forms"].as_sequence_mut().unwrap());
    assert_ne!(before, card);
    fs::write(path, serde_yaml::to_string(&card).unwrap()).unwrap();
}

/// As if it had been made for a CPU that this one is not.
fn for_another_cpu(forms: &mut Forms) {
    let other = if cpu_class() == "neon" { "avx2" } else { "neon" };
    forms.iter_mut().filter(|form| form["cpu"] == cpu_class()).for_each(|form| form["cpu"] = other.into());
}

fn by_another_runtime(forms: &mut Forms) {
    for form in forms {
        form["runtime"] = "1.27.0".into();
    }
}

/// The map and its class.
fn map(model: &Path, more: &[&str]) -> (Vec<u8>, Value, String) {
    let npy = tempfile::tempdir().unwrap();
    let file = npy.path().join("map.npy");
    let arguments = ["lesion.jpg", "--json", "--npy", file.to_str().unwrap(), "--model", model.to_str().unwrap()];
    let outcome = gradcam_in(&fixture("images"), arguments.iter().chain(more)).run().exits(0);
    (fs::read(&file).unwrap(), outcome.json(), outcome.stderr)
}

fn numbers(npy: &[u8]) -> Vec<f32> {
    let header = 10 + usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    npy[header..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn another_cpu_or_runtime_gets_the_portable_form_and_one_warning() {
    if cpu_class() == "any" {
        return; // there is one form only
    }
    for mode in [Mode::Prepare, Mode::Int8Weights, Mode::Int8] {
        taken_elsewhere(mode);
    }
}

fn taken_elsewhere(mode: Mode) {
    let (most, most_of_map) = forms_apart(mode);
    let place = made(&mode.to_string());
    let small = place.path().join("small");
    let (expected, document) = probabilities(&small);
    assert_eq!(document["model"]["form"], format!("{mode} predict.{}", cpu_class()));
    let (expected_map, ..) = map(&small, &[]);
    let slower = "its portable form is used, which is slower";
    let cpu = format!("warning: the bundle has no form for this CPU (`{}`): {slower}\n", cpu_class());
    let runtime = format!(
        "warning: the bundle was made with ONNX Runtime 1.27.0, and 1.28.0 runs: {slower}; `dermai quantize` makes it anew\n"
    );
    let both = |forms: &mut Forms| {
        by_another_runtime(forms);
        for_another_cpu(forms);
    };
    let card = fs::read_to_string(small.join("model.yaml")).unwrap();
    for (change, warning) in
        [(&for_another_cpu as &dyn Fn(&mut Forms), &cpu), (&by_another_runtime, &runtime), (&both, &cpu)]
    {
        fs::write(small.join("model.yaml"), &card).unwrap();
        edit(&place, change);
        let predict = |more: &[&str]| {
            let arguments = ["lesion.jpg", "../bad/text.jpg", "jpeg-420.jpg", "--jsonl", "--top", "0", "--model"];
            predict_in(&fixture("images"), arguments).args([&small]).args(more).run()
        };
        let outcome = predict(&[]).exits(2);
        let said = outcome.stderr.lines().filter(|line| line.starts_with("warning:")).count();
        assert!(said == 1 && outcome.stderr.contains(warning.as_str()), "{mode}: {}", outcome.text());
        let quiet = predict(&["--quiet"]);
        assert!(!quiet.stderr.contains("warning"), "{mode}: {}", quiet.text());
        let (answered, document) = probabilities(&small);
        assert_eq!(document["model"]["form"], format!("{mode} predict.any"));
        let apart = expected.iter().zip(&answered).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart <= most.into(), "{mode}: {apart}: {expected:?} {answered:?}");
        let (explained, document, stderr) = map(&small, &[]);
        assert_eq!(document["model"]["form"], format!("{mode} explain.any"));
        assert_eq!(&stderr, warning, "{mode}");
        let apart_of_map = maps_apart(&numbers(&expected_map), &numbers(&explained));
        assert!(apart_of_map <= most_of_map, "{mode}: {apart_of_map}");
    }
}

/// What answered before the pause is what answers after it.
#[test]
fn a_job_goes_on_by_the_portable_form() {
    let place = made("prepare");
    edit(&place, by_another_runtime);
    copy("images/lesion.jpg", &place.path().join("lesion.jpg"));
    let run = || {
        let arguments = ["lesion.jpg", "--jsonl", "out.jsonl", "--resume", "--model", "small"];
        predict_in(place.path(), arguments).run().exits(0)
    };
    run();
    let before = fs::read(place.path().join("out.jsonl")).unwrap();
    run();
    assert_eq!(fs::read(place.path().join("out.jsonl")).unwrap(), before);
}

#[test]
fn a_bundle_that_no_form_of_runs_says_what_to_do() {
    let place = made("prepare");
    let said = || {
        let small = place.path().join("small");
        let outcome = predict_in(&fixture("images"), ["lesion.jpg", "--quiet", "--model"]).args([small]).run().exits(2);
        outcome.one_error().to_owned()
    };
    // An operator that this runtime does not know.
    let graph = place.path().join("small/predict.any.onnx");
    let mut bytes = fs::read(&graph).unwrap();
    let known = b"FusedConv";
    let places: Vec<usize> = (0..bytes.len() - known.len()).filter(|&at| bytes[at..].starts_with(known)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + known.len()].copy_from_slice(b"FutureOne");
    }
    fs::write(&graph, &bytes).unwrap();
    edit(&place, |forms| {
        by_another_runtime(forms);
        for form in forms.iter_mut().filter(|form| form["file"] == "predict.any.onnx") {
            form["sha256"] = sha256_of(&mut Cursor::new(&bytes)).unwrap().into();
        }
    });
    // As `quantize` finds it before it puts a bundle at its place.
    let refused = Prepared::find(Some(&place.path().join("small"))).unwrap().load_forms().unwrap_err();
    assert!(format!("{refused:#}").contains("cannot run `") && format!("{refused:#}").contains("predict.any.onnx"));
    let expected = "the bundle was made with ONNX Runtime 1.27.0, `dermai quantize` makes it anew: ONNX Runtime 1.28.0 cannot run `";
    assert!(said().contains(expected) && said().contains("FutureOne"), "{}", said());
    if cpu_class() != "any" {
        edit(&place, |forms| forms.retain(|form| form["cpu"] != "any"));
        let expected = "is for ONNX Runtime 1.27.0 only, and 1.28.0 runs; the bundle has no form for `any`: `dermai quantize` makes it anew";
        assert!(said().contains(expected), "{}", said());
    }
}

/// Where 8-bit products are added in 16 bits, an `int8` bundle answers otherwise than its gates saw.
#[test]
fn sums_of_another_width_are_told_unless_they_cannot_differ() {
    let card = |more: &[&str]| {
        let place = tempfile::tempdir().unwrap();
        let images = fixture("images");
        quantize(place.path(), "int8").args(["--calibrate", images.to_str().unwrap()]).args(more).run().exits(0);
        let text = fs::read_to_string(place.path().join("small/model.yaml")).unwrap();
        (place, text)
    };
    assert!(!card(&["--no-saturation"]).1.contains("vnni"));
    let (place, text) = card(&[]);
    let small = place.path().join("small");
    let warned = || {
        let outcome = predict_in(&fixture("images"), ["lesion.jpg", "--model"]).args([&small]).run().exits(0);
        outcome.stderr.contains("was measured on a CPU with")
    };
    assert!(!warned());
    let (here, other) = (format!("vnni: {}", has_vnni()), format!("vnni: {}", !has_vnni()));
    assert!(text.contains(&here), "{text}");
    fs::write(small.join("model.yaml"), text.replace(&here, &other)).unwrap();
    assert!(warned());
}

#[test]
fn a_graph_that_was_changed_is_refused() {
    let place = made("fp16");
    let graph = place.path().join(format!("small/predict.{}.onnx", cpu_class()));
    let mut bytes = fs::read(&graph).unwrap();
    // Field 6 is `ModelProto.doc_string`: it is a valid graph still.
    bytes.extend([6 << 3 | 2, 1, b'x']);
    fs::write(&graph, bytes).unwrap();
    let small = place.path().join("small");
    let outcome = predict_in(&fixture("images"), ["lesion.jpg", "--model"]).args([small]).run().exits(2);
    assert!(outcome.one_error().contains("`bundle.forms[].sha256`: the card says `"), "{}", outcome.text());
}

/// The source explains what the bundle's graphs do not: other layers, other methods, and the check of a map.
#[test]
fn a_source_explains_in_the_bundle_s_stead() {
    let place = made("int8-weights");
    let small = place.path().join("small");
    let onnx = default_model().join("model.onnx");
    let onnx = onnx.to_str().unwrap();
    let (by_source, document, _) = map(&small, &["--source", onnx, "--method", "gradcam++"]);
    let (expected, _, _) = map(&default_model(), &["--method", "gradcam++"]);
    assert!(by_source == expected, "the same network, layer and method");
    assert_eq!(document["model"]["form"], "raw");
    let usual = ["lesion.jpg", "--model", small.to_str().unwrap(), "--source"];
    let run =
        |source: &str, more: &[&str]| gradcam_in(&fixture("images"), usual.iter().chain(&[source]).chain(more)).run();
    let listed = run(onnx, &["--list-layers"]).exits(0);
    assert!(listed.stdout.lines().count() > 10, "{}", listed.text());
    let other = fixture("onnx/tiny-nchw-softmax.onnx");
    let outcome = run(other.to_str().unwrap(), &["--check"]).exits(2);
    assert!(
        outcome.one_error().contains("is not what `") && outcome.one_error().contains("`bundle.source_sha256` is `"),
        "{}",
        outcome.text()
    );
    let raw = ["lesion.jpg", "--check", "--source", onnx];
    let outcome = gradcam_in(&fixture("images"), raw).run().exits(2);
    assert!(outcome.one_error().contains("is no bundle, and has no other source"), "{}", outcome.text());
    run(onnx, &["--check", "--json"]).exits(0);
}
