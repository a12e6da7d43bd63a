//! What the replaced app did, under the memory that it was deployed with: a Keras EfficientNetV2S, loaded and asked once.

use std::path::Path;

use anyhow::Result;

use super::child::measure;
use super::figure::{Figure, Target, Unit};
use super::memcheck::report;
use super::python::{Packages, Python, is_made};
use super::sides::{Bench, megabytes};
use super::{Outcome, Topic};

pub const TOPIC: Topic = Topic {
    name: "memcheck-keras",
    about: "what the replaced app did, under 512 MB: TensorFlow loads a Keras EfficientNetV2S and predicts one picture",
    run,
};

/// The app in short.
const APP: (&str, &str) = ("keras_app.py", include_str!("python/keras_app.py"));
/// Hundreds of MB, so they are installed only for who asks for them.
const PACKAGES: Packages = Packages { wanted: &["tensorflow-cpu", "pillow"], imports: "import tensorflow, PIL" };
/// What the app's host gave it, in MB.
const BUDGET: f64 = 512.0;

fn run(bench: &Bench) -> Result<Outcome> {
    let folder = bench.target.join("bench-keras-venv");
    if !is_made(&folder, &PACKAGES) && !bench.asked.iter().any(|asked| asked == TOPIC.name) {
        let reason = format!("TensorFlow is not installed; `cargo xtask bench {}` installs it", TOPIC.name);
        return Ok(Outcome::Skipped(reason));
    }
    let python = Python::set_up(&folder, &PACKAGES)?;
    let model = folder.join("efficientnetv2s.keras");
    let mut app = python.script(APP)?;
    app.arg(&model);
    if !model.is_file() {
        measure(&mut app)?.expect(0, &app)?;
    }
    app.arg(bench.sample());
    Ok(Outcome::Figures(figures(bench, &app, &model)?))
}

fn figures(bench: &Bench, app: &std::process::Command, model: &Path) -> Result<Vec<Figure>> {
    let mut command = bench.dermai();
    command.args(["memcheck", "--budget", &format!("{BUDGET}MB"), "--json"]);
    command.args(["--stage", "load=loading", "--stage", "predict=predicting", "--"]);
    // What the app needs of its environment is handed down by `memcheck`.
    command.envs(app.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.arg(app.get_program()).arg("-u").args(app.get_args());
    let report = report(&mut command, &[1, 0])?;
    let peak = report.verdict.peak_bytes;
    let stages =
        report.stages.iter().map(|stage| format!("`{}` {:.0} MB", stage.name, megabytes(Some(stage.peak_bytes))));
    let stages = stages.collect::<Vec<_>>().join(", ");
    let weights = megabytes(std::fs::metadata(model).ok().map(|file| file.len()));
    Ok(vec![
        Figure::new(
            format!(
                "Keras app, {weights:.0} MB of weights, under {BUDGET} MB: predicted peak, in stage `{}` ({stages})",
                report.verdict.peak_stage
            ),
            Unit::Megabytes,
            vec![megabytes(Some(peak))],
        )
        .target(Target::Least(BUDGET)),
        Figure::new(
            format!(
                "Keras app: exit status of memcheck ({} under the limit in stage `{}`)",
                report.outcome.ended, report.outcome.stage
            ),
            Unit::Count,
            vec![f64::from(report.status)],
        )
        .target(Target::Least(1.0)),
    ])
}
