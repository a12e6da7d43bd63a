//! Whether a deployment fits its memory: the whole pipeline in a child under the budget, stage by stage, and the verdict that the kernel would give.
//!
//! Invariants: a verdict is never better than what was enforced (how is part of it); the predicted peak counts from a cold page cache; an
//! estimate says that it is one; nothing is printed.
//!
//! ```no_run
//! use dermai::memcheck::{Budget, Config, Rig, check, pipeline::Work};
//! use dermai::memory::Ladder;
//! use dermai::units::Bytes;
//!
//! # fn main() -> anyhow::Result<()> {
//! let memory = Bytes::mb(512);
//! let work = Work {
//!     model: "models/default".into(),
//!     pictures: vec!["photo.jpg".into()],
//!     gradcam: true,
//!     layer: None,
//!     threads: 1,
//!     memory: memory.0,
//!     requests: 50,
//!     at_once: true,
//! };
//! // How a child is started that does such a work and tells its stages: the program does.
//! let start = |work: &Work| {
//!     let mut command = std::process::Command::new("dermai");
//!     command.arg("memcheck-child").arg(serde_json::to_string(work)?);
//!     Ok(command)
//! };
//! let files = work.pictures.iter().cloned().collect();
//! let mut rig = Rig::new(Ladder::climb("/".as_ref(), None)?, Box::new(start), &files, std::time::Duration::from_secs(60));
//! let config = Config {
//!     work,
//!     model: "default".into(),
//!     pictures: vec!["photo.jpg".into()],
//!     budget: Budget { memory, cpus: None, source: "my own".into() },
//!     service: None,
//!     findings: Vec::new(),
//!     runs: 3,
//!     floor: false,
//!     measure_options: false,
//!     forms: None,
//! };
//! let checked = check(&mut rig, &config, &mut ())?;
//! println!("{} of {memory} in `{}`", checked.verdict.peak, checked.verdict.peak_stage);
//! # Ok(())
//! # }
//! ```
mod advice;
mod check;
mod checklist;
pub mod command;
mod compare;
mod config;
mod drive;
mod estimate;
mod floor;
mod forms;
mod options;
mod peaks;
pub mod pipeline;
pub mod protocol;
mod rig;
mod series;
mod serve;
mod slope;
mod times;
mod verdict;

pub use check::check;
pub use compare::{Earlier, compare};
pub use config::{Config, Forms};
pub use drive::Drive;
pub use estimate::ERROR as ESTIMATE_ERROR;
pub use rig::{Rig, Start, cold_files, fresh_copy, own_folder};
pub use verdict::{Band, Verdict};

use crate::deploy::{Finding, WebService};
use crate::memory::{Ended, Mechanism, Outcome, Sample};
use crate::model::Identity;
use crate::quantize::Mode;
use crate::units::Bytes;
use std::path::PathBuf;
use std::time::Duration;

/// What was checked, and what came of it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What was run.
    pub subject: Subject,
    /// What it may use.
    pub budget: Budget,
    /// How it was held to it.
    pub enforced: Enforced,
    /// How the run under the budget ended.
    pub outcome: Outcome,
    /// Peaks of its stages, in order.
    pub stages: Vec<StagePeak>,
    /// What many requests showed; none where they were not reached or not asked for.
    pub requests: Option<Requests>,
    /// What the server did; none where it was not measured.
    pub served: Option<Served>,
    /// Time at the plan's CPU share; none where the budget has none.
    pub cpu: Option<CpuShare>,
    /// The smallest limit that it survives; none unless asked for.
    pub floor: Option<Floor>,
    /// The verdict.
    pub verdict: Verdict,
    /// What else could be deployed, and where.
    pub options: Vec<Choice>,
    /// What is wrong with the blueprint, and what the measurements found.
    pub findings: Vec<Finding>,
    /// The deployment checklist.
    pub checklist: Vec<Point>,
    /// Memory over time in the run under the budget.
    pub timeline: Timeline,
    /// The differences from an earlier report; none unless asked for.
    pub comparison: Option<Comparison>,
}

impl Checked {
    /// Whether memory is why it does not fit: it was killed for it, or more is predicted than there is. A program that fails by itself would
    /// fail with any amount.
    pub fn wants_memory(&self) -> bool {
        let lets_nobody_in = self.served.as_ref().is_some_and(|served| served.nobody.is_some());
        let is_over = self.outcome.ended == Ended::OomKilled || self.verdict.peak > self.budget.memory;
        !self.verdict.fits && (is_over || lets_nobody_in)
    }

    /// With what follows from the measurements: findings, advice and the checklist. `service` is the blueprint's, where there is one.
    #[must_use]
    pub fn with_conclusions(mut self, service: Option<&WebService>) -> Self {
        options::settle(&mut self, service.map(|service| service.kind));
        self.findings.extend(advice::findings(&self));
        self.verdict.advice = advice::sentences(&self);
        self.checklist = checklist::points(&self, service);
        self
    }
}

/// What was run.
#[derive(Clone, Debug)]
pub enum Subject {
    /// Our own pipeline.
    Model {
        /// The model; none where it never came to be loaded.
        identity: Option<Identity>,
        /// The name that it was asked for by, or its folder.
        name: String,
        /// Whether maps are made, too.
        gradcam: bool,
        /// The pictures that it was given.
        pictures: Vec<String>,
    },
    /// Some other program.
    Command {
        /// As it was typed.
        line: String,
    },
}

/// What may be used, and who says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Memory, page cache included.
    pub memory: Bytes,
    /// Share of one processor; none is no limit.
    pub cpus: Option<f64>,
    /// Where it comes from: `--budget 512MB`, `render.yaml: service dermai, plan free`, or a default.
    pub source: String,
}

/// Whether pages of the files that a run touches were in the page cache when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// None were, so that every page is charged.
    Cold,
    /// Some were, and are charged to somebody else: the figures are too low.
    Warm,
}

/// How a run was held to its budget.
#[derive(Clone, Debug)]
pub struct Enforced {
    /// By whom.
    pub mechanism: Mechanism,
    /// The limit.
    pub limit: Bytes,
    /// Whether memory could have been swapped out instead of being counted.
    pub swap: bool,
    /// State of the page cache.
    pub cache: Cache,
    /// Pages of system files that others had in the cache, at most: charged to them here, to the deployment on a host of its own. Part of
    /// the predicted peak of a command, whose files are not known before it has run; of our own pipeline they are libc and little else.
    pub shared: Bytes,
    /// Whether what is charged was estimated, because no cgroup counted it.
    pub estimated: bool,
    /// Why each stronger way was not used.
    pub passed_over: Vec<String>,
    /// How often each run was repeated from a cold cache.
    pub runs: usize,
}

/// Peaks of a stage: the highest of the runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StagePeak {
    /// Its name.
    pub name: String,
    /// What the kernel charges at most: anonymous memory, page cache and its own.
    pub peak: Bytes,
    /// The anonymous part, which cannot be reclaimed.
    pub anon: Bytes,
    /// The part with a file behind it, which can.
    pub file: Bytes,
    /// Resident size of the process itself (`VmHWM`).
    pub resident: Bytes,
    /// Time, the median of the runs.
    pub elapsed: Duration,
    /// Highest less lowest peak among the runs.
    pub spread: Bytes,
}

/// What many requests showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Requests {
    /// How many there were.
    pub count: usize,
    /// Growth of anonymous memory for each request, in bytes; least squares, the first fifth left out. NaN where there were too few.
    pub slope: f64,
    /// Its 95 % confidence interval.
    pub ci95: (f64, f64),
    /// Median time of one.
    pub median: Duration,
    /// Time of the slowest.
    pub slowest: Duration,
    /// Requests until the budget is used up if it goes on so; none where memory does not surely grow.
    pub until_full: Option<u64>,
}

impl Requests {
    /// Whether memory surely grows: the whole interval lies above what a request may leave (4 KB, a page).
    pub fn leaks(&self) -> bool {
        self.ci95.0 > 4096.0
    }
}

/// What the server did under the budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// What the kernel would charge it at most.
    pub peak: Bytes,
    /// What the kernel charged it at most.
    pub kernel_peak: Bytes,
    /// Requests that it answered in a run.
    pub answered: usize,
    /// Requests that it refused, for want of a place or of memory.
    pub refused: usize,
    /// Why it lets nobody in, if it does not.
    pub nobody: Option<String>,
}

/// Time at the plan's CPU share.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuShare {
    /// Share of one processor.
    pub share: f64,
    /// Whether the kernel held it to the share; otherwise the times are those of a whole processor, divided by it.
    pub enforced: bool,
    /// From the start of the process until it can answer a health check.
    pub start: Duration,
    /// From the start of the process until the first answer; none when it did not come to that.
    pub first_answer: Option<Duration>,
    /// Median time of a later answer; none when there was none.
    pub answer: Option<Duration>,
    /// How it ended where it did not live to its end at this share.
    pub stopped: Option<Outcome>,
    /// What a health check waits at most.
    pub deadline: Duration,
}

impl CpuShare {
    /// Whether it can answer before a health check gives up.
    pub fn in_time(&self) -> bool {
        self.start <= self.deadline
    }
}

/// The smallest limit that the pipeline survives.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor {
    /// To 1 MB.
    pub bytes: Bytes,
    /// What time the pipeline takes at limits from there on; none: killed or too slow.
    pub curve: Vec<(Bytes, Option<Duration>)>,
}

/// Something that can be deployed.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What: `as it is`, `plan starter`, `quantize int8`.
    pub name: String,
    /// What is done to the model; none: nothing.
    pub mode: Option<Mode>,
    /// Memory that it has.
    pub memory: Bytes,
    /// Share of a processor that it has.
    pub cpus: Option<f64>,
    /// What the kernel would charge at most.
    pub peak: Bytes,
    /// Whether that was measured; otherwise it is an estimate.
    pub measured: bool,
    /// Whether it fits.
    pub fits: bool,
    /// Time from start to the first answer, measured or estimated as the peak is; none where nothing is known.
    pub first_answer: Option<Duration>,
    /// Change of the top-1 accuracy in percentage points; none where nothing changes, or it was not measured.
    pub accuracy_change: Option<f64>,
    /// List price in USD a month; none where it is not known.
    pub price: Option<f64>,
    /// What to know of it, such as why it was not measured.
    pub note: Option<String>,
    /// The command that makes it; none where there is nothing to make.
    pub command: Option<String>,
}

/// A point of the deployment checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// What has to hold.
    pub text: String,
    /// Whether it does; none: this program cannot tell, a person has to look.
    pub holds: Option<bool>,
    /// What was found, or where to look.
    pub evidence: String,
}

/// Memory over time.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// What was charged.
    pub samples: Vec<Sample>,
    /// Where each stage began.
    pub stages: Vec<(String, Duration)>,
}

/// How this report differs from an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The earlier report.
    pub path: PathBuf,
    /// Growth below this part of the earlier value (and 512 KB) is noise.
    pub band: f64,
    /// Stages, and last the verdict's peak as `predicted peak`.
    pub changes: Vec<Change>,
}

/// One figure, then and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Name of the stage.
    pub name: String,
    /// Earlier peak; none where the stage is new.
    pub before: Option<Bytes>,
    /// Peak now; none where the stage is gone.
    pub now: Option<Bytes>,
    /// Whether it grew by more than the band.
    pub grew: bool,
}

impl Comparison {
    /// Whether the predicted peak grew by more than the band.
    pub fn grew(&self) -> bool {
        self.changes.last().is_some_and(|change| change.grew)
    }
}
