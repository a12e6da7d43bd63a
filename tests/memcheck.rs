//! `dermai memcheck` as a process: verdicts, exit statuses and reports; below it commands, what enforces, and that nothing is left behind.
#![cfg(target_os = "linux")]
mod commands;
mod endings;
mod enforcing;
mod forms;
mod leftovers;
mod places;

use crate::support::program::{Program, fixture, memcheck_in};
use crate::support::shared::shared;
use crate::support::watched::forbid_internet;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// The default model on a small picture, in a folder without a blueprint; a command gets the picture where it is driven.
fn memcheck(arguments: &[&str]) -> Program {
    let at = fixture("images");
    let usual = ["--runs", "1", "--image", "lesion.jpg", "--requests", "10"];
    let is_command = arguments.contains(&"--");
    let sends = arguments.contains(&"--http") || !is_command;
    let alone: &[&str] = if is_command { &[] } else { &["--no-serve"] };
    memcheck_in(&at, usual[..if sends { usual.len() } else { 2 }].iter().chain(alone).chain(arguments))
}

/// The same with the server behind it.
fn serving(arguments: &[&str]) -> Program {
    memcheck_in(
        &fixture("images"),
        ["--runs", "1", "--image", "lesion.jpg", "--requests", "10"].iter().chain(arguments),
    )
}

fn stages(report: &Value) -> Vec<&str> {
    report["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect()
}

fn mb(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number")) / f64::from(1 << 20)
}

#[test]
fn what_fits_is_reported_stage_by_stage() {
    let outcome = serving(&["--budget", "512MB", "--json"]).run().exits(0);
    let report = outcome.json();
    assert_eq!(report["schema"], "dermai.memcheck/1");
    let expected = [
        "start",
        "decode, preprocess",
        "load runtime",
        "load model",
        "infer, explain",
        "encode",
        "cleanup",
        "requests",
        "two at once",
        "serve: start",
        "serve: measure",
        "serve: requests",
        "serve: overload",
    ];
    assert_eq!(stages(&report), expected);
    assert_eq!((&report["verdict"]["fits"], &report["verdict"]["band"]), (&true.into(), &"healthy".into()));
    assert_eq!(report["requests"]["count"], 10);
    let highest = report["stages"].as_array().unwrap().iter().map(|stage| mb(&stage["peak_bytes"])).fold(0.0, f64::max);
    let predicted = mb(&report["verdict"]["peak_bytes"]);
    assert!(predicted >= highest && predicted < highest * 1.1 + 2.0, "{predicted} MB over {highest} MB");
    assert!((30.0..120.0).contains(&predicted), "{predicted} MB");
    assert_eq!(report["budget"]["bytes"], 512 << 20);
    let served = &report["serve"];
    assert!(served["answered"].as_u64().unwrap() >= 9, "{served}");
    assert!(served["refused"].as_u64().unwrap() > 0, "it was not overloaded: {served}");
    assert!(mb(&served["kernel_peak_bytes"]) < mb(&served["peak_bytes"]) && mb(&served["peak_bytes"]) <= predicted);
    assert!(report["options"].as_array().unwrap().len() > 2);
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(fixture("../schemas/dermai.memcheck.1.json")).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_does_not_fit_is_killed_in_its_stage_and_the_answer_is_no() {
    // The architecture of the app that this program replaces.
    let Some(shared) = shared() else { return };
    let model = shared.join("reference/k_effv2s_300");
    let run = |more: &[&str]| {
        let usual = ["--budget", "64MB", "--timeout", "20", "--model", model.to_str().unwrap()];
        memcheck(&[&usual, more].concat()).run()
    };
    let report = run(&["--json"]).exits(1).json();
    // A slow disk lets it read its weights again and again instead of being killed.
    let ended = report["outcome"]["ended"].as_str().unwrap();
    assert!(["oom_killed", "timed_out"].contains(&ended), "{}", report["outcome"]);
    assert_eq!((&report["outcome"]["stage"], &report["verdict"]["fits"]), (&"load model".into(), &false.into()));
    assert!(mb(&report["verdict"]["peak_bytes"]) > 190.0, "what it wants: {}", report["verdict"]);
    assert!(report["verdict"]["headroom_bytes"].as_i64().unwrap() < 0);
    // People read the same.
    let outcome = run(&[]).exits(1);
    assert!(outcome.stdout.contains("DOES NOT FIT") && outcome.stdout.contains("`load model`"), "{}", outcome.text());
}

#[test]
fn a_server_that_would_let_nobody_in_does_not_fit() {
    // The pipeline lives, as the kernel takes file pages back.
    let usual = ["--requests", "0", "--one-at-a-time", "--budget", "48MB", "--json"];
    let report = serving(&usual).run().exits(1).json();
    assert_eq!(report["outcome"]["survived"], true, "{}", report["outcome"]);
    assert_eq!(report["verdict"]["fits"], false);
    let why = report["serve"]["lets_nobody_in"].as_str().unwrap();
    assert!(why.contains("one request takes") && why.contains("dermai quantize"), "{why}");
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["rule"] == "serves-nobody"), "{findings:?}");
}

#[test]
fn a_blueprint_gives_the_budget_and_is_linted() {
    let folder = tempfile::tempdir().unwrap();
    let text = "services:\n  - {type: web, name: a, runtime: rust, plan: free, buildCommand: b, startCommand: s, healthCheckPth: /health}\n";
    fs::write(folder.path().join("render.yaml"), text).unwrap();
    let picture = fixture("images/lesion.jpg");
    let run = |more: &[&str]| {
        let picture = picture.to_str().unwrap();
        let usual = ["--image", picture, "--runs", "1", "--requests", "0", "--one-at-a-time", "--no-gradcam", "--json"];
        memcheck_in(folder.path(), usual.iter().chain(more)).run()
    };
    let report = run(&[]).exits(1).json(); // an unknown key is an error, though it fits
    assert_eq!(report["verdict"]["fits"], true);
    assert_eq!((&report["budget"]["bytes"], &report["budget"]["cpu"]), (&(512 << 20).into(), &0.1.into()));
    assert!(report["budget"]["source"].as_str().unwrap().contains("plan free"), "{}", report["budget"]);
    let rules: Vec<_> = report["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap()).collect();
    assert!(rules.contains(&"unknown-key") && rules.contains(&"no-health-check"), "{rules:?}");
    let cpu = |key: &str| report["cpu"][key].as_f64().unwrap_or_else(|| panic!("{key}: {}", report["cpu"]));
    assert!(cpu("first_answer_milliseconds") > cpu("start_milliseconds"), "{}", report["cpu"]);
    // Those of the server: it listens before it loads anything.
    assert!(cpu("start_milliseconds") < 5000.0, "{}", report["cpu"]);
    let error = run(&["--service", "b"]).exits(2);
    assert!(error.stderr.contains("`b`") && error.stderr.contains("`a`"), "{}", error.text());
    let error = run(&["--blueprint", "other.yaml"]).exits(2);
    assert!(error.one_error().contains("`other.yaml`"), "{}", error.text());
}

#[test]
fn mistakes_are_told_before_anything_runs() {
    for (arguments, words) in [
        (&["--budget", "512 parsecs"][..], "512MB"),
        (&["--budget", "512"], "did you mean `512MB`?"),
        (&["--budget", "0"], "the least is 1 MB"),
        (&["--budget", "500KB"], "KB, MB or GB"),
        (&["--layer", "conv1", "--", "true"], "`--layer`"),
        (&["--budget", "1GB", "--blueprint", "x.yaml"], "cannot be used"),
        (&["--plot", "memory.jpg"], ".svg"),
        (&["--json", "--markdown"], "standard output"),
        (&["--image", "no-such.jpg"], "no-such.jpg"),
        (&["--model", "no-such-model"], "no-such-model"),
        (&["--compare", "no-such.json"], "no-such.json"),
        (&["--service", "web"], "blueprint"),
        (&["--http", "http://127.0.0.1:1/"], "COMMAND"),
        (&["--enforce", "magic"], "watchdog"),
        (&["--", "no-such-program"], "no-such-program"),
        (&["--http", "https://example.org/", "--", "true"], "http://"),
    ] {
        let outcome = memcheck(arguments).run().exits(2);
        assert!(outcome.stderr.contains(words) && outcome.stdout.is_empty(), "{arguments:?}: {}", outcome.text());
    }
}

#[test]
fn a_picture_that_cannot_be_read_is_an_error_of_its_stage() {
    let bad = fixture("bad/text.jpg");
    let at = fixture("images");
    let outcome = memcheck_in(&at, ["--budget", "512MB", "--image", bad.to_str().unwrap(), "-q"]).run().exits(2);
    assert!(outcome.one_error().contains("`decode, preprocess`"), "{}", outcome.text());
}

#[test]
fn reports_for_every_reader_are_written_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, markdown, junit, svg) = (path("r.json"), path("r.md"), path("r.xml"), path("r.svg"));
    let arguments = ["--budget", "512MB", "--json", &json, "--markdown", &markdown, "--junit", &junit, "--plot", &svg];
    let outcome = serving(&arguments).run().exits(0);
    assert!(outcome.stdout.contains("FITS"), "the table is still shown: {}", outcome.text());
    let read = |path: &str| fs::read_to_string(path).unwrap();
    assert!(serde_json::from_str::<Value>(&read(&json)).is_ok());
    assert!(read(&markdown).contains("- [x] "));
    assert!(roxmltree::Document::parse(&read(&junit)).is_ok() && roxmltree::Document::parse(&read(&svg)).is_ok());
}

#[test]
fn growth_over_an_earlier_report_is_no() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("earlier.json");
    let name = path.to_str().unwrap();
    let run = |more: &[&str]| memcheck(&[&["--budget", "512MB", "--one-at-a-time"], more].concat()).run();
    run(&["--json", name]).exits(0);
    run(&["--compare", name, "--drift", "10"]).exits(0);
    let mut report: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    report["verdict"]["peak_bytes"] = (report["verdict"]["peak_bytes"].as_u64().unwrap() * 3 / 4).into();
    fs::write(&path, report.to_string()).unwrap();
    let grown = run(&["--compare", name, "--json"]).exits(1).json();
    assert_eq!(grown["verdict"]["fits"], true);
    fs::write(&path, "{}").unwrap();
    let error = run(&["--compare", name]).exits(2);
    assert!(error.one_error().contains("earlier.json"), "{}", error.text());
}

#[test]
fn github_gets_its_annotations() {
    let outcome =
        memcheck(&["--budget", "64MB", "-q", "--", "sh", "-c", "exit 3"]).env("GITHUB_ACTIONS", "true").run().exits(1);
    assert!(outcome.stderr.contains("::error "), "{}", outcome.text());
    let outcome = memcheck(&["--budget", "512MB", "-q"]).run().exits(0);
    assert!(!outcome.stderr.contains("::"), "{}", outcome.text());
}

#[test]
fn the_floor_lies_below_the_peak() {
    let outcome =
        memcheck(&["--budget", "512MB", "--no-gradcam", "--requests", "0", "--one-at-a-time", "--floor", "--json"]);
    // Below the edge a run may read its pages again and again until its time is up.
    let report = outcome.longest(Duration::from_mins(8)).run().exits(0).json();
    if report["enforced"]["estimated"] == true {
        assert!(report["floor_bytes"].is_null(), "a watchdog cannot tell it");
        return;
    }
    let (floor, peak) = (mb(&report["floor_bytes"]), mb(&report["verdict"]["peak_bytes"]));
    assert!(floor > 4.0 && floor < peak, "floor {floor} MB, peak {peak} MB");
}

#[test]
fn no_internet_socket_is_opened_without_a_url() {
    let mut program = memcheck(&["--budget", "512MB", "-q"]); // the server listens at this machine
    if forbid_internet(&mut program.command) {
        program.run().exits(0);
    }
}
