//! What follows from it: verdict, options, findings, checklist, comparison.
use super::{all, milliseconds};
use crate::deploy::{Finding, Origin, Severity};
use crate::memcheck::{self as plain, Band};
use serde::Serialize;

/// The verdict.
#[derive(Debug, Serialize)]
pub struct Verdict<'a> {
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

/// Something that can be deployed.
#[derive(Debug, Serialize)]
pub struct Choice<'a> {
    name: &'a str,
    memory_bytes: u64,
    cpu: Option<f64>,
    peak_bytes: u64,
    measured: bool,
    fits: bool,
    first_answer_milliseconds: Option<f64>,
    accuracy_change: Option<f64>,
    price: Option<f64>,
    note: Option<&'a str>,
    command: Option<&'a str>,
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
            note: choice.note.as_deref(),
            command: choice.command.as_deref(),
        }
    }
}

/// A finding.
#[derive(Debug, Serialize)]
pub struct Flaw<'a> {
    rule: &'a str,
    severity: Severity,
    origin: Origin,
    path: &'a str,
    message: &'a str,
    fix: &'a str,
}

impl<'a> From<&'a Finding> for Flaw<'a> {
    fn from(finding: &'a Finding) -> Self {
        let Finding { rule, severity, origin, path, message, fix } = finding;
        Self { rule, severity: *severity, origin: *origin, path, message, fix }
    }
}

/// A point of the checklist.
#[derive(Debug, Serialize)]
pub struct Point<'a> {
    text: &'a str,
    holds: Option<bool>,
    evidence: &'a str,
}

impl<'a> From<&'a plain::Point> for Point<'a> {
    fn from(point: &'a plain::Point) -> Self {
        Self { text: &point.text, holds: point.holds, evidence: &point.evidence }
    }
}

/// Differences from an earlier report.
#[derive(Debug, Serialize)]
pub struct Comparison<'a> {
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

/// One figure, then and now.
#[derive(Debug, Serialize)]
pub struct Change<'a> {
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
