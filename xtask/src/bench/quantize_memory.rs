//! Memory and time of EfficientNetV2S as bundles, beside its .onnx: `predict`, `gradcam`, and from process start to result.

use std::path::Path;

use anyhow::Result;

use super::child::{Measured, measure};
use super::figure::{Figure, Target, Unit};
use super::quantize::{COMPARED, Form, LARGE, ONE_THREAD, Scene, difference};
use super::sides::{Bench, megabytes};
use super::stats::alternate;
use super::{Outcome, Topic};

pub const TOPIC: Topic = Topic {
    name: "quantize-memory",
    about: "EfficientNetV2S as bundles of the four modes beside its .onnx: peak memory of predict and gradcam, latency, start to result",
    run,
};

/// MB that a process that predicts one image may reach.
const FORMS: [(Form, f64); 4] =
    [(Form::Prepare, 128.0), (Form::Fp16, 90.0), (Form::Int8Weights, 72.0), (Form::Int8, 64.0)];
/// MB that explaining may take over predicting.
const EXPLAINING: f64 = 5.0;
/// Milliseconds from the start of a process to its result.
const START: f64 = 250.0;
/// Processes whose median that is.
const STARTS: usize = 20;
/// What stands beside the bundles.
const RAW: &str = "raw .onnx";

fn run(bench: &Bench) -> Result<Outcome> {
    let scene = match Scene::set(bench)? {
        Ok(scene) => scene,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let subject = scene.subject(LARGE)?;
    let mut images = subject.calibration()?;
    images.truncate(COMPARED);
    let raw = scene.probabilities(&subject.folder, &images)?;
    let peak = |command: &str, model: &Path| Ok(megabytes(process(&scene, command, model)?.peak));
    let mut figures = Vec::new();
    for (form, most) in FORMS {
        // A gate that nothing fails, so that the latency is measured.
        let report = scene.make(&subject, form, &["--max-latency".as_ref(), "99x".as_ref()])?.1;
        let bundle = subject.bundle(form);
        let named = |what: &str| format!("EfficientNetV2S, {}: {what}", form.name());
        let (ours, theirs) =
            alternate(form.name(), bench.runs, || peak("predict", &bundle), || peak("predict", &subject.folder))?;
        figures.push(
            Figure::new(named("predict's peak memory, one image"), Unit::Megabytes, ours)
                .against(RAW, theirs)
                .target(Target::Most(most)),
        );
        let (ours, plain) =
            alternate(form.name(), bench.runs, || peak("gradcam", &bundle), || peak("predict", &bundle))?;
        figures.push(
            Figure::new(named("gradcam's peak memory, one image"), Unit::Megabytes, ours)
                .against("predict", plain)
                .target(Target::MostBeside(EXPLAINING)),
        );
        let ratio = report.after.latency_ratio.unwrap_or(f64::NAN);
        figures.push(Figure::new(named("inference over the raw .onnx's"), Unit::Ratio, vec![ratio]));
        let size = report.after.bytes as f64 / subject.bytes()? as f64;
        figures.push(Figure::new(named("bytes over the raw .onnx's"), Unit::Ratio, vec![size]));
        let (largest, others) = difference(&scene.probabilities(&bundle, &images)?, &raw)?;
        let what = format!("largest difference of a probability, {COMPARED} images ({others} other answers)");
        figures.push(Figure::new(named(&what), Unit::Share, vec![largest]));
    }
    let wall = |model: &Path| Ok(process(&scene, "predict", model)?.wall.as_secs_f64() * 1e3);
    let bundle = subject.bundle(Form::Prepare);
    let (ours, theirs) = alternate("starts", STARTS, || wall(&bundle), || wall(&subject.folder))?;
    let name = format!("EfficientNetV2S, prepare: process start to result, 1 thread, {STARTS} of each");
    figures.push(Figure::new(name, Unit::Milliseconds, ours).against(RAW, theirs).target(Target::Most(START)));
    let (ours, theirs) =
        alternate("gradcam", bench.runs, || peak("gradcam", &subject.folder), || peak("predict", &subject.folder))?;
    let name = "EfficientNetV2S, raw .onnx: gradcam's peak memory, one image";
    figures.push(Figure::new(name, Unit::Megabytes, ours).against("predict", theirs));
    Ok(Outcome::Figures(figures))
}

/// One process with one picture to its end; `gradcam` writes the overlay.
fn process(scene: &Scene, command: &str, model: &Path) -> Result<Measured> {
    let mut dermai = scene.bench.dermai();
    dermai.arg(command).args(ONE_THREAD).arg("--model").arg(model);
    if command == "gradcam" {
        dermai.arg("-o").arg(scene.folder().join("overlay.png"));
    }
    dermai.arg(scene.bench.sample());
    measure(&mut dermai)?.expect(0, &dermai)
}
