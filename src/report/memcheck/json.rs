//! `dermai.memcheck/1`: the JSON of `memcheck` (DESIGN.md, section 8; `schemas/dermai.memcheck.1.json`). Keys are only ever added.
use crate::deploy::{Finding, Severity};
use crate::memcheck::{self as plain, Band, Cache, Checked};
use crate::memory::{Ended, Mechanism, Outcome, Sample};
use crate::model::Identity;
use crate::units::Bytes;
use anyhow::Result;
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

/// Name and version of the format.
pub const SCHEMA: &str = "dermai.memcheck/1";

/// Writes the result as one JSON object.
pub fn write_json(out: &mut dyn Write, checked: &Checked) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Document::of(checked))?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    dermai: &'static str,
    subject: Subject<'a>,
    budget: Budget<'a>,
    enforced: Enforced<'a>,
    outcome: Ending<'a>,
    stages: Vec<Stage<'a>>,
    requests: Option<Requests>,
    cpu: Option<Cpu>,
    floor_bytes: Option<u64>,
    floor_curve: Option<Vec<Limit>>,
    verdict: Verdict<'a>,
    options: Vec<Choice<'a>>,
    findings: Vec<Flaw<'a>>,
    checklist: Vec<Point<'a>>,
    timeline: Timeline<'a>,
    comparison: Option<Comparison<'a>>,
}

impl<'a> Document<'a> {
    fn of(checked: &'a Checked) -> Self {
        let floor = checked.floor.as_ref();
        Self {
            schema: SCHEMA,
            dermai: env!("CARGO_PKG_VERSION"),
            subject: (&checked.subject).into(),
            budget: (&checked.budget).into(),
            enforced: (&checked.enforced).into(),
            outcome: (&checked.outcome).into(),
            stages: all(&checked.stages),
            requests: checked.requests.as_ref().map(Into::into),
            cpu: checked.cpu.as_ref().map(Into::into),
            floor_bytes: floor.map(|floor| floor.bytes.0),
            floor_curve: floor.map(|floor| floor.curve.iter().map(Limit::of).collect()),
            verdict: (&checked.verdict).into(),
            options: all(&checked.options),
            findings: all(&checked.findings),
            checklist: all(&checked.checklist),
            timeline: (&checked.timeline).into(),
            comparison: checked.comparison.as_ref().map(Into::into),
        }
    }
}

fn all<'a, P, J: From<&'a P>>(parts: &'a [P]) -> Vec<J> {
    parts.iter().map(J::from).collect()
}

/// Microseconds are what the clock gives; more digits would be noise.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[derive(Debug, Serialize)]
struct Subject<'a> {
    kind: &'static str,
    name: Option<&'a str>,
    model: Option<&'a Identity>,
    gradcam: Option<bool>,
    pictures: Option<&'a [String]>,
    command: Option<&'a str>,
}

impl<'a> From<&'a plain::Subject> for Subject<'a> {
    fn from(subject: &'a plain::Subject) -> Self {
        match subject {
            plain::Subject::Model { identity, name, gradcam, pictures } => Self {
                kind: "model",
                name: Some(name),
                model: identity.as_ref(),
                gradcam: Some(*gradcam),
                pictures: Some(pictures),
                command: None,
            },
            plain::Subject::Command { line } => {
                Self { kind: "command", name: None, model: None, gradcam: None, pictures: None, command: Some(line) }
            }
        }
    }
}

#[derive(Debug, Serialize)]
struct Budget<'a> {
    bytes: u64,
    source: &'a str,
    cpu: Option<f64>,
}

impl<'a> From<&'a plain::Budget> for Budget<'a> {
    fn from(budget: &'a plain::Budget) -> Self {
        Self { bytes: budget.memory.0, source: &budget.source, cpu: budget.cpus }
    }
}

#[derive(Debug, Serialize)]
struct Enforced<'a> {
    mechanism: Mechanism,
    limit_bytes: u64,
    swap: bool,
    cache: &'static str,
    estimated: bool,
    passed_over: &'a [String],
    runs: usize,
}

impl<'a> From<&'a plain::Enforced> for Enforced<'a> {
    fn from(enforced: &'a plain::Enforced) -> Self {
        Self {
            mechanism: enforced.mechanism,
            limit_bytes: enforced.limit.0,
            swap: enforced.swap,
            cache: match enforced.cache {
                Cache::Cold => "cold",
                Cache::Warm => "warm",
            },
            estimated: enforced.estimated,
            passed_over: &enforced.passed_over,
            runs: enforced.runs,
        }
    }
}

#[derive(Debug, Serialize)]
struct Ending<'a> {
    ended: &'static str,
    status: Option<i32>,
    signal: Option<i32>,
    stage: &'a str,
    survived: bool,
}

impl<'a> From<&'a Outcome> for Ending<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let (ended, status, signal) = match outcome.ended {
            Ended::Exited(status) => ("exited", Some(status), None),
            Ended::OomKilled => ("oom_killed", None, None),
            Ended::TimedOut => ("timed_out", None, None),
            Ended::Crashed(signal) => ("crashed", None, Some(signal)),
            Ended::Stopped => ("stopped", None, None),
        };
        Self { ended, status, signal, stage: &outcome.stage, survived: outcome.survived() }
    }
}

#[derive(Debug, Serialize)]
struct Stage<'a> {
    name: &'a str,
    peak_bytes: u64,
    anon_bytes: u64,
    file_bytes: u64,
    resident_bytes: u64,
    spread_bytes: u64,
    milliseconds: f64,
}

impl<'a> From<&'a plain::StagePeak> for Stage<'a> {
    fn from(stage: &'a plain::StagePeak) -> Self {
        Self {
            name: &stage.name,
            peak_bytes: stage.peak.0,
            anon_bytes: stage.anon.0,
            file_bytes: stage.file.0,
            resident_bytes: stage.resident.0,
            spread_bytes: stage.spread.0,
            milliseconds: milliseconds(stage.elapsed),
        }
    }
}

/// Slopes are null where there were too few requests to tell: JSON knows no infinity.
#[derive(Debug, Serialize)]
struct Requests {
    count: usize,
    slope_bytes_per_request: f64,
    ci95: [f64; 2],
    grows: bool,
    median_milliseconds: f64,
    slowest_milliseconds: f64,
    until_full: Option<u64>,
}

impl From<&plain::Requests> for Requests {
    fn from(requests: &plain::Requests) -> Self {
        Self {
            count: requests.count,
            slope_bytes_per_request: requests.slope,
            ci95: requests.ci95.into(),
            grows: requests.leaks(),
            median_milliseconds: milliseconds(requests.median),
            slowest_milliseconds: milliseconds(requests.slowest),
            until_full: requests.until_full,
        }
    }
}

#[derive(Debug, Serialize)]
struct Cpu {
    share: f64,
    enforced: bool,
    start_milliseconds: f64,
    first_answer_milliseconds: f64,
    answer_milliseconds: f64,
    deadline_milliseconds: f64,
}

impl From<&plain::CpuShare> for Cpu {
    fn from(cpu: &plain::CpuShare) -> Self {
        Self {
            share: cpu.share,
            enforced: cpu.enforced,
            start_milliseconds: milliseconds(cpu.start),
            first_answer_milliseconds: milliseconds(cpu.first_answer),
            answer_milliseconds: milliseconds(cpu.answer),
            deadline_milliseconds: milliseconds(cpu.deadline),
        }
    }
}

#[derive(Debug, Serialize)]
struct Limit {
    limit_bytes: u64,
    milliseconds: Option<f64>,
}

impl Limit {
    fn of(&(limit, took): &(Bytes, Option<Duration>)) -> Self {
        Self { limit_bytes: limit.0, milliseconds: took.map(milliseconds) }
    }
}

#[derive(Debug, Serialize)]
struct Verdict<'a> {
    band: Band,
    fits: bool,
    peak_bytes: u64,
    peak_stage: &'a str,
    anon_bytes: u64,
    headroom_bytes: i64,
    advice: &'a [String],
}

impl<'a> From<&'a plain::Verdict> for Verdict<'a> {
    fn from(verdict: &'a plain::Verdict) -> Self {
        Self {
            band: verdict.band,
            fits: verdict.fits,
            peak_bytes: verdict.peak.0,
            peak_stage: &verdict.peak_stage,
            anon_bytes: verdict.anon.0,
            headroom_bytes: verdict.headroom,
            advice: &verdict.advice,
        }
    }
}

#[derive(Debug, Serialize)]
struct Choice<'a> {
    name: &'a str,
    memory_bytes: u64,
    cpu: Option<f64>,
    peak_bytes: u64,
    measured: bool,
    fits: bool,
    first_answer_milliseconds: Option<f64>,
    accuracy_change: Option<f64>,
    price: Option<f64>,
}

impl<'a> From<&'a plain::Choice> for Choice<'a> {
    fn from(choice: &'a plain::Choice) -> Self {
        Self {
            name: &choice.name,
            memory_bytes: choice.memory.0,
            cpu: choice.cpus,
            peak_bytes: choice.peak.0,
            measured: choice.measured,
            fits: choice.fits,
            first_answer_milliseconds: choice.first_answer.map(milliseconds),
            accuracy_change: choice.accuracy_change,
            price: choice.price,
        }
    }
}

#[derive(Debug, Serialize)]
struct Flaw<'a> {
    rule: &'a str,
    severity: Severity,
    path: &'a str,
    message: &'a str,
    fix: &'a str,
}

impl<'a> From<&'a Finding> for Flaw<'a> {
    fn from(finding: &'a Finding) -> Self {
        let Finding { rule, severity, path, message, fix } = finding;
        Self { rule, severity: *severity, path, message, fix }
    }
}

#[derive(Debug, Serialize)]
struct Point<'a> {
    text: &'a str,
    holds: Option<bool>,
    evidence: &'a str,
}

impl<'a> From<&'a plain::Point> for Point<'a> {
    fn from(point: &'a plain::Point) -> Self {
        Self { text: &point.text, holds: point.holds, evidence: &point.evidence }
    }
}

/// By columns: thousands of moments, each written as an object, would bury the rest.
#[derive(Debug, Serialize)]
struct Timeline<'a> {
    milliseconds: Vec<f64>,
    total_bytes: Vec<u64>,
    anon_bytes: Vec<u64>,
    stages: Vec<Begin<'a>>,
}

#[derive(Debug, Serialize)]
struct Begin<'a> {
    name: &'a str,
    began_milliseconds: f64,
}

impl<'a> From<&'a plain::Timeline> for Timeline<'a> {
    fn from(timeline: &'a plain::Timeline) -> Self {
        let of = |part: fn(&Sample) -> u64| timeline.samples.iter().map(part).collect();
        Self {
            milliseconds: timeline.samples.iter().map(|sample| milliseconds(sample.at)).collect(),
            total_bytes: of(|sample| sample.total.0),
            anon_bytes: of(|sample| sample.anon.0),
            stages: timeline
                .stages
                .iter()
                .map(|(name, began)| Begin { name, began_milliseconds: milliseconds(*began) })
                .collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Comparison<'a> {
    path: String,
    band: f64,
    grew: bool,
    changes: Vec<Change<'a>>,
}

impl<'a> From<&'a plain::Comparison> for Comparison<'a> {
    fn from(comparison: &'a plain::Comparison) -> Self {
        Self {
            path: comparison.path.display().to_string(),
            band: comparison.band,
            grew: comparison.grew(),
            changes: all(&comparison.changes),
        }
    }
}

#[derive(Debug, Serialize)]
struct Change<'a> {
    name: &'a str,
    before_bytes: Option<u64>,
    now_bytes: Option<u64>,
    grew: bool,
}

impl<'a> From<&'a plain::Change> for Change<'a> {
    fn from(change: &'a plain::Change) -> Self {
        Self {
            name: &change.name,
            before_bytes: change.before.map(|bytes| bytes.0),
            now_bytes: change.now.map(|bytes| bytes.0),
            grew: change.grew,
        }
    }
}
