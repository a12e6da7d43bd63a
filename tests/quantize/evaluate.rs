//! `dermai quantize --eval` and its gates: figures against those that follow from `predict`, and what a gate that fails leaves behind.
use super::{correlation, default_model, say};
use crate::support::models::{CARD, copy, folder, model, put_behind_input};
use crate::support::program::{Outcome, Program, fixture, predict_in, quantize_in, shape};
use dermai::onnx::{Node, TensorProto};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Pictures that differ, of every format.
const PICTURES: [&str; 12] = [
    "lesion.jpg",
    "jpeg-420.jpg",
    "jpeg-cmyk.jpg",
    "jpeg-grey.jpg",
    "png-rgb8.png",
    "png-grey1.png",
    "png-rgba8.png",
    "exif-3.jpg",
    "webp-lossy.webp",
    "gif-animated.gif",
    "tiff-lzw.tiff",
    "bmp-rgb24.bmp",
];

/// A folder with those pictures.
fn pictures() -> TempDir {
    let files: Vec<_> = PICTURES.map(|name| (name, format!("images/{name}"))).into();
    folder(&files.iter().map(|(name, fixture)| (*name, fixture.as_str())).collect::<Vec<_>>())
}

fn labels(place: &Path, rows: &[(&str, &str)]) {
    let rows: Vec<_> = rows.iter().map(|(file, label)| format!("{file},{label}")).collect();
    fs::write(place.join("labels.csv"), format!("file,label\n{}\n", rows.join("\n"))).unwrap();
}

/// `dermai quantize` of `model` to `small` in `place`.
fn quantize(place: &Path, model: &Path, arguments: &[&str]) -> Program {
    quantize_in(place, [model.as_os_str(), "-o".as_ref(), "small".as_ref()]).args(arguments)
}

/// Probabilities of a picture by class.
type Answer = BTreeMap<String, f64>;

/// What `predict` says of each picture.
fn predicted(place: &Path, model: &Path) -> Vec<Answer> {
    let arguments = ["--json", "--top", "0", "--threads", "1", "--quiet", "--model", model.to_str().unwrap()];
    let document = predict_in(place, arguments.iter().chain(&PICTURES)).run().exits(0).json();
    let answer = |result: &Value| {
        let classes = result["predictions"].as_array().unwrap().iter();
        classes.map(|c| (c["label"].as_str().unwrap().to_owned(), c["probability"].as_f64().unwrap())).collect()
    };
    document["results"].as_array().unwrap().iter().map(answer).collect()
}

fn first(answer: &Answer) -> (&str, f64) {
    let best = answer.iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    (best.0, *best.1)
}

/// Expected calibration error, written down as the paper has it.
fn calibration_error(answers: &[Answer], labels: &[(&str, &str)]) -> f64 {
    let all: Vec<_> = answers.iter().zip(labels).map(|(answer, (_, label))| (first(answer), *label)).collect();
    let bin = |m: usize| {
        let (low, high) = ((m as f64 - 1.0) / 15.0, m as f64 / 15.0);
        let inside: Vec<_> = all.iter().filter(|((_, p), _)| *p > low && *p <= high).collect();
        if inside.is_empty() {
            return 0.0;
        }
        let count = inside.len() as f64;
        let accuracy = inside.iter().filter(|((class, _), label)| class == label).count() as f64 / count;
        let confidence = inside.iter().map(|((_, p), _)| p).sum::<f64>() / count;
        count / all.len() as f64 * (accuracy - confidence).abs()
    };
    (1..=15).map(bin).sum()
}

#[track_caller]
fn near(value: &Value, expected: f64, tolerance: f64) {
    let value = value.as_f64().unwrap_or_else(|| panic!("no number: {value}"));
    assert!((value - expected).abs() <= tolerance, "{value}, expected {expected}");
}

#[test]
fn figures_are_those_that_follow_from_predict() {
    let place = pictures();
    let before = predicted(place.path(), &default_model());
    // Every third picture has another label than the model gives it.
    let label = |(at, answer): (usize, &Answer)| match at % 3 {
        0 => answer.keys().find(|class| *class != first(answer).0).unwrap().clone(),
        _ => first(answer).0.to_owned(),
    };
    let given: Vec<String> = before.iter().enumerate().map(label).collect();
    let rows: Vec<_> = PICTURES.into_iter().zip(given.iter().map(String::as_str)).collect();
    labels(place.path(), &rows);
    let arguments = ["--mode", "int8-weights", "--eval", "labels.csv", "--max-drop", "100%", "--json"];
    let report = quantize(place.path(), &default_model(), &arguments).run().exits(0).json();
    let after = predicted(place.path(), &place.path().join("small"));

    for (side, answers) in [("before", &before), ("after", &after)] {
        let right: Vec<bool> =
            answers.iter().zip(&rows).map(|(answer, (_, label))| first(answer).0 == *label).collect();
        let side = &report[side];
        near(&side["top1"], right.iter().filter(|right| **right).count() as f64 / 12.0, 1e-12);
        near(&side["ece"], calibration_error(answers, &rows), 1e-6);
        let mut recall: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for ((_, label), right) in rows.iter().zip(&right) {
            let (found, of) = recall.entry(label).or_default();
            (*found, *of) = (*found + f64::from(u8::from(*right)), *of + 1.0);
        }
        let told = side["per_class_recall"].as_object().unwrap();
        assert_eq!(told.len(), recall.len(), "{told:?}");
        for (label, (found, of)) in recall {
            near(&told[label], found / of, 1e-12);
        }
        assert!(side["milliseconds"].as_f64() > Some(0.0), "{side}");
        // More than the runtime's own pages, and less than anything that holds it twice.
        let peak = side["peak_rss_bytes"].as_u64().unwrap() >> 20;
        assert!((16..256).contains(&peak), "{peak} MB");
    }
    let shift = calibration_error(&after, &rows) - calibration_error(&before, &rows);
    near(&report["after"]["ece_shift"], shift, 1e-6);
    let same = before.iter().zip(&after).filter(|(a, b)| first(a).0 == first(b).0).count();
    near(&report["after"]["agreement"], same as f64 / 12.0, 1e-12);
    let kl = |(p, q): (&Answer, &Answer)| p.iter().map(|(class, p)| p * (p / q[class]).ln()).sum::<f64>();
    let kl = before.iter().zip(&after).map(kl).sum::<f64>() / 12.0;
    assert!(kl > 1e-6, "the bundle answers exactly as its source: {kl}");
    near(&report["after"]["kl"], kl, 1e-6);

    // No more pictures than are explained, and each of the same class by both.
    assert_eq!(same, PICTURES.len());
    let alike = PICTURES.map(|name| {
        let map = |model: &Path| say(model, &place.path().join(name)).map.unwrap();
        f64::from(correlation(&map(&default_model()), &map(&place.path().join("small"))))
    });
    near(&report["after"]["cam_correlation"], alike.iter().sum::<f64>() / 12.0, 1e-4);
    near(&report["after"]["cam_correlation_least"], alike.into_iter().fold(1.0, f64::min), 1e-4);
}

#[test]
fn the_json_has_its_shape_and_null_for_what_was_not_measured() {
    let place = pictures();
    labels(place.path(), &[("lesion.jpg", "nv"), ("png-rgb8.png", "nv")]);
    let gates = ["--max-drop", "100%", "--max-size", "9x", "--max-rss", "1GB"];
    let arguments = ["--mode", "prepare", "--eval", ".", "--json"];
    let report = quantize(place.path(), &default_model(), &arguments).args(gates).run().exits(0).json();
    insta::assert_snapshot!(shape(&report), @"
    after.agreement float
    after.bytes integer
    after.cam_correlation float
    after.cam_correlation_least float
    after.cpu text
    after.ece float
    after.ece_shift float
    after.kl float
    after.latency_ratio float
    after.milliseconds float
    after.peak_rss_bytes integer
    after.per_class_recall.nv float
    after.top1 float
    before.bytes integer
    before.cpu text
    before.ece float
    before.milliseconds float
    before.peak_rss_bytes integer
    before.per_class_recall.nv float
    before.top1 float
    calibration null
    dermai text
    gates[].advice null
    gates[].limit float
    gates[].name text
    gates[].passed bool
    gates[].unit text
    gates[].value float
    images integer
    mode text
    output text
    passed bool
    quantization null
    runtime text
    schema text
    source.name text
    source.sha256 text
    warnings empty list
    ");
    assert_eq!(
        report["gates"].as_array().unwrap().iter().map(|gate| &gate["name"]).collect::<Vec<_>>(),
        ["max-drop", "max-size", "max-rss"]
    );
    let plain = quantize(place.path(), &default_model(), &["--mode", "prepare", "--json"]).run().exits(0).json();
    let keys = |report: &Value, side: &str| report[side].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for side in ["before", "after"] {
        assert_eq!(keys(&plain, side), keys(&report, side));
        let known: Vec<_> = plain[side].as_object().unwrap().iter().filter(|(_, v)| !v.is_null()).collect();
        assert_eq!(known.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["bytes", "cpu"]);
    }
    assert_eq!((plain["passed"].as_bool(), plain["gates"].as_array().map(Vec::len)), (Some(true), Some(0)));
}

/// Every file below a folder, with its contents.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_gate_that_fails_leaves_what_stands_there() {
    let place = pictures();
    let tiny = model("tiny-nchw-softmax", CARD);
    let tight = ["--mode", "fp16", "--max-size", "1KB"];
    let outcome = quantize(place.path(), tiny.path(), &tight).run().exits(1);
    assert!(!place.path().join("small").exists(), "{}", outcome.text());
    for part in
        ["1 of 1 gates failed", "✗  max-size", "at most 1.0 KB", "missed by ", "max-size: try `--mode int8-weights`"]
    {
        assert!(outcome.stdout.contains(part), "no {part:?} in {}", outcome.text());
    }
    // Nor does a folder stay that was made for it.
    let deep = [tiny.path().as_os_str(), "-o".as_ref(), "new/deep/small".as_ref()];
    quantize_in(place.path(), deep).args(tight).run().exits(1);
    assert!(!place.path().join("new").exists());
    let longer_than_a_name = format!("new/{}/small", "x".repeat(300));
    let deep = [tiny.path().as_os_str(), "-o".as_ref(), longer_than_a_name.as_ref()];
    quantize_in(place.path(), deep).args(tight).run().exits(2);
    assert!(!place.path().join("new").exists());
    quantize(place.path(), tiny.path(), &["--mode", "prepare"]).run().exits(0);
    let before = contents(&place.path().join("small"));
    let report = quantize(place.path(), tiny.path(), &tight).args(["--json"]).run().exits(1).json();
    assert_eq!((&report["passed"], &report["gates"][0]["passed"]), (&false.into(), &false.into()));
    assert_eq!((&report["gates"][0]["limit"], &report["gates"][0]["unit"]), (&1024.into(), &"bytes".into()));
    assert!(before == contents(&place.path().join("small")), "the old bundle was touched");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), PICTURES.len() + 1, "something is left over");
    // A limit that holds lets the same bundle through.
    quantize(place.path(), tiny.path(), &["--mode", "fp16", "--max-size", "1MB"]).run().exits(0);
    assert!(before != contents(&place.path().join("small")));
}

#[test]
fn memory_and_time_are_gates_without_pictures() {
    let place = tempfile::tempdir().unwrap();
    let tiny = model("tiny-nchw-softmax", CARD);
    let gates = |rss: &str, ratio: &str| {
        let arguments = ["--mode", "prepare", "--max-rss", rss, "--max-latency", ratio, "--json"];
        quantize(place.path(), tiny.path(), &arguments).run()
    };
    let passed = |outcome: &Outcome| {
        let report = outcome.json();
        let gates = report["gates"].as_array().unwrap().clone();
        gates.iter().map(|gate| gate["passed"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    let wide = gates("1GB", "1000x").exits(0);
    assert_eq!(passed(&wide), [true, true]);
    assert!(wide.json()["after"]["agreement"].is_null() && wide.json()["images"].is_null());
    assert_eq!(passed(&gates("1MB", "0.0001x").exits(1)), [false, false]);
}

#[test]
fn a_gate_that_needs_pictures_or_labels_says_so() {
    let place = pictures();
    let tiny = model("tiny-nchw-softmax", CARD);
    for (arguments, expected) in [
        (&["--max-drop", "1%"][..], "`--max-drop` needs pictures to evaluate on: add `--eval"),
        (&["--min-agreement", "97%"], "`--min-agreement` needs pictures"),
        (&["--max-drop", "1%", "--eval", "."], "`--max-drop` needs labels, and `.` has none"),
        (&["--min-agreement", "97"], "did you mean `97%`?"),
        (&["--max-latency", "0.75"], "expected one such as `0.75x`"),
        (&["--eval", "nowhere"], "`nowhere` does not exist"),
    ] {
        let outcome = quantize(place.path(), tiny.path(), &["--mode", "prepare"]).args(arguments).run().exits(2);
        assert!(outcome.stderr.contains(expected), "{arguments:?}: {}", outcome.text());
        assert!(!place.path().join("small").exists());
    }
}

#[test]
fn a_set_that_is_not_whole_is_an_error_before_any_work() {
    let place = pictures();
    let tiny = model("tiny-nchw-softmax", CARD);
    let said = |eval: &str| {
        let arguments = ["--mode", "prepare", "--eval", eval];
        quantize(place.path(), tiny.path(), &arguments).run().exits(2).one_error().to_owned()
    };
    labels(place.path(), &[("lesion.jpg", "a"), ("jpeg-420.jpg", "d")]);
    let unknown = said("labels.csv");
    assert!(unknown.contains("`labels.csv`, row 3: the card has no label `d`; it has `a`, `b`, `c`"), "{unknown}");
    labels(place.path(), &[("lesion.jpg", "a"), ("lesion.jpg", "b")]);
    assert!(said(".").contains("row 3: `./lesion.jpg` was there before"), "{}", said("."));
    fs::create_dir(place.path().join("empty")).unwrap();
    assert!(said("empty").contains("`empty`: no image in this folder"), "{}", said("empty"));
}

#[test]
fn one_unreadable_picture_in_twenty_is_left_out_and_two_are_an_error() {
    let tiny = model("tiny-nchw-softmax", CARD);
    let place = tempfile::tempdir().unwrap();
    let set = place.path().join("set");
    fs::create_dir(&set).unwrap();
    for at in 0..19 {
        copy("images/jpeg-444.jpg", &set.join(format!("{at}.jpg")));
    }
    copy("bad/text.jpg", &set.join("bad-1.jpg"));
    let arguments = ["--mode", "prepare", "--eval", "set", "--json"];
    let outcome = quantize(place.path(), tiny.path(), &arguments).run().exits(0);
    assert_eq!(outcome.json()["images"], 19);
    let warned = outcome.stderr.contains("warning: left out: 1 of 20 pictures of `set` cannot be read (`bad-1.jpg`: ");
    assert!(warned, "{}", outcome.text());
    copy("bad/empty.jpg", &set.join("bad-2.jpg"));
    let outcome = quantize(place.path(), tiny.path(), &arguments).run().exits(2);
    let error = outcome.one_error();
    assert!(error.contains("2 of 21 pictures of `set` cannot be read (`bad-1.jpg`: "), "{error}");
    assert!(error.contains("`bad-2.jpg`: ") && error.contains("more than 5 %"), "{error}");
}

#[test]
fn markdown_adds_to_its_file() {
    let place = tempfile::tempdir().unwrap();
    let tiny = model("tiny-nchw-softmax", CARD);
    let summary = place.path().join("summary.md");
    fs::write(&summary, "# Job\n").unwrap();
    for (limit, code) in [("1MB", 0), ("1KB", 1)] {
        let arguments = ["--mode", "prepare", "--max-size", limit, "--markdown", "summary.md"];
        quantize(place.path(), tiny.path(), &arguments).run().exits(code);
    }
    let text = fs::read_to_string(&summary).unwrap();
    let heads: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
    let parts = ["### Figures", "### Gates"];
    assert_eq!(heads[0], "# Job");
    assert_eq!(heads[1..4], ["## Quantization: PASSED", parts[0], parts[1]]);
    assert_eq!(heads[4..], ["## Quantization: FAILED", parts[0], parts[1]]);
    assert!(text.contains("| ✗ | max-size |"), "{text}");
    let outcome = quantize(place.path(), tiny.path(), &["--mode", "prepare", "--markdown", "."]).run().exits(2);
    assert!(outcome.one_error().contains("is a folder"), "{}", outcome.text());
}

/// A network that divides and multiplies by a number that half floats do not have: its source answers, its bundle cannot.
#[test]
fn a_bundle_that_gives_no_numbers_is_an_error_that_names_picture_and_mode() {
    const SIDE: usize = 32;
    let place = model("tiny-dynamic", &CARD.replace("size: [8, 8]", "size: [32, 32]"));
    let path = place.path().join("model.onnx");
    let there_and_back = |input: &str| {
        vec![Node::new("Div", &[input, "small"], &["large"]), Node::new("Mul", &["large", "small"], &["behind"])]
    };
    let small = TensorProto::of_floats("small", &[1, 3, SIDE, SIDE], &vec![1e-9; 3 * SIDE * SIDE]);
    put_behind_input(&path, there_and_back, vec![small]);
    let eval = fixture("images/lesion.jpg");
    let pictures = folder(&[("one.jpg", "images/lesion.jpg")]);
    predict_in(place.path(), [eval.to_str().unwrap(), "--model", "model.onnx"]).run().exits(0);
    let arguments = ["--mode", "fp16", "--quiet", "--eval", pictures.path().to_str().unwrap()];
    let outcome = quantize(place.path(), &path, &arguments).run().exits(2);
    let error = outcome.one_error();
    assert!(error.contains("mode `fp16` on `one.jpg`") && error.contains("NaN"), "{error}");
    assert!(!place.path().join("small").exists());
}
