//! The runs of one model under a budget, and what they add up to.
use super::peaks::{Peaks, allowance};
use super::pipeline::Work;
use super::protocol::Answering;
use super::rig::{Measured, Rig, machine_allows};
use super::times::Times;
use super::{Budget, Cache, Verdict};
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
}

impl Series {
    /// Runs of a series, but for the one without a limit: for the progress bar. One shows which files are mapped.
    pub fn steps(runs: usize) -> usize {
        1 + runs.max(1)
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
        Ok(Self { peaks, passes, long, free })
    }

    /// What follows for the budget.
    pub fn verdict(&self, budget: &Budget) -> Verdict {
        let predicted = self.peaks.highest();
        let more = Bytes(allowance(&self.long.run).0.max(self.peaks.unseen(&predicted).0));
        Verdict::of(&predicted, more, budget, &self.long.run.outcome)
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
        self.passes.iter().chain([&self.long]).all(|run| run.cache == Cache::Cold)
    }
}
