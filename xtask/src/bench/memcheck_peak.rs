//! The peak that `memcheck` predicts, beside the kernel's own figure for the program itself, with another picture.

use std::collections::BTreeMap;

use anyhow::Result;

use super::figure::{Figure, Target, Unit};
use super::memcheck::{Report, Scene, Subject, Work, by_cgroup};
use super::sides::{Bench, megabytes};
use super::{Outcome, Topic};
use crate::say::say;

pub const TOPIC: Topic = Topic {
    name: "memcheck-peak",
    about: "the predicted peak beside a fresh cgroup's: three models, predict and gradcam, ten cold runs and ten warm ones",
    run,
};

/// Runs from outside.
pub const RUNS: usize = 10;
/// A prediction is right when the kernel charges between this part of it and all of it …
pub const RIGHT: f64 = 0.97;
/// … in so many of the runs.
pub const MOST_RUNS: f64 = 9.0;

fn run(bench: &Bench) -> Result<Outcome> {
    let scene = match Scene::set(bench)? {
        Ok(scene) => scene,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let mut figures = Vec::new();
    for model in &scene.models {
        figures.extend(compare(bench, &scene, model, Work::Predict)?);
    }
    figures.extend(compare(bench, &scene, &scene.models[0], Work::Gradcam)?);
    Ok(Outcome::Figures(figures))
}

/// One prediction and what the kernel says to it.
fn compare(bench: &Bench, scene: &Scene, model: &Subject, work: Work) -> Result<Vec<Figure>> {
    let mut others = BTreeMap::<_, BTreeMap<_, usize>>::new();
    let mut note = |when| {
        let files = others.entry(when).or_default();
        scene.held().into_iter().for_each(|file| *files.entry(file).or_default() += 1);
    };
    note("memcheck");
    let report = scene.check(bench, model, work, &[])?;
    by_cgroup(&report)?;
    let workshop = bench.workshop()?;
    let command = scene.program(bench, model, work, workshop.path());
    let cold = || {
        scene.chill(model)?;
        note("a cold run");
        Ok(scene.outside(&command)?.peak)
    };
    let cold = std::iter::repeat_with(cold).take(RUNS).collect::<Result<Vec<_>>>()?;
    scene.outside(&command)?; // fills the cache
    let warm = std::iter::repeat_with(|| Ok(scene.outside(&command)?.peak)).take(RUNS).collect::<Result<Vec<_>>>()?;
    let name = if work == Work::Predict { "predict" } else { "gradcam" };
    let what = format!("{}, {name}", model.name);
    for (state, peaks) in [("cold", &cold), ("warm", &warm)] {
        let all = peaks.iter().map(|peak| format!("{:.2}", megabytes(Some(*peak)))).collect::<Vec<_>>().join(" ");
        let predicted = megabytes(Some(report.verdict.peak_bytes));
        say(format_args!("bench: {what}: {predicted:.2} MB predicted; {state} runs from outside: {all}"));
    }
    for (when, files) in others {
        let files = files.iter().map(|(file, times)| format!("`{file}` ({times})")).collect::<Vec<_>>().join(" ");
        say(format_args!("bench: {what}: mapped by others at the start of {when}, so not charged to us: {files}"));
    }
    Ok(figures(&what, &report, &cold, &warm))
}

fn figures(what: &str, report: &Report, cold: &[u64], warm: &[u64]) -> Vec<Figure> {
    let predicted = report.verdict.peak_bytes;
    let (cold, warm) = (Ratios::of(cold, predicted), Ratios::of(warm, predicted));
    let told = format!("{:.2} MB predicted, in stage `{}`", megabytes(Some(predicted)), report.verdict.peak_stage);
    let highest = |state: &str, ratios: &Ratios, more: &str| {
        let name = format!("{what}: kernel's peak over predicted, highest of {RUNS} {state} runs");
        Figure::new(format!("{name} (lowest {:.3}{more})", ratios.lowest), Unit::Share, vec![ratios.highest])
    };
    let right = format!("{what}: cold runs of {RUNS} with a ratio of {RIGHT:.2} to 1.00");
    vec![
        highest("cold", &cold, &format!("; {told}")).target(Target::Most(1.0)),
        Figure::new(right, Unit::Count, vec![cold.right as f64]).target(Target::Least(MOST_RUNS)),
        highest("warm", &warm, ""),
    ]
}

/// What the kernel charged over what was predicted.
#[derive(Debug, PartialEq)]
pub struct Ratios {
    /// The lowest and the highest.
    pub lowest: f64,
    pub highest: f64,
    /// How many lie where they should.
    pub right: usize,
}

impl Ratios {
    /// Of these peaks to what was predicted.
    pub fn of(peaks: &[u64], predicted: u64) -> Self {
        let ratios = || peaks.iter().map(|peak| *peak as f64 / predicted as f64);
        Self {
            lowest: ratios().fold(f64::NAN, f64::min),
            highest: ratios().fold(f64::NAN, f64::max),
            right: ratios().filter(|ratio| (RIGHT..=1.0).contains(ratio)).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::Verdict;
    use super::*;

    fn verdicts(cold: &[u64]) -> Vec<Option<Verdict>> {
        let report = r#"{"enforced": {"mechanism": "cgroup-v1", "cache": "cold"},
            "outcome": {"ended": "exited", "stage": "cleanup"}, "stages": [], "floor_bytes": null,
            "verdict": {"fits": true, "peak_bytes": 1000, "peak_stage": "infer"}}"#;
        let report = serde_json::from_str(report).unwrap();
        figures("m, predict", &report, cold, &[500]).iter().map(Figure::verdict).collect()
    }

    #[test]
    fn a_prediction_is_an_upper_bound_and_a_near_one() {
        let (met, missed) = (Some(Verdict::Met), Some(Verdict::Missed));
        let mut peaks = [990; RUNS];
        peaks[0] = 900;
        assert_eq!(verdicts(&peaks), [met, met, None]);
        peaks[1] = 969;
        assert_eq!(verdicts(&peaks), [met, missed, None]);
        assert_eq!(verdicts(&[1001; RUNS]), [missed, missed, None]);
        assert_eq!(Ratios::of(&[970, 1000, 1001], 1000), Ratios { lowest: 0.97, highest: 1.001, right: 2 });
    }
}
