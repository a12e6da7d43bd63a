//! What calibrating a large network takes, beside `onnxruntime.quantization` with the ranges of the same pictures.

use anyhow::Result;

use super::figure::{Figure, Target, Unit};
use super::quantize::{Answers, COMPARED, Form, LARGE, Scene, difference};
use super::sides::{Bench, megabytes};
use super::{Outcome, Topic};

pub const TOPIC: Topic = Topic {
    name: "quantize-calibration",
    about: "EfficientNetV2S to int8 with 200 pictures, beside onnxruntime.quantization with min-max: peak memory and time, once each",
    run,
};

/// MB that `quantize` may reach.
const PEAK: f64 = 400.0;
/// The other side's least demanding recipe.
const RECIPE: &str = "minmax u8s8";

fn run(bench: &Bench) -> Result<Outcome> {
    let scene = match Scene::set(bench)? {
        Ok(scene) => scene,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let subject = scene.subject(LARGE)?;
    let mut images = subject.calibration()?;
    let pictures = images.len();
    images.truncate(COMPARED);
    let (ours, _) = scene.make(&subject, Form::Int8, &[])?;
    let (theirs, _) =
        scene.python::<serde::de::IgnoredAny>("one", &subject.folder, [subject.place(), RECIPE.as_ref()])?;
    let raw = scene.probabilities(&subject.folder, &images)?;
    let (largest, others) = difference(&scene.probabilities(&subject.bundle(Form::Int8), &images)?, &raw)?;
    let arguments = [subject.place(), RECIPE.as_ref()].into_iter().chain(images.iter().map(|image| image.as_os_str()));
    let answers: Answers = scene.python("recipe", &subject.folder, arguments)?.1;
    let (beside, others_beside) = difference(&answers.answers, &raw)?;
    let milliseconds = |wall: std::time::Duration| wall.as_secs_f64() * 1e3;
    let name = |what: &str| format!("EfficientNetV2S to int8 with {pictures} pictures: {what} (Python: {RECIPE})");
    Ok(Outcome::Figures(vec![
        Figure::new(name("peak memory"), Unit::Megabytes, vec![megabytes(ours.peak)])
            .beside(vec![megabytes(theirs.peak)])
            .target(Target::Most(PEAK)),
        Figure::new(name("whole process, once"), Unit::Milliseconds, vec![milliseconds(ours.wall)])
            .beside(vec![milliseconds(theirs.wall)]),
        Figure::new(
            name(&format!("largest difference of a probability, {COMPARED} images")),
            Unit::Share,
            vec![largest],
        )
        .beside(vec![beside]),
        Figure::new(name("other answers among them"), Unit::Count, vec![others as f64])
            .beside(vec![others_beside as f64]),
    ]))
}
