//! Follows a child from its start to its end: what it tells, what it is charged, and when it has to be ended.
use super::child::Child;
use super::meter::Meter;
use super::{Ended, Event, Heard, Outcome, Plan, Run, Sample, Stage, Step};
use crate::memory::group::Charged;
use crate::units::Bytes;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Memory is looked at this often; a peak between two looks is not missed, the kernel keeps it.
const LOOK: Duration = Duration::from_millis(4);
/// Mapped files are looked at this often.
const MAPS: Duration = Duration::from_millis(200);
/// A process that is being killed is gone within this time, and who drives it has noticed.
const DYING: Duration = Duration::from_millis(500);
/// After so long nothing more comes of what an ended child has written: somebody else writes there.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The kernel charges so much at once (`MEMCG_CHARGE_BATCH`: 64 pages).
const BATCH: u64 = 64 << 12;
/// More points than this are thinned out to half.
const POINTS: usize = 4000;

/// A child that runs.
pub struct Followed<'p> {
    plan: &'p Plan<'p>,
    child: Child,
    meter: Meter,
    is_driven: bool,
    begun: Instant,
    /// When it, or who drives it, last told something.
    heard: Instant,
    /// When its last stage or step began.
    marked: Instant,
    stages: Vec<Stage>,
    /// The highest of what was seen since the last stage began.
    seen: Seen,
    samples: Vec<Sample>,
    look: Duration,
    last_look: Instant,
    last_maps: Instant,
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
    /// A child that was just started; `is_driven` when it is to be ended by who drives it.
    pub fn new(plan: &'p Plan<'p>, child: Child, meter: Meter, is_driven: bool) -> Self {
        let now = Instant::now();
        let mut followed = Self {
            plan,
            child,
            meter,
            is_driven,
            begun: now,
            heard: now,
            marked: now,
            stages: Vec::new(),
            seen: Seen::default(),
            samples: Vec::new(),
            look: LOOK,
            last_look: now,
            last_maps: now,
            mapped: BTreeSet::new(),
        };
        followed.open(plan.first_stage.to_owned());
        followed
    }

    /// Follows it to its end; `hear` is told what it writes, and `over` is set as soon as it has ended.
    pub fn follow(
        mut self,
        events: &Receiver<Event>,
        hear: &mut dyn FnMut(&Event) -> Heard,
        over: &AtomicBool,
    ) -> Result<Run> {
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
                    self.heard = Instant::now();
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
                break if self.is_driven && ended == Ended::Exited(0) { left(events) } else { ended };
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
        over.store(true, Ordering::Relaxed);
        self.child.end();
        self.meter.end_all();
        // What it said last, such as why it failed.
        let ended_at = Instant::now();
        while ended_at.elapsed() < LAST_WORDS
            && let Ok(event) = events.recv_timeout(Duration::from_millis(200))
        {
            hear(&event);
        }
        let stage = self.stages.last().map(|stage| stage.name.clone()).unwrap_or_default();
        let peak = self.stages.iter().map(|stage| stage.peak.0).max().unwrap_or_default();
        // Linux 6.18 counts no failures of a v1 group that lives by reclaim; its peak then stands at the limit, less a batch at most.
        let at_limit = self.plan.budget.memory.is_some_and(|limit| peak + BATCH >= limit.0);
        Ok(Run {
            outcome: Outcome { ended, stage },
            stages: self.stages,
            samples: self.samples,
            failed,
            limited: at_limit || self.meter.limit_hits() > 0,
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
                return Ok(ended.map(|ended| if ended == Ended::Exited(0) { Ended::ExitedEarly } else { ended }));
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
                let elapsed = self.marked.elapsed();
                self.seen.note(&self.meter.charged()?);
                let anon = self.meter.anon_to_the_page();
                if let Some(stage) = self.stages.last_mut() {
                    stage.steps.push(Step { elapsed, anon });
                }
            }
        }
        if self.plan.acknowledged {
            self.child.acknowledge();
        }
        self.marked = Instant::now();
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
        let is_needed = self.plan.sampled || self.meter.estimates();
        if !is_needed || self.last_look.elapsed() < self.meter.interval(LOOK) {
            return Ok(());
        }
        self.last_look = Instant::now();
        // What a command maps is not told by its stages. A walk through its maps is not for every look.
        if self.last_maps.elapsed() > MAPS {
            self.last_maps = Instant::now();
            self.mapped.extend(self.meter.mapped_files());
        }
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

/// How a child has ended that went by itself while it was driven: as it was told to, if who drove it turns out to be done with it.
fn left(events: &Receiver<Event>) -> Ended {
    let begun = Instant::now();
    while let Some(rest) = DYING.checked_sub(begun.elapsed()) {
        match events.recv_timeout(rest) {
            Ok(Event::Stop) => return Ended::Stopped,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    Ended::ExitedEarly
}
