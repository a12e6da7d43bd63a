//! The smallest limit that the pipeline survives, and how slow it is above it: file pages can be reclaimed, so it lies below the peak.
use super::Floor;
use super::pipeline::Work;
use super::rig::Rig;
use super::times::Times;
use crate::memory::Budget;
use crate::units::{Bytes, Progress};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::time::Duration;

/// Runs that a search takes, about: for the progress bar.
pub const STEPS: usize = 24;
/// Above the floor by so many MB the time is measured: the zone of thrash is narrow.
const CURVE: [u64; 9] = [0, 1, 2, 4, 8, 16, 32, 64, 128];
/// Just above the edge a run reads its file pages again and again, for minutes. One that takes longer than this does not live: a host takes
/// a service that is silent for so long out of rotation (DESIGN.md, section 6).
const LONGEST: Duration = Duration::from_secs(15);

/// A machine may be so slow that the pipeline takes as long without any want of memory: then so many times its time there is too long.
const TIMES_LONGER: u32 = 3;
/// How often a limit next to the edge is tried; most of these runs decide.
const TRIES: usize = 5;

/// Bisects the limit to 1 MB between nothing and `peak`.
///
/// # Errors
/// When even `peak` is not survived.
pub fn find(rig: &mut Rig, work: &Work, peak: Bytes, progress: &mut dyn Progress) -> Result<Floor> {
    let usual = (rig.deadline, rig.sampled);
    rig.sampled = false;
    let found = search(rig, work, peak, progress);
    (rig.deadline, rig.sampled) = usual;
    found
}

fn search(rig: &mut Rig, work: &Work, peak: Bytes, progress: &mut dyn Progress) -> Result<Floor> {
    // One more than the peak, which may lack what the kernel charges in batches.
    let most = peak.0.div_ceil(1 << 20) + 1;
    let Some(unhurried) = time(rig, work, most, progress)? else {
        bail!("the pipeline does not survive a limit of {}, its own peak", Bytes::mb(most))
    };
    rig.deadline = Some(LONGEST.max(unhurried * TIMES_LONGER));
    let mut tries = Tries { of: BTreeMap::from([(most, vec![Some(unhurried)])]) };
    let mut run = |limit| time(rig, work, limit, progress);
    let floor = tries.edge(most, &mut run)?;
    for above in CURVE {
        let limit = floor + above;
        if Bytes::mb(limit) < peak && !tries.of.contains_key(&limit) {
            tries.once(limit, &mut run)?;
        }
    }
    let curve = tries.of.iter().filter(|(limit, _)| **limit + 1 >= floor);
    Ok(Floor { bytes: Bytes::mb(floor), curve: curve.map(|(limit, runs)| (Bytes::mb(*limit), middle(runs))).collect() })
}

/// Runs by their limit in MB, each with the time until its first answer; none where it did not live.
struct Tries {
    of: BTreeMap<u64, Vec<Option<Duration>>>,
}

impl Tries {
    /// The least limit, up to `most`, under which most runs live.
    fn edge(&mut self, most: u64, run: &mut impl FnMut(u64) -> Result<Option<Duration>>) -> Result<u64> {
        let (mut dies, mut lives) = (0, most);
        while lives - dies > 1 {
            let middle = lives.midpoint(dies);
            if self.once(middle, run)? { lives = middle } else { dies = middle }
        }
        // At the edge a run lives or dies by luck.
        while lives < most && !self.mostly(lives, run)? {
            lives += 1;
        }
        while lives > 1 && self.mostly(lives - 1, run)? {
            lives -= 1;
        }
        Ok(lives)
    }

    fn once(&mut self, limit: u64, run: &mut impl FnMut(u64) -> Result<Option<Duration>>) -> Result<bool> {
        let taken = run(limit)?;
        self.of.entry(limit).or_default().push(taken);
        Ok(taken.is_some())
    }

    /// Whether most of [`TRIES`] runs live under this limit; made until that is certain.
    fn mostly(&mut self, limit: u64, run: &mut impl FnMut(u64) -> Result<Option<Duration>>) -> Result<bool> {
        loop {
            let runs = self.of.get(&limit).map_or(&[][..], Vec::as_slice);
            let lived = runs.iter().flatten().count();
            if 2 * lived > TRIES || 2 * (runs.len() - lived) > TRIES {
                return Ok(2 * lived > TRIES);
            }
            self.once(limit, run)?;
        }
    }
}

/// The median of those that lived; none where most did not.
fn middle(runs: &[Option<Duration>]) -> Option<Duration> {
    let mut lived: Vec<Duration> = runs.iter().flatten().copied().collect();
    lived.sort_unstable();
    lived.get(lived.len() / 2).copied().filter(|_| 2 * lived.len() > runs.len())
}

/// How long the first answer takes under a limit in MB; none when the pipeline does not live.
fn time(rig: &mut Rig, work: &Work, limit: u64, progress: &mut dyn Progress) -> Result<Option<Duration>> {
    let run = rig.run(work, Budget { memory: Some(Bytes::mb(limit)), cpus: None })?.run;
    progress.step()?;
    Ok(Times::of(&run).first_answer.filter(|_| run.outcome.survived()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edge of a pipeline that needs 37 MB, but for one run at `limit`.
    fn edge_with_luck(limit: u64) -> u64 {
        let mut tries = Tries { of: BTreeMap::new() };
        let mut lucky = true;
        let mut run = |at| {
            let chance = at == limit && std::mem::take(&mut lucky);
            Ok(((at >= 37) != chance).then_some(Duration::from_secs(1)))
        };
        tries.edge(100, &mut run).unwrap()
    }

    #[test]
    fn one_run_that_was_lucky_or_not_does_not_decide() {
        for limit in 1..100 {
            assert_eq!(edge_with_luck(limit), 37, "with luck at {limit} MB");
        }
    }

    #[test]
    fn the_time_under_a_limit_is_the_middle_of_the_runs_that_lived() {
        let seconds = |of: &[u64]| of.iter().map(|s| (*s > 0).then(|| Duration::from_secs(*s))).collect::<Vec<_>>();
        assert_eq!(middle(&seconds(&[9, 0, 4])), Some(Duration::from_secs(9)));
        assert_eq!(middle(&seconds(&[9, 1, 4])), Some(Duration::from_secs(4)));
        assert_eq!(middle(&seconds(&[0, 1, 0])), None);
    }
}
