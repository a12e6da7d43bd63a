//! `dermai quantize`: bundles answer and explain as the model that they were made from, and take its place in one step.
mod storage;

use crate::support::models::{CARD, model};
use crate::support::program::{Program, fixture, gradcam_in, memcheck_in, predict_in, quantize_in};
use crate::support::shared::{folders, on_all_cores, shared};
use crate::support::watched::forbid_internet;
use dermai::explain::{Explainer, Wanted};
use dermai::input::{Limits, Source};
use dermai::model::{Prepared, SessionOptions};
use dermai::predict::Read;
use dermai::quantize::{Config, Mode, make};
use dermai::units::Bytes;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

mod calibrated;
mod elsewhere;
mod evaluate;
mod int8;
mod readers;
mod record;
mod replace;

const MODES: [Mode; 3] = [Mode::Prepare, Mode::Fp16, Mode::Int8Weights];

fn default_model() -> PathBuf {
    fixture("../models/default")
}

/// `dermai quantize` of the default model into `place`.
fn quantize(place: &Path, mode: &str) -> Program {
    let output = place.join("small");
    quantize_in(
        place,
        [default_model().as_os_str(), "-o".as_ref(), output.as_os_str(), "--mode".as_ref(), mode.as_ref()],
    )
}

fn made(mode: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let images = fixture("images");
    let calibration = ["--calibrate", images.to_str().unwrap()];
    let more = if mode == "int8" { &calibration[..] } else { &[] };
    quantize(place.path(), mode).args(more).run().exits(0);
    place
}

fn probabilities(model: &Path) -> (Vec<f64>, Value) {
    let arguments = ["lesion.jpg", "--json", "--top", "0", "--model", model.to_str().unwrap()];
    let document = predict_in(&fixture("images"), arguments).run().exits(0).json();
    let mut classes = document["results"][0]["predictions"].as_array().unwrap().clone();
    classes.sort_by_key(|class| class["index"].as_u64());
    (classes.iter().map(|class| class["probability"].as_f64().unwrap()).collect(), document)
}

/// What a form of a model answers and explains.
struct Said {
    probabilities: Vec<f32>,
    map: Option<Vec<f32>>,
}

fn say(model: &Path, photo: &Path) -> Said {
    let prepared = Prepared::find(Some(model)).unwrap();
    let read =
        Read::from(&Source::Path(photo.to_owned()), &prepared.card.input, &Limits::within(Bytes::mb(512))).unwrap();
    let options = SessionOptions { threads: 1, spinning: false };
    let mut plain = prepared.clone().start(&options).unwrap();
    let probabilities = plain.probabilities(&read.picture.tensor).unwrap();
    // Some networks have nothing that can be explained; their bundle says so.
    let explained = Explainer::start(prepared, &Wanted::default(), &options).ok();
    let map = explained.map(|mut e| e.explain(&read.picture.tensor, None).unwrap().map.unwrap().into_iter().collect());
    Said { probabilities, map }
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Largest difference of a value, as a share of the largest one of `a`.
fn maps_apart(a: &[f32], b: &[f32]) -> f32 {
    farthest(a, b) / a.iter().copied().fold(0.0, f32::max)
}

/// Pearson's r; two maps without any difference in themselves are alike.
fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f32, f32) -> f32| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f32>();
    let (cross, of_a, of_b) = (sum(&|x, y| x * y), sum(&|x, _| x * x), sum(&|_, y| y * y));
    if of_a < 1e-12 && of_b < 1e-12 { 1.0 } else { cross / (of_a * of_b).sqrt() }
}

/// Largest difference of a probability, and least correlation of the map, that a mode may cost a trained network.
fn tolerance(mode: Mode) -> (f32, f32) {
    match mode {
        Mode::Prepare => (1e-5, 0.9999),
        Mode::Fp16 => (5e-3, 0.999),
        // One network is unsure about this picture, and moves by 0.11.
        Mode::Int8Weights => (0.15, 0.98),
        Mode::Int8 => unreachable!("it is not among `MODES`"),
    }
}

/// Largest difference of a probability, and of a map's value as a share of the map's largest, between the two forms of one bundle of the default
/// model. They add up in different orders; a weight of less than a page stays as it is, but the fast form may fill it up to blocks that are larger
/// than a page, which are then made small; and in int8 a sum that comes out a little otherwise may be rounded to the next step.
fn forms_apart(mode: Mode) -> (f32, f32) {
    match mode {
        Mode::Prepare => (1e-5, 1e-4),
        Mode::Fp16 => (1e-4, 1e-3),
        Mode::Int8Weights => (5e-3, 0.01),
        Mode::Int8 => (0.01, 0.15),
    }
}

/// What is wrong with a bundle of `model`, which says `before`; `most` and `least` as [`tolerance`] has them. Nothing where all is well.
fn complaint(model: &Path, before: &Said, photo: &Path, mode: Mode, (most, least): (f32, f32)) -> String {
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("small");
    let config = Config::plain(mode, output.clone());
    let made = match make(&Prepared::find(Some(model)).unwrap(), &config, &mut ()) {
        Ok(made) => made,
        Err(error) => return format!("{} {mode}: {error:#}\n", model.display()),
    };
    let after = say(&output, photo);
    let apart = farthest(&before.probabilities, &after.probabilities);
    let alike = before.map.as_ref().zip(after.map.as_ref()).map(|(a, b)| correlation(a, b));
    if apart <= most && alike.is_some_and(|alike| alike >= least) && made.warnings.is_empty() {
        return String::new();
    }
    let (model, warnings) = (model.display(), made.warnings);
    format!("{model} {mode}: probabilities {apart:.1e} apart, maps {alike:?} alike, {warnings:?}\n")
}

#[test]
fn trained_models_answer_and_explain_as_before() {
    let Some(shared) = shared() else { return };
    let photo = fixture("images/lesion.jpg");
    let complaints = on_all_cores(&folders(&shared.join("models")), |model| {
        let before = say(model, &photo);
        MODES.map(|mode| complaint(model, &before, &photo, mode, tolerance(mode))).concat()
    });
    assert_eq!(complaints.concat(), "");
}

/// Every operator and layout of the reference networks survives being optimised ahead of time.
#[test]
fn reference_networks_lose_nothing_by_being_prepared() {
    let Some(shared) = shared() else { return };
    let photo = fixture("images/lesion.jpg");
    let complaints = on_all_cores(&folders(&shared.join("reference")), |model| {
        complaint(model, &say(model, &photo), &photo, Mode::Prepare, (1e-4, 0.999))
    });
    assert_eq!(complaints.concat(), "");
}

#[test]
fn a_bundle_is_taken_wherever_a_model_is() {
    let place = made("fp16");
    let small = place.path().join("small");
    let (before, raw) = probabilities(&default_model());
    let (after, form) = probabilities(&small);
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 5e-3), "{before:?} {after:?}");
    assert_eq!((&raw["model"]["form"], &raw["model"]["name"]), (&"raw".into(), &form["model"]["name"]));
    assert!(form["model"]["form"].as_str().unwrap().starts_with("fp16 predict."), "{}", form["model"]);
    let heat = place.path().join("heat.png");
    let explain = |more: &[&str]| {
        let usual = ["lesion.jpg", "-o", heat.to_str().unwrap(), "--model", small.to_str().unwrap()];
        gradcam_in(&fixture("images"), usual.iter().chain(more)).run()
    };
    explain(&[]).exits(0);
    assert!(heat.is_file());
    let layers = gradcam_in(&fixture("images"), ["--list-layers", "--model", small.to_str().unwrap()]).run().exits(0);
    assert!(layers.stdout.lines().count() == 1 && layers.stdout.contains("default"), "{}", layers.text());
    for more in [&["--method", "layercam"][..], &["--layer", "no such"], &["--score", "probability"]] {
        let outcome = explain(more).exits(2);
        assert!(outcome.one_error().contains("the bundle explains layer `"), "{}", outcome.text());
    }
}

/// The bundle's files by name.
fn files(place: &TempDir) -> Vec<(String, Vec<u8>)> {
    let paths = fs::read_dir(place.path().join("small")).unwrap().map(|entry| entry.unwrap().path());
    let file = |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
    let mut files: Vec<_> = paths.map(file).collect();
    files.sort();
    files
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for mode in MODES {
        let (one, other) = (files(&made(&mode.to_string())), files(&made(&mode.to_string())));
        assert_eq!(one.len(), 6, "four graphs, weights and a card");
        for ((name, a), (_, b)) in one.iter().zip(&other) {
            assert!(a == b, "{mode}: {name} differs");
        }
    }
}

#[test]
fn a_bundle_takes_the_place_of_another_and_of_nothing_else() {
    let place = made("prepare");
    let report = quantize(place.path(), "fp16").args(["--json"]).run().exits(0).json();
    assert_eq!((&report["schema"], &report["mode"]), (&"dermai.quantize/1".into(), &"fp16".into()));
    assert!(
        report["after"]["bytes"].as_u64() > Some(0)
            && report["before"]["bytes"].as_u64() > report["after"]["bytes"].as_u64().map(|b| b / 4)
    );
    let names = || fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names(), ["small"], "nothing is left over");
    assert!(fs::read_to_string(place.path().join("small/model.yaml")).unwrap().contains("mode: fp16"));
    // A bundle is no source, and a folder of somebody's photos no place.
    let again = quantize_in(place.path(), ["small", "-o", "other", "--mode", "fp16"]).run().exits(2);
    assert!(again.one_error().contains("is a bundle already"), "{}", again.text());
    fs::create_dir(place.path().join("photos")).unwrap();
    fs::write(place.path().join("photos/a.jpg"), "a").unwrap();
    let default = default_model();
    let onto = quantize_in(place.path(), [default.to_str().unwrap(), "-o", "photos", "--mode", "fp16"]).run().exits(2);
    assert!(onto.one_error().contains("is no bundle"), "{}", onto.text());
    assert!(place.path().join("photos/a.jpg").is_file());
}

#[test]
fn a_model_without_a_card_gets_one() {
    let folder = model("tiny-nchw-softmax", CARD);
    fs::remove_file(folder.path().join("model.yaml")).unwrap();
    let quiet = ["model.onnx", "-o", "small", "--mode", "prepare", "--quiet"];
    quantize_in(folder.path(), quiet).run().exits(0);
    let photo = fixture("images/lesion.jpg");
    let answer = |model: &str| {
        let arguments = [photo.to_str().unwrap(), "--json", "--quiet", "--model", model];
        predict_in(folder.path(), arguments).run().exits(0).json()["results"][0]["predictions"].clone()
    };
    let label = |answer: &Value| answer[0]["label"].clone();
    assert_eq!(label(&answer("model.onnx")), label(&answer("small")));
}

/// The pipeline under a budget takes a bundle, and Grad-CAM's graph is among the files that are copied for it.
#[test]
fn a_bundle_is_checked_under_a_budget() {
    let place = made("int8-weights");
    let small = place.path().join("small");
    let arguments = ["--budget", "512MB", "--image", "lesion.jpg", "--runs", "1", "-n", "10", "--json", "--model"];
    let report = memcheck_in(&fixture("images"), arguments).args([&small]).run().exits(0).json();
    assert_eq!(
        report["subject"]["model"]["form"].as_str().map(|form| form.starts_with("int8-weights explain.")),
        Some(true),
        "{}",
        report["subject"]
    );
}

#[test]
fn no_internet_socket_is_opened() {
    let place = tempfile::tempdir().unwrap();
    let mut program = quantize(place.path(), "fp16");
    if forbid_internet(&mut program.command) {
        program.run().exits(0);
    }
}
