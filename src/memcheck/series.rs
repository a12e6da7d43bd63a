//! The runs of one model under a budget, and what they add up to.
use super::peaks::{Peaks, allowance};
use super::pipeline::{REQUESTS, TWO, Work};
use super::protocol::Answering;
use super::rig::{Measured, Rig, machine_allows};
use super::serve::{Load, Serving, serve, served, spare};
use super::times::Times;
use super::{Band, Budget, Cache, Served, Verdict};
use crate::memory;
use crate::units::{Bytes, Progress};
use anyhow::Result;
use std::time::Duration;

/// Runs of one model.
pub struct Series {
    /// Peaks over all of them.
    pub peaks: Peaks,
    /// The first passes that survived.
    pub passes: Vec<Measured>,
    /// The one with requests behind it, or the first that did not survive.
    pub long: Measured,
    /// One without the limit, where it was in the way.
    pub free: Option<Measured>,
    /// Those of the server, where the pipeline survived and the server is measured, too.
    pub serving: Vec<Serving>,
}

/// The server is measured so often, at most: its start is as long as a first pass.
const SERVING: usize = 2;

impl Series {
    /// Runs of a series, but for the one without a limit: for the progress bar. One shows which files are mapped.
    pub fn steps(serves: bool, runs: usize) -> usize {
        1 + runs.max(1) + if serves { runs.clamp(1, SERVING) } else { 0 }
    }

    /// Runs `work` under the budget's memory, `runs` times; all but the last stop after the first pass.
    ///
    /// # Errors
    /// When a run cannot be made at all; that it does not fit is a result.
    pub fn run(rig: &mut Rig, work: &Work, budget: &Budget, runs: usize, progress: &mut dyn Progress) -> Result<Self> {
        let once = work.first_pass();
        let limit = memory::Budget { memory: Some(budget.memory), cpus: None };
        rig.discover(&once)?;
        progress.step()?;
        let mut peaks = Peaks::default();
        let mut passes = Vec::new();
        for _ in 1..runs.max(1) {
            let pass = rig.run(&once, limit)?;
            progress.step()?;
            peaks.add(&pass.run);
            let survived = pass.run.outcome.survived();
            passes.push(pass);
            if !survived {
                break;
            }
        }
        // A first pass that did not survive says it all.
        let failed = passes.pop_if(|pass| !pass.run.outcome.survived());
        let long = if let Some(pass) = failed {
            pass
        } else {
            let long = rig.run(work, limit)?;
            progress.step()?;
            peaks.add(&long.run);
            long
        };
        // What ran into the limit took what it got; what it wanted shows without the limit.
        let free = if long.run.limited || !long.run.outcome.survived() {
            let free = rig.run(work, memory::Budget { memory: Some(machine_allows()), cpus: None })?;
            peaks.add(&free.run);
            Some(free)
        } else {
            None
        };
        let mut serving = Vec::new();
        let survived = long.run.outcome.survived();
        for _ in 0..if survived { runs.clamp(1, SERVING) } else { 0 } {
            let Some(run) = serve(rig, work, Load::of(work), limit)? else { break };
            progress.step()?;
            peaks.add(&run.measured.run);
            let is_limited = run.measured.run.limited || !run.measured.run.outcome.survived();
            serving.push(run);
            if is_limited {
                // It is held to the budget by itself, not to what the machine has.
                let budget = memory::Budget { memory: Some(machine_allows()), cpus: None };
                serving.extend(serve(rig, work, Load::of(work), budget)?.inspect(|free| peaks.add(&free.measured.run)));
                break;
            }
        }
        Ok(Self { peaks, passes, long, free, serving })
    }

    /// The run that decides whether it survives: the one that did not, else the longest.
    pub fn decisive(&self) -> &Measured {
        let served = self.serving.iter().map(|run| &run.measured);
        served.rev().find(|run| !run.run.outcome.survived()).unwrap_or(&self.long)
    }

    /// What the server did, where it was measured.
    pub fn served(&self) -> Option<Served> {
        served(&self.serving)
    }

    /// What follows for the budget.
    pub fn verdict(&self, budget: &Budget) -> Verdict {
        let highest = self.peaks.highest();
        let is_served = self.serving.iter().flat_map(|run| &run.measured.run.stages).any(|s| s.name == highest.name);
        let more = if is_served {
            spare(&self.peaks, &highest, &self.serving)
        } else {
            allowance(&self.long.run).max(self.peaks.unseen(&highest))
        };
        let verdict = Verdict::of(&highest, more, budget, &self.decisive().run.outcome);
        // A server that lets nobody in does not serve.
        match self.served().and_then(|served| served.nobody) {
            Some(_) => Verdict { fits: false, band: Band::Critical, ..verdict },
            None => verdict,
        }
    }

    /// The highest peak of a first pass, without what comes behind it.
    pub fn first_pass_peak(&self) -> Bytes {
        let runs = self.passes.iter().chain([&self.long]).chain(&self.free).flat_map(|run| &run.run.stages);
        let first = runs.filter(|stage| ![REQUESTS, TWO].contains(&stage.name.as_str()));
        first.map(|stage| stage.peak).max().unwrap_or_default()
    }

    /// Time to the first answer where memory is not short.
    pub fn unhurried(&self) -> Option<Duration> {
        Times::of(&self.free.as_ref().unwrap_or(&self.long).run).first_answer
    }

    /// Who answered, where one came so far.
    pub fn answering(&self) -> Option<&Answering> {
        std::iter::once(&self.long).chain(&self.passes).chain(&self.free).find_map(|run| run.answering.as_ref())
    }

    /// Whether every page was charged in each run.
    pub fn is_cold(&self) -> bool {
        let served = self.serving.iter().map(|run| &run.measured);
        self.passes.iter().chain([&self.long]).chain(served).all(|run| run.cache == Cache::Cold)
    }
}
