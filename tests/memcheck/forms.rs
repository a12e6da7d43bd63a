//! Smaller forms of a model among the options: estimated, made and measured, or why not.
use super::{mb, memcheck};
use crate::support::program::{fixture, quantize_in};
use dermai::model::cpu_class;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const MODES: [&str; 4] = ["prepare", "fp16", "int8-weights", "int8"];
/// As few runs as give a peak of the pipeline.
const SHORT: [&str; 6] = ["--no-gradcam", "--requests", "0", "--one-at-a-time", "--budget", "512MB"];

fn option<'r>(report: &'r Value, mode: &str) -> &'r Value {
    let options = report["options"].as_array().unwrap();
    let name = format!("quantize {mode}");
    options.iter().find(|option| option["name"] == name.as_str()).unwrap_or_else(|| panic!("no `{name}`"))
}

fn run(more: &[&str]) -> Value {
    memcheck(&[&SHORT[..], &["--json"], more].concat()).longest(Duration::from_mins(5)).run().exits(0).json()
}

/// A bundle of the default model.
fn bundle(place: &TempDir, mode: &str) -> String {
    let output = place.path().join(mode);
    let model = fixture("../models/default");
    let arguments = [model.as_os_str(), "-o".as_ref(), output.as_os_str(), "--mode".as_ref(), mode.as_ref()];
    quantize_in(place.path(), arguments).run().exits(0);
    output.to_str().unwrap().to_owned()
}

/// Two pictures with labels; the labels are made up.
fn labels(place: &Path) -> String {
    for name in ["lesion.jpg", "jpeg-444.jpg"] {
        fs::copy(fixture("images").join(name), place.join(name)).unwrap();
    }
    let path = place.join("labels.csv");
    fs::write(&path, "file,label\nlesion.jpg,nv\njpeg-444.jpg,mel\n").unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn forms_are_estimates_until_they_are_measured() {
    let place = tempfile::tempdir().unwrap();
    let estimated = run(&[]);
    let measured = run(&["--measure-options"]);
    for mode in MODES {
        let (guess, found) = (option(&estimated, mode), option(&measured, mode));
        assert_eq!((&guess["measured"], &guess["note"]), (&false.into(), &Value::Null), "{guess}");
        let (guess, peak) = (mb(&guess["peak_bytes"]), mb(&found["peak_bytes"]));
        assert!((guess / peak - 1.0).abs() < 0.1, "{mode}: {guess} MB estimated, {peak} MB");
        assert_eq!(found["accuracy_change"], Value::Null, "nobody asked for it");
        if mode == "int8" {
            assert_eq!(found["measured"], false);
            assert!(found["note"].as_str().unwrap().contains("`--calibrate DIR`"), "{found}");
            continue;
        }
        assert_eq!(found["measured"], measured["options"][0]["measured"], "{found}");
        let by_itself = run(&["--model", &bundle(&place, mode)]);
        let by_itself = mb(&by_itself["verdict"]["peak_bytes"]);
        // Libraries that another process maps just now are charged to it: 2 MB.
        assert!((by_itself - peak).abs() < 3.0, "{mode}: {peak} MB among the options, {by_itself} MB by itself");
    }
}

#[test]
fn pictures_give_int8_and_what_accuracy_it_costs() {
    let place = tempfile::tempdir().unwrap();
    let labels = labels(place.path());
    let report = run(&["--measure-options", "--calibrate", &labels, "--eval", &labels]);
    for mode in MODES {
        let option = option(&report, mode);
        assert_eq!(option["note"], Value::Null, "{option}");
        // Of two pictures each is half.
        let change = option["accuracy_change"].as_f64().unwrap();
        assert!(change % 50.0 == 0.0, "{option}");
        assert!(mode != "prepare" || change == 0.0, "nothing is lost: {option}");
        assert!(option["first_answer_milliseconds"].as_f64().unwrap() > 0.0, "{option}");
    }
    let error = memcheck(&["--eval", &labels]).run().exits(2);
    assert!(error.stderr.contains("--measure-options"), "{}", error.text());
}

#[test]
fn a_form_that_cannot_be_made_stays_an_estimate() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("no-picture.jpg"), "text").unwrap();
    let report = run(&["--measure-options", "--calibrate", place.path().to_str().unwrap()]);
    let int8 = option(&report, "int8");
    assert!(int8["measured"] == false && int8["note"].as_str().unwrap().contains("no-picture.jpg"), "{int8}");
    assert_eq!(option(&report, "fp16")["note"], Value::Null);
}

#[test]
fn of_a_bundle_there_are_no_forms() {
    let place = tempfile::tempdir().unwrap();
    let bundle = bundle(&place, "fp16");
    let report = run(&["--model", &bundle]);
    let options = report["options"].as_array().unwrap();
    assert!(options.iter().all(|option| !option["name"].as_str().unwrap().starts_with("quantize")), "{options:?}");
    assert!(options[0]["note"].as_str().unwrap().contains("it is a bundle already (`fp16 predict"), "{}", options[0]);
    let error = memcheck(&["--model", &bundle, "--measure-options", "--calibrate", "."]).run().exits(2);
    assert!(error.one_error().contains("`--calibrate`") && error.stderr.contains("bundle"), "{}", error.text());
}

#[test]
fn that_a_bundle_runs_by_its_portable_form_is_found_once() {
    if cpu_class() == "any" {
        return; // there is one form only
    }
    let place = tempfile::tempdir().unwrap();
    let bundle = bundle(&place, "prepare");
    let card = Path::new(&bundle).join("model.yaml");
    let usual = fs::read_to_string(&card).unwrap();
    let other = if cpu_class() == "neon" { "avx2" } else { "neon" };
    for (changed, why) in [
        (usual.replace("runtime: 1.28.0", "runtime: 1.27.0"), "made with ONNX Runtime 1.27.0"),
        (usual.replace(&format!("cpu: {}", cpu_class()), &format!("cpu: {other}")), "no form for this CPU"),
        (usual.clone(), ""),
    ] {
        fs::write(&card, changed).unwrap();
        for maps in [&["--no-gradcam"][..], &[]] {
            let arguments = [&["--requests", "0", "--one-at-a-time", "--budget", "512MB", "--json"], maps].concat();
            let outcome = memcheck(&[&arguments[..], &["--model", &bundle]].concat()).run().exits(0);
            let report = outcome.json();
            let findings = report["findings"].as_array().unwrap();
            let found: Vec<_> = findings.iter().filter(|finding| finding["rule"] == "portable-form").collect();
            assert_eq!(found.len(), usize::from(!why.is_empty()), "{why}: {findings:?}");
            assert!(found.iter().all(|finding| finding["message"].as_str().unwrap().contains(why)), "{found:?}");
            assert!(!outcome.stderr.contains("portable"), "once: {}", outcome.text());
        }
    }
}
