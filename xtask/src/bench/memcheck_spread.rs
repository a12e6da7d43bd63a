//! How far `memcheck` differs from itself, stage by stage, and how long it takes.

use std::ffi::OsStr;

use anyhow::{Context as _, Result};

use super::child::measure;
use super::figure::{Figure, Target, Unit};
use super::memcheck::{Report, Scene, by_cgroup, plain, report};
use super::sides::{Bench, megabytes};
use super::{Outcome, Topic};

pub const TOPIC: Topic = Topic {
    name: "memcheck-spread",
    about: "ten memchecks of the default model: spread of each stage's peak; time of a plain memcheck",
    run,
};

/// Reports that are compared.
const REPORTS: usize = 10;
/// Runs whose time is taken.
const TIMED: usize = 3;
/// A plain run may take so many milliseconds.
const LONGEST: f64 = 15_000.0;
/// A spread is noise up to this part of the peak, or …
const NOISE: f64 = 0.02;
/// … up to so many MB.
const NOISE_MB: f64 = 0.5;

fn run(bench: &Bench) -> Result<Outcome> {
    let scene = match Scene::set(bench)? {
        Ok(scene) => scene,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let workshop = bench.workshop()?;
    let image = ["--image".as_ref(), scene.picture.as_os_str()];
    let mut figures = Vec::new();
    for (pictures, words) in [("drawn pictures", &[][..]), ("a photo", &image)] {
        let once = || {
            let usual = ["--budget", "512MB", "--json"].map(OsStr::new);
            let report = report(plain(bench, workshop.path(), &usual).args(words), &[0])?;
            by_cgroup(&report)?;
            Ok(report)
        };
        let reports = std::iter::repeat_with(once).take(REPORTS).collect::<Result<Vec<_>>>()?;
        figures.extend(spreads(&reports, pictures)?);
    }
    for (place, folder) in [("without a render.yaml", workshop.path()), ("with the render.yaml here", &bench.root)] {
        let time = || {
            let mut command = plain(bench, folder, &[]);
            Ok(measure(&mut command)?.expect(0, &command)?.wall.as_secs_f64() * 1e3)
        };
        let times = std::iter::repeat_with(time).take(TIMED).collect::<Result<Vec<_>>>()?;
        let name = format!("plain memcheck, default model, {place}: whole process, median of {TIMED}");
        figures.push(Figure::new(name, Unit::Milliseconds, times).target(Target::Most(LONGEST)));
    }
    Ok(Outcome::Figures(figures))
}

/// A stage's peaks in MB.
struct Peaks<'a> {
    stage: &'a str,
    lowest: f64,
    highest: f64,
}

impl Peaks<'_> {
    fn spread(&self) -> f64 {
        self.highest - self.lowest
    }

    /// What is let through.
    fn noise(&self) -> f64 {
        (NOISE * self.highest).max(NOISE_MB)
    }
}

/// The worst stage with its target, then each stage by itself.
fn spreads(reports: &[Report], pictures: &str) -> Result<Vec<Figure>> {
    let first = reports.first().context("there is no report")?;
    let peaks = first.stages.iter().map(|stage| {
        // A stage that a report lacks makes its spread NaN, which meets no target.
        let peak = |report: &Report| {
            let stage = report.stages.iter().find(|other| other.name == stage.name);
            megabytes(stage.map(|stage| stage.peak_bytes))
        };
        let all: Vec<_> = reports.iter().map(peak).collect();
        let known = !all.iter().any(|peak| peak.is_nan());
        let of = |pick: fn(f64, f64) -> f64| if known { all.iter().copied().fold(f64::NAN, pick) } else { f64::NAN };
        Peaks { stage: &stage.name, lowest: of(f64::min), highest: of(f64::max) }
    });
    let peaks: Vec<_> = peaks.collect();
    let excess = |peaks: &Peaks<'_>| peaks.spread() / peaks.noise();
    let worst = peaks.iter().max_by(|a, b| excess(a).total_cmp(&excess(b))).context("there is no stage")?;
    let name = format!(
        "{pictures}: spread of a stage's peak over {} memchecks: worst of {} stages, `{}`",
        reports.len(),
        peaks.len(),
        worst.stage
    );
    let limit = (worst.noise() * 100.0).round() / 100.0;
    let worst = Figure::new(name, Unit::Megabytes, vec![worst.spread()]).target(Target::Most(limit));
    let each = peaks.iter().map(|peaks| {
        let name = format!("{pictures}: spread of `{}` ({:.2} to {:.2} MB)", peaks.stage, peaks.lowest, peaks.highest);
        Figure::new(name, Unit::Megabytes, vec![peaks.spread()])
    });
    Ok(std::iter::once(worst).chain(each).collect())
}

#[cfg(test)]
mod tests {
    use super::super::figure::Verdict;
    use super::*;

    /// A report with these stages, their peaks in units of 100 KB.
    fn with(stages: &[(&str, u64)]) -> Report {
        let stages: Vec<_> = stages
            .iter()
            .map(|(name, peak)| serde_json::json!({"name": name, "peak_bytes": peak * 100 * 1024}))
            .collect();
        serde_json::from_value(serde_json::json!({
            "enforced": {"mechanism": "cgroup-v1", "cache": "cold"}, "outcome": {"ended": "exited", "stage": "b"},
            "stages": stages, "verdict": {"fits": true, "peak_bytes": 1, "peak_stage": "b"}
        }))
        .unwrap()
    }

    #[test]
    fn the_worst_stage_is_the_one_furthest_beyond_its_noise() {
        // 600 KB of 1 MB are more than the noise there, 900 KB of 60 MB are not.
        let reports = [with(&[("a", 10), ("b", 600)]), with(&[("a", 16), ("b", 609)])];
        let figures = spreads(&reports, "a photo").unwrap();
        assert!(figures[0].name.ends_with("worst of 2 stages, `a`"), "{}", figures[0].name);
        assert_eq!(figures[0].verdict(), Some(Verdict::Missed));
        assert_eq!(figures.len(), 3);
        let quiet = [with(&[("a", 10), ("b", 600)]), with(&[("a", 14), ("b", 609)])];
        assert_eq!(spreads(&quiet, "a photo").unwrap()[0].verdict(), Some(Verdict::Met));
    }

    #[test]
    fn a_stage_that_is_missing_once_is_not_met() {
        let reports = [with(&[("a", 10), ("b", 600)]), with(&[("a", 10)])];
        let figures = spreads(&reports, "a photo").unwrap();
        assert!(figures[0].name.ends_with("`b`"), "{}", figures[0].name);
        assert_eq!(figures[0].verdict(), Some(Verdict::Missed));
    }
}
