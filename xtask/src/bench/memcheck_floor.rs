//! The floor that `memcheck --floor` finds, beside a bisection with real cgroups around the program itself.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::edge;
use super::figure::{Figure, Target, Unit};
use super::memcheck::{Scene, Subject, Work, by_cgroup};
use super::sides::Bench;
use super::{Outcome, Topic};
use crate::say::say;

pub const TOPIC: Topic = Topic {
    name: "memcheck-floor",
    about: "the floor beside a bisection of `predict`, cold, in real cgroups: default model and ham-mobilenetv2",
    run,
};

/// One that takes longer does not live: a host takes a service that is silent for so long out of rotation.
const LONGEST: Duration = Duration::from_secs(15);
/// The networks that are looked at.
const MODELS: [&str; 2] = ["default model", "ham-mobilenetv2"];

fn run(bench: &Bench) -> Result<Outcome> {
    let scene = match Scene::set(bench)? {
        Ok(scene) => scene,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let models = scene.models.iter().filter(|model| MODELS.contains(&model.name));
    let figures = models.map(|model| compare(bench, &scene, model)).collect::<Result<Vec<_>>>()?;
    Ok(Outcome::Figures(figures.concat()))
}

fn compare(bench: &Bench, scene: &Scene, model: &Subject) -> Result<Vec<Figure>> {
    let report = scene.check(bench, model, Work::Predict, &["--floor"])?;
    by_cgroup(&report)?;
    let floor = report.floor_bytes.context("`memcheck --floor` found no floor")? >> 20;
    let peak = report.verdict.peak_bytes.div_ceil(1 << 20) + 1;
    let command = scene.program(bench, model, Work::Predict, bench.target.as_path());
    let edge = edge::find(peak, |limit| {
        scene.chill(model)?;
        let seen = scene.cgroups.run(&command, Some(limit << 20), LONGEST)?;
        let (ended, wall) = (seen.status, seen.wall.as_secs_f64());
        let late = if seen.too_long { ", as it took too long" } else { "" };
        say(format_args!("bench: {}: {limit} MB: {ended} after {wall:.2} s{late}", model.name));
        // It may have ended well right before it would have been ended.
        Ok(seen.status.success() && seen.wall <= LONGEST)
    })?;
    let name = model.name;
    let found = format!("{name}: floor by memcheck (outside: {edge})");
    let beyond = format!("{name}: floor by memcheck less that from outside, without its sign");
    let lowest = edge.lowest as f64;
    let floor = floor as f64;
    Ok(vec![
        Figure::new(found, Unit::Megabytes, vec![floor]).against("outside", vec![lowest]),
        Figure::new(beyond, Unit::Megabytes, vec![(floor - lowest).abs()]).target(Target::Most(1.0)),
    ])
}
