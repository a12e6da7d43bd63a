//! What explaining costs over classifying: EfficientNetV2S at its last feature map and in its middle, and the overlay of a 12-megapixel photo.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::child::{Measured, measure};
use super::figure::{Figure, Target, Unit};
use super::sides::{Bench, megabytes};
use super::stats::{alternate, median};
use super::{Outcome, Topic, jpeg};

pub const TOPIC: Topic = Topic {
    name: "gradcam-cost",
    about: "gradcam over predict: EfficientNetV2S, last feature map and one in its middle; the overlay of a 12-megapixel photo",
    run,
};

/// Where the network is below `shared`.
const MODEL: &str = "reference/k_effv2s_300";
/// A feature map half-way: 19x19, with 14 blocks behind it.
const MIDDLE: &str = "functional_1/block5i_add_1/Add:0";
/// Inferences in one process, of which the first two are not counted.
const REPEATED: usize = 12;
/// 12 megapixels.
const PHOTO: [usize; 2] = [4000, 3000];

fn run(bench: &Bench) -> Result<Outcome> {
    let mut figures = photo(bench)?;
    let model = bench.shared.as_ref().map(|shared| shared.join(MODEL)).filter(|model| model.is_dir());
    let Some(model) = model else {
        return Ok(Outcome::Figures(figures));
    };
    for (what, layer, held) in [("last feature map", None, true), ("middle", Some(MIDDLE), false)] {
        let layer: Vec<&OsStr> = layer.iter().flat_map(|name| ["--layer".as_ref(), OsStr::new(*name)]).collect();
        let sample = bench.sample();
        let many = vec![sample.as_path(); REPEATED];
        let (ours, plain) = alternate(
            &format!("inference, {what}"),
            bench.runs,
            || steady(&json(bench, "gradcam", &model, &layer, &many)?),
            || steady(&json(bench, "predict", &model, &[], &many)?),
        )?;
        let figure = Figure::new(format!("EfficientNetV2S, {what}: gradcam, 1 thread"), Unit::Milliseconds, ours);
        let figure = figure.against("predict", plain);
        figures.push(if held { figure.target(Target::RatioMost(1.03)) } else { figure });
        let (ours, plain) = alternate(
            &format!("peak memory, {what}"),
            bench.runs,
            || Ok(megabytes(json(bench, "gradcam", &model, &layer, &many[..1])?.peak)),
            || Ok(megabytes(json(bench, "predict", &model, &[], &many[..1])?.peak)),
        )?;
        let figure =
            Figure::new(format!("EfficientNetV2S, {what}: gradcam's peak memory, one image"), Unit::Megabytes, ours);
        let figure = figure.against("predict", plain);
        figures.push(if held { figure.target(Target::MostBeside(5.0)) } else { figure });
    }
    Ok(Outcome::Figures(figures))
}

/// One process with its answers as JSON.
fn json(bench: &Bench, command: &str, model: &Path, more: &[&OsStr], images: &[&Path]) -> Result<Measured> {
    let mut dermai = bench.dermai();
    dermai.args([command, "--json", "--threads", "1", "--model"]).arg(model).args(more).arg("--").args(images);
    measure(&mut dermai)?.expect(0, &dermai)
}

#[derive(Deserialize)]
struct Document {
    results: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    milliseconds: Milliseconds,
}

#[derive(Deserialize)]
struct Milliseconds {
    infer: f64,
}

/// Milliseconds of an inference once the first ones are over.
fn steady(measured: &Measured) -> Result<f64> {
    let document: Document = serde_json::from_str(&measured.stdout).context("`--json` gave another format")?;
    Ok(median(document.results.iter().skip(2).map(|answer| answer.milliseconds.infer).collect()))
}

/// The whole process, with an overlay at the photo's size, upright and on its side.
fn photo(bench: &Bench) -> Result<Vec<Figure>> {
    let workshop = bench.workshop()?;
    let (path, overlay) = (workshop.path().join("photo.jpg"), workshop.path().join("overlay.png"));
    jpeg::write(&path, PHOTO, true)?;
    let threads = bench.threads.to_string();
    let run = |command: &str, more: &[&OsStr]| {
        let mut dermai = bench.dermai();
        dermai.args([command, "--threads", &threads, "--model"]).arg(bench.default_model()).args(more).arg(&path);
        measure(&mut dermai)?.expect(0, &dermai)
    };
    let (ours, plain) = alternate(
        "12 megapixels",
        bench.runs,
        || run("gradcam", &["-o".as_ref(), overlay.as_os_str()]),
        || run("predict", &[]),
    )?;
    let peak = |side: &[Measured]| side.iter().map(|measured| megabytes(measured.peak)).collect();
    let wall = |side: &[Measured]| side.iter().map(|measured| measured.wall.as_secs_f64() * 1e3).collect();
    let memory = Figure::new("12-megapixel photo, overlay: peak memory of the process", Unit::Megabytes, peak(&ours));
    let time = Figure::new("12-megapixel photo, overlay: whole process", Unit::Milliseconds, wall(&ours));
    Ok(vec![
        memory.against("predict", peak(&plain)).target(Target::MostBeside(16.0)),
        time.against("predict", wall(&plain)),
    ])
}
