//! `dermai.memcheck/1`: the JSON of `memcheck` (DESIGN.md, section 8; `schemas/dermai.memcheck.1.json`). Keys are only ever added.
mod judged;
mod measured;

use crate::memcheck::{self as plain, Cache, Checked};
use crate::memory::Mechanism;
use crate::model::Identity;
use anyhow::Result;
use judged::{Choice, Comparison, Flaw, Point, Verdict};
use measured::{Cpu, Ending, Limit, Requests, Serve, Stage, Timeline};
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
    serve: Option<Serve<'a>>,
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
            serve: checked.served.as_ref().map(Into::into),
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

/// Parts as they are written.
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
    shared_bytes: u64,
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
            shared_bytes: enforced.shared.0,
            estimated: enforced.estimated,
            passed_over: &enforced.passed_over,
            runs: enforced.runs,
        }
    }
}
