//! A photo of 48 megapixels, which must not take the memory of its pixels (137 MB).

use std::path::Path;

use anyhow::Result;

use super::figure::{Figure, Target, Unit};
use super::sides::{Answered, Bench, Task, agree};
use super::stats::alternate;
use super::{Outcome, Topic, jpeg};

pub const TOPIC: Topic = Topic {
    name: "predict-photo",
    about: "a baseline JPEG of 48 megapixels, 4:2:0 and 4:4:4: memory over that of a small picture, whole process",
    run,
};

/// 48 megapixels.
const SIZE: [usize; 2] = [8000, 6000];
/// We decode so large a JPEG at a reduced scale, Python in full.
const TOLERANCE: f64 = 0.02;

fn run(bench: &Bench) -> Result<Outcome> {
    let workshop = bench.workshop()?;
    let task = |image: &Path| Task::repeated(&bench.default_model(), bench.threads, image, 1);
    let small = task(&bench.sample());
    let mut figures = Vec::new();
    for (chroma, halved) in [("4:2:0", true), ("4:4:4", false)] {
        let path = workshop.path().join("photo.jpg");
        jpeg::write(&path, SIZE, halved)?;
        let large = task(&path);
        let (ours, python) = alternate(
            &format!("48 megapixels, {chroma}"),
            bench.runs,
            || Ok((bench.ours(&small)?, bench.ours(&large)?)),
            || Ok((bench.python(&small)?, bench.python(&large)?)),
        )?;
        let larger: (Vec<_>, Vec<_>) = (memory_over(&ours), memory_over(&python));
        let [ours, python] = [ours, python].map(|pairs| pairs.into_iter().map(|(_, large)| large).collect::<Vec<_>>());
        agree(&ours, &python, TOLERANCE)?;
        let name = format!("JPEG of 48 megapixels, {chroma}: peak memory over that of a small picture");
        let memory = Figure::new(name, Unit::Megabytes, larger.0).beside(larger.1);
        figures.push(memory.target(Target::Most(24.0)));
        let wall = |side: &[Answered]| side.iter().map(Answered::wall).collect();
        let name = format!("JPEG of 48 megapixels, {chroma}: whole process");
        figures.push(Figure::new(name, Unit::Milliseconds, wall(&ours)).beside(wall(&python)));
    }
    Ok(Outcome::Figures(figures))
}

/// How much more memory the large picture took than the small one, run by run.
fn memory_over(pairs: &[(Answered, Answered)]) -> Vec<f64> {
    pairs.iter().map(|(small, large)| large.peak() - small.peak()).collect()
}
