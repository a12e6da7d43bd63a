//! What a watchdog predicts where no cgroup is to be had, beside what a cgroup predicts.

use anyhow::Result;

use super::figure::{Figure, Unit};
use super::memcheck::{Scene, Work, by_cgroup};
use super::sides::{Bench, megabytes};
use super::{Outcome, Topic};

pub const TOPIC: Topic = Topic {
    name: "memcheck-ways",
    about: "the peak predicted by a watchdog beside that by cgroups, three models",
    run,
};

fn run(bench: &Bench) -> Result<Outcome> {
    let scene = match Scene::set(bench)? {
        Ok(scene) => scene,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let mut figures = Vec::new();
    for model in &scene.models {
        for (name, work) in [("predict", Work::Predict), ("gradcam", Work::Gradcam)] {
            let counted = scene.check(bench, model, work, &[])?;
            by_cgroup(&counted)?;
            let watched = scene.check(bench, model, work, &["--enforce", "watchdog"])?;
            let peak = |report: &super::memcheck::Report| vec![megabytes(Some(report.verdict.peak_bytes))];
            let name = format!("{}, {name}: peak predicted by a watchdog", model.name);
            figures.push(Figure::new(name, Unit::Megabytes, peak(&watched)).against("cgroup", peak(&counted)));
        }
    }
    Ok(Outcome::Figures(figures))
}
