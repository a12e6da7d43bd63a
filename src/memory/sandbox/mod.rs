//! A child under a budget: started inside it, followed stage by stage, ended whatever happens.
mod child;
mod follow;
mod meter;

pub use child::enter;

use super::group::Budget;
use super::ladder::Ladder;
use crate::units::Bytes;
use anyhow::Result;
use child::Child;
use follow::Followed;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// How a child is run.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// How the budget is enforced.
    pub ladder: &'a Ladder,
    /// What it may use.
    pub budget: Budget,
    /// Whether the child waits for a line on its standard input after each stage and step that it tells.
    pub acknowledged: bool,
    /// The child hangs when it has told nothing for so long.
    pub patience: Duration,
    /// It may not take longer than this in all; none: as long as it tells something.
    pub deadline: Option<Duration>,
    /// Whether memory is looked at over time. Where a cgroup counts, stages have their peaks without it, and a child that is short of memory
    /// takes up to three times as long when its counters are read: not where time is measured.
    pub sampled: bool,
    /// Name of the stage that it is in from its start.
    pub first_stage: &'static str,
    /// Files that it will read, out of the page cache now; where no cgroup counts, their pages are.
    pub files: &'a BTreeSet<PathBuf>,
    /// Set by a signal: the child is ended.
    pub cancelled: &'a AtomicBool,
}

/// What is made of a line that the child wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A stage begins, and the one before it ends.
    Stage(String),
    /// One of several like steps of this stage is done, such as a request.
    Step,
    /// It is about something else.
    Nothing,
}

/// What happens to a child while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It wrote a line to standard output.
    Out(String),
    /// It wrote a line to standard error.
    Error(String),
    /// Who drives it begins another stage.
    Stage(String),
    /// Who drives it has done a step.
    Step,
    /// Who drives it is done with it: it is ended.
    Stop,
    /// Who drives it failed, and why: it is ended.
    Failed(String),
}

/// A part of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Since the start of the run.
    pub began: Duration,
    /// How long it took.
    pub elapsed: Duration,
    /// The highest charge: anonymous memory, page cache and the kernel's own. An estimate under a watchdog.
    pub peak: Bytes,
    /// The highest resident size of the child itself (`VmHWM`): no kernel memory, shared pages in full.
    pub resident: Bytes,
    /// The highest anonymous part that was seen.
    pub anon: Bytes,
    /// The highest part with a file behind it that was seen.
    pub file: Bytes,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// One of several like steps, such as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long it took.
    pub elapsed: Duration,
    /// Anonymous memory at its end.
    pub anon: Bytes,
}

/// What was charged at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Since the start of the run.
    pub at: Duration,
    /// Everything.
    pub total: Bytes,
    /// The anonymous part.
    pub anon: Bytes,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By itself and without an error, although who drove it was not done with it.
    ExitedEarly,
    /// The kernel, or the watchdog, killed it or a process of its own because it was over the budget.
    OomKilled,
    /// It told nothing for too long and was ended.
    TimedOut,
    /// By this signal.
    Crashed(i32),
    /// Who drove it was done with it, or failed.
    Stopped,
}

/// How a child ended, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How.
    pub ended: Ended,
    /// In which stage.
    pub stage: String,
}

impl Outcome {
    /// Whether it lived to its end.
    pub fn survived(&self) -> bool {
        matches!(self.ended, Ended::Exited(0) | Ended::Stopped)
    }
}

/// A run from start to end.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its stages in order.
    pub stages: Vec<Stage>,
    /// Memory over time.
    pub samples: Vec<Sample>,
    /// Why who drove it failed, if it was not because the child had ended.
    pub failed: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether charges ran into the limit: the peak is then what the limit left, not what was wanted.
    pub limited: bool,
    /// Files that the child was seen to map.
    pub mapped: BTreeSet<PathBuf>,
    /// Whether memory could have been swapped out instead of being counted.
    pub swap_possible: bool,
    /// Whether what is charged was estimated, because no cgroup counted it.
    pub estimated: bool,
}

impl Run {
    /// The highest charge of the run.
    pub fn peak(&self) -> Bytes {
        self.stages.iter().map(|stage| stage.peak).max().unwrap_or_default()
    }

    /// One of these stages that ended so in the last of them, for tests.
    #[cfg(test)]
    pub fn of(stages: Vec<Stage>, ended: Ended) -> Self {
        Self {
            outcome: Outcome { ended, stage: stages.last().map_or_else(String::new, |last| last.name.clone()) },
            stages,
            samples: Vec::new(),
            failed: None,
            limited: false,
            mapped: BTreeSet::new(),
            swap_possible: false,
            estimated: false,
        }
    }
}

/// How who drives a child, on a thread of its own, tells what it does.
#[derive(Debug)]
pub struct Teller {
    tell: SyncSender<Event>,
    over: Arc<AtomicBool>,
}

impl Teller {
    /// Tells an event. False when the child is over and nobody listens any more.
    pub fn tell(&self, event: Event) -> bool {
        !self.is_over() && self.tell.send(event).is_ok()
    }

    /// Whether the child is over.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// So many lines wait to be heard; a child that writes faster waits, as it would for a terminal.
const WAITING: usize = 64;

/// Runs `command` under a budget to its end. `hear` is told what it writes; `drive` works on it meanwhile, on a thread of its own.
///
/// # Errors
/// When it cannot be started or followed, or the run was cancelled; that it was killed is an [`Outcome`].
pub fn run<D>(plan: &Plan<'_>, command: Command, hear: &mut dyn FnMut(&Event) -> Heard, drive: Option<D>) -> Result<Run>
where
    D: FnOnce(&Teller) + Send + 'static,
{
    let (tell, events) = sync_channel(WAITING);
    let (child, meter) = Child::start(plan, command, &tell)?;
    let teller = Teller { tell, over: Arc::default() };
    let over = teller.over.clone();
    let is_driven = drive.is_some();
    match drive {
        Some(drive) => drop(std::thread::Builder::new().name("driver".into()).spawn(move || drive(&teller))?),
        None => drop(teller), // so that the child's end is the end of events
    }
    let ran = Followed::new(plan, child, meter, is_driven).follow(&events, hear, &over);
    over.store(true, Ordering::Relaxed);
    ran
}
