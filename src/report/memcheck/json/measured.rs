//! What was measured: how it ended, stages, requests, time, limits, memory over time.
use super::milliseconds;
use crate::memcheck as plain;
use crate::memory::{Ended, Outcome, Sample};
use crate::units::Bytes;
use serde::Serialize;
use std::time::Duration;

/// How the run ended.
#[derive(Debug, Serialize)]
pub struct Ending<'a> {
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
            Ended::ExitedEarly => ("exited", Some(0), None),
            Ended::OomKilled => ("oom_killed", None, None),
            Ended::TimedOut => ("timed_out", None, None),
            Ended::Crashed(signal) => ("crashed", None, Some(signal)),
            Ended::Stopped => ("stopped", None, None),
        };
        Self { ended, status, signal, stage: &outcome.stage, survived: outcome.survived() }
    }
}

/// Peaks of a stage.
#[derive(Debug, Serialize)]
pub struct Stage<'a> {
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
pub struct Requests {
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

/// What the server did.
#[derive(Debug, Serialize)]
pub struct Serve<'a> {
    peak_bytes: u64,
    kernel_peak_bytes: u64,
    answered: usize,
    refused: usize,
    lets_nobody_in: Option<&'a str>,
}

impl<'a> From<&'a plain::Served> for Serve<'a> {
    fn from(served: &'a plain::Served) -> Self {
        Self {
            peak_bytes: served.peak.0,
            kernel_peak_bytes: served.kernel_peak.0,
            answered: served.answered,
            refused: served.refused,
            lets_nobody_in: served.nobody.as_deref(),
        }
    }
}

/// Time at the CPU share.
#[derive(Debug, Serialize)]
pub struct Cpu {
    share: f64,
    enforced: bool,
    start_milliseconds: f64,
    first_answer_milliseconds: Option<f64>,
    answer_milliseconds: Option<f64>,
    stopped_in: Option<String>,
    deadline_milliseconds: f64,
}

impl From<&plain::CpuShare> for Cpu {
    fn from(cpu: &plain::CpuShare) -> Self {
        Self {
            share: cpu.share,
            enforced: cpu.enforced,
            start_milliseconds: milliseconds(cpu.start),
            first_answer_milliseconds: cpu.first_answer.map(milliseconds),
            answer_milliseconds: cpu.answer.map(milliseconds),
            stopped_in: cpu.stopped.as_ref().map(|outcome| outcome.stage.clone()),
            deadline_milliseconds: milliseconds(cpu.deadline),
        }
    }
}

/// A limit and the time under it.
#[derive(Debug, Serialize)]
pub struct Limit {
    limit_bytes: u64,
    milliseconds: Option<f64>,
}

impl Limit {
    /// As it is written.
    pub fn of(&(limit, took): &(Bytes, Option<Duration>)) -> Self {
        Self { limit_bytes: limit.0, milliseconds: took.map(milliseconds) }
    }
}

/// By columns: thousands of moments, each written as an object, would bury the rest.
#[derive(Debug, Serialize)]
pub struct Timeline<'a> {
    milliseconds: Vec<f64>,
    total_bytes: Vec<u64>,
    anon_bytes: Vec<u64>,
    stages: Vec<Begin<'a>>,
}

/// Where a stage began.
#[derive(Debug, Serialize)]
pub struct Begin<'a> {
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
