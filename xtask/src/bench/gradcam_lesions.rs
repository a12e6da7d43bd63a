//! Whether the heat lies on the lesion: 733 dermatoscopic pictures with their lesion masks, every method.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::figure::{Figure, Unit};
use super::sides::Bench;
use super::{Outcome, Topic};
use crate::workspace;

pub const TOPIC: Topic = Topic {
    name: "gradcam-lesions",
    about: "the mean share of heat inside the lesion over the lesion's mean share of the picture, each method, default model",
    run,
};

/// Pictures that the default model never saw, below `shared`.
const IMAGES: &str = "images/ham-test";

/// A line of the example's output.
#[derive(Deserialize)]
struct Line {
    method: String,
    ratio: f64,
    images: usize,
    flat: usize,
}

fn run(bench: &Bench) -> Result<Outcome> {
    let images = bench.shared.as_ref().map(|shared| shared.join(IMAGES)).filter(|images| images.is_dir());
    let Some(images) = images else {
        return Ok(Outcome::Skipped(format!("there is no `shared/{IMAGES}` beside the checkout")));
    };
    let mut example =
        workspace::cargo(["run", "--quiet", "--release", "--locked", "--example", "heat_in_lesions", "--"]);
    example.current_dir(&bench.root).arg(bench.default_model()).arg(&images).arg(images.join("masks"));
    let output = example.output().context("cannot run the example `heat_in_lesions`")?;
    ensure!(output.status.success(), "`heat_in_lesions` failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).context("`heat_in_lesions` gave another format")?;
    let lines = text.lines().map(serde_json::from_str::<Line>).collect::<Result<Vec<_>, _>>();
    let figure = |line: Line| {
        let flat = if line.flat > 0 { format!(", {} without heat left out", line.flat) } else { String::new() };
        let name = format!("heat on the lesion, {} ({} pictures{flat}); 1 is chance", line.method, line.images);
        Figure::new(name, Unit::Ratio, vec![line.ratio])
    };
    Ok(Outcome::Figures(lines.context("`heat_in_lesions` gave another format")?.into_iter().map(figure).collect()))
}
