//! A child under a budget: started inside it, followed stage by stage, ended whatever happens.
mod child;
mod meter;

pub use child::enter;

use super::group::{Budget, Charged};
use super::ladder::Ladder;
use crate::units::Bytes;
use anyhow::{Context, Result, bail};
use child::Child;
use meter::Meter;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Memory is looked at this often; a peak between two looks is not missed, the kernel keeps it.
const LOOK: Duration = Duration::from_millis(4);
/// A process that is being killed is gone within this time.
const DYING: Duration = Duration::from_millis(500);
/// More points than this are thinned out to half.
const POINTS: usize = 4000;

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
    /// How often a charge ran into the limit; the peak is then what the limit left, not what was wanted.
    pub limit_hits: u64,
    /// Files that the child had mapped when its first stages were over.
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
}

/// Runs `command` under a budget to its end. `hear` is told what it writes; `drive` gets its number and a way to tell events, on a thread of its own.
///
/// # Errors
/// When it cannot be started or followed, or the run was cancelled; that it was killed is an [`Outcome`].
pub fn run<D>(plan: &Plan<'_>, command: Command, hear: &mut dyn FnMut(&Event) -> Heard, drive: Option<D>) -> Result<Run>
where
    D: FnOnce(Sender<Event>) + Send + 'static,
{
    let (tell, events) = channel();
    let (child, meter) = Child::start(plan, command, &tell)?;
    match drive {
        Some(drive) => drop(std::thread::Builder::new().name("driver".into()).spawn(move || drive(tell))?),
        None => drop(tell), // so that the child's end is the end of events
    }
    Followed::new(plan, child, meter).follow(&events, hear)
}

/// A child that runs.
struct Followed<'p> {
    plan: &'p Plan<'p>,
    child: Child,
    meter: Meter,
    begun: Instant,
    /// When it last told something.
    heard: Instant,
    stages: Vec<Stage>,
    /// The highest of what was seen since the last stage began.
    seen: Seen,
    samples: Vec<Sample>,
    look: Duration,
    last_look: Instant,
    mapped: BTreeSet<PathBuf>,
}

/// The highest of what was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    total: Bytes,
    anon: Bytes,
    file: Bytes,
}

impl Seen {
    fn note(&mut self, charged: &Charged) {
        self.total = self.total.max(charged.total);
        self.anon = self.anon.max(charged.anon);
        self.file = self.file.max(charged.file);
    }
}

impl<'p> Followed<'p> {
    fn new(plan: &'p Plan<'p>, child: Child, meter: Meter) -> Self {
        let now = Instant::now();
        let mut followed = Self {
            plan,
            child,
            meter,
            begun: now,
            heard: now,
            stages: Vec::new(),
            seen: Seen::default(),
            samples: Vec::new(),
            look: LOOK,
            last_look: now,
            mapped: BTreeSet::new(),
        };
        followed.open(plan.first_stage.to_owned());
        followed
    }

    fn follow(mut self, events: &Receiver<Event>, hear: &mut dyn FnMut(&Event) -> Heard) -> Result<Run> {
        let mut failed = None;
        let ended = loop {
            if self.plan.cancelled.load(Ordering::Relaxed) {
                self.child.end();
                bail!("interrupted");
            }
            match events.recv_timeout(self.meter.interval(LOOK)) {
                Ok(Event::Stop) => break Ended::Stopped,
                Ok(Event::Failed(why)) => {
                    if let Some(ended) = self.is_ending()? {
                        break ended;
                    }
                    failed = Some(why);
                    break Ended::Stopped;
                }
                Ok(event) => {
                    let heard = hear(&event);
                    self.hear(match event {
                        Event::Stage(name) => Heard::Stage(name),
                        Event::Step => Heard::Step,
                        Event::Out(_) | Event::Error(_) | Event::Stop | Event::Failed(_) => heard,
                    })?;
                }
                // Both pipes are closed and nobody drives: it is about to end, or went on without them.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(ended) = self.child.ended()? {
                while let Ok(event) = events.try_recv() {
                    hear(&event);
                }
                break ended;
            }
            self.look()?;
            if self.meter.is_over(self.plan.budget.memory) {
                break Ended::OomKilled;
            }
            let is_late = self.plan.deadline.is_some_and(|deadline| self.begun.elapsed() > deadline);
            if is_late || self.heard.elapsed() > self.plan.patience {
                break Ended::TimedOut;
            }
        };
        let signal = if let Ended::Crashed(signal) = ended { Some(signal) } else { None };
        let ended = if self.meter.oom_killed(signal) { Ended::OomKilled } else { ended };
        self.close();
        self.child.end();
        // What it said last, such as why it failed.
        while let Ok(event) = events.recv_timeout(Duration::from_millis(200)) {
            hear(&event);
        }
        let stage = self.stages.last().map(|stage| stage.name.clone()).unwrap_or_default();
        Ok(Run {
            outcome: Outcome { ended, stage },
            stages: self.stages,
            samples: self.samples,
            failed,
            limit_hits: self.meter.limit_hits(),
            mapped: self.mapped,
            swap_possible: self.meter.swap_possible(),
            estimated: self.meter.estimates(),
        })
    }

    /// How the child ends, if it does so now: a server that is killed first breaks its connections.
    fn is_ending(&mut self) -> Result<Option<Ended>> {
        let begun = Instant::now();
        loop {
            let ended = self.child.ended()?;
            if ended.is_some() || begun.elapsed() > DYING {
                return Ok(ended);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn hear(&mut self, heard: Heard) -> Result<()> {
        match heard {
            Heard::Nothing => return Ok(()),
            Heard::Stage(name) => {
                self.close();
                self.mapped.extend(self.meter.mapped_files());
                self.open(name);
            }
            Heard::Step => {
                let charged = self.meter.charged()?;
                self.seen.note(&charged);
                let elapsed = self.heard.elapsed();
                if let Some(stage) = self.stages.last_mut() {
                    stage.steps.push(Step { elapsed, anon: charged.anon });
                }
            }
        }
        if self.plan.acknowledged {
            self.child.acknowledge();
        }
        self.heard = Instant::now();
        Ok(())
    }

    fn open(&mut self, name: String) {
        self.meter.reset_peak();
        self.seen = Seen::default();
        let zero = Bytes::default();
        self.stages.push(Stage {
            name,
            began: self.begun.elapsed(),
            elapsed: Duration::ZERO,
            peak: zero,
            resident: zero,
            anon: zero,
            file: zero,
            steps: Vec::new(),
        });
    }

    /// Notes the peaks of the stage that ends now.
    fn close(&mut self) {
        if let Ok(charged) = self.meter.charged() {
            self.seen.note(&charged);
        }
        let peaks = self.meter.peaks(self.seen.total);
        let Some(stage) = self.stages.last_mut() else { return };
        stage.elapsed = self.begun.elapsed().saturating_sub(stage.began);
        (stage.peak, stage.resident) = (peaks.charged, peaks.resident);
        (stage.anon, stage.file) = (self.seen.anon, self.seen.file);
    }

    /// Looks at memory, if it is time.
    fn look(&mut self) -> Result<()> {
        if self.last_look.elapsed() < self.meter.interval(LOOK) {
            return Ok(());
        }
        self.last_look = Instant::now();
        let charged = self.meter.charged().context("the child's memory cannot be read")?;
        self.seen.note(&charged);
        let at = self.begun.elapsed();
        let due = self.samples.last().is_none_or(|last| at.saturating_sub(last.at) >= self.look);
        if due {
            self.samples.push(Sample { at, total: charged.total, anon: charged.anon });
        }
        if self.samples.len() > POINTS {
            self.look *= 2;
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
        }
        Ok(())
    }
}
