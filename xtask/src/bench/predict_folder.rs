//! A folder of 1,000 pictures on all cores, beside the loop that one would write in Python.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::figure::{Figure, Target, Unit};
use super::sides::{Answered, Bench, Task, agree};
use super::stats::alternate;
use super::{Outcome, Topic};

pub const TOPIC: Topic =
    Topic { name: "predict-folder", about: "1,000 pictures, default model, all cores: images per second", run };

/// Pictures in the folder.
const PICTURES: usize = 1000;
/// Folders of dermatoscopic pictures below `shared`, taken in this order until there are enough.
const SOURCES: [&str; 2] = ["images/ham", "images/ham-test"];
/// Both sides run the same network on the same pixels.
const TOLERANCE: f64 = 1e-3;

fn run(bench: &Bench) -> Result<Outcome> {
    let workshop = bench.workshop()?;
    fill(workshop.path(), &sources(bench)?)?;
    let task = Task { model: bench.default_model(), threads: bench.threads, images: vec![workshop.path().to_owned()] };
    let (ours, python) = alternate("1,000 pictures", bench.runs, || bench.ours(&task), || bench.python(&task))?;
    agree(&ours, &python, TOLERANCE)?;
    let speed = |milliseconds: f64| PICTURES as f64 * 1e3 / milliseconds;
    let name = "default model: folder of 1,000 images, all cores (Python: imports not counted)";
    let figure = Figure::new(name, Unit::ImagesPerSecond, ours.iter().map(|side| speed(side.wall())).collect())
        .beside(python.iter().map(|side| speed(side.total)).collect())
        .target(Target::RatioLeast(1.3));
    let peak = |side: &[Answered]| side.iter().map(Answered::peak).collect();
    let memory = Figure::new("default model: peak memory over the folder", Unit::Megabytes, peak(&ours));
    Ok(Outcome::Figures(vec![figure, memory.beside(peak(&python))]))
}

/// Pictures to take, or the one of our own where there are none.
fn sources(bench: &Bench) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in bench.shared.iter().flat_map(|shared| SOURCES.map(|below| shared.join(below))) {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
        let mut pictures: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        pictures.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
        pictures.sort();
        found.extend(pictures);
    }
    if found.is_empty() {
        found.push(bench.sample());
    }
    Ok(found)
}

/// Copies rather than links, which not every system lets everyone make. Starts again when there are too few.
fn fill(folder: &Path, sources: &[PathBuf]) -> Result<()> {
    for (at, source) in sources.iter().cycle().take(PICTURES).enumerate() {
        let copy = folder.join(format!("{at:04}.jpg"));
        fs::copy(source, &copy).with_context(|| format!("cannot copy `{}`", source.display()))?;
    }
    Ok(())
}
