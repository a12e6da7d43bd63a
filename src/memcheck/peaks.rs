//! Peaks of stages over several runs, and what has to be added to them.
use super::StagePeak;
use crate::memory::Run;
use crate::units::Bytes;
use std::thread::available_parallelism;
use std::time::Duration;

/// What runs have shown of each stage.
#[derive(Debug, Default)]
pub struct Peaks {
    stages: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    highest: StagePeak,
    lowest: Bytes,
    times: Vec<Duration>,
}

impl Peaks {
    /// Adds a run. A stage that is new stands behind the one before it, a run that begins with one behind all others.
    pub fn add(&mut self, run: &Run) {
        let mut next = self.stages.len();
        for stage in &run.stages {
            let position = self.stages.iter().position(|seen| seen.highest.name == stage.name);
            let fresh = || Seen {
                highest: StagePeak { name: stage.name.clone(), ..StagePeak::default() },
                lowest: Bytes(u64::MAX),
                times: Vec::new(),
            };
            let position = position.unwrap_or_else(|| {
                self.stages.insert(next, fresh());
                next
            });
            next = position + 1;
            let seen = &mut self.stages[position];
            let highest = &mut seen.highest;
            // The parts are those of the run with the highest peak.
            if stage.peak >= highest.peak {
                (highest.peak, highest.anon, highest.file) = (stage.peak, stage.anon, stage.file);
            }
            highest.resident = highest.resident.max(stage.resident);
            // Where a run ended early, or got less than it wanted, is no low peak.
            if run.outcome.survived() && !run.limited {
                seen.lowest = seen.lowest.min(stage.peak);
            }
            seen.times.push(stage.elapsed);
        }
    }

    /// Each stage's highest.
    pub fn stages(&self) -> Vec<StagePeak> {
        let finished = |seen: &Seen| {
            let mut times = seen.times.clone();
            times.sort_unstable();
            let spread = Bytes(seen.highest.peak.0.saturating_sub(seen.lowest.0));
            StagePeak { elapsed: times[times.len() / 2], spread, ..seen.highest.clone() }
        };
        self.stages.iter().map(finished).collect()
    }

    /// The stage with the highest peak; the first of equal ones.
    pub fn highest(&self) -> StagePeak {
        let stages = self.stages();
        let highest = stages.iter().map(|stage| stage.peak).max();
        stages.into_iter().find(|stage| Some(stage.peak) == highest).unwrap_or_default()
    }
}

impl Peaks {
    /// What the highest of all runs, seen or not, may have beyond the highest that was seen in `stage`: of n values from an even spread the
    /// highest falls short by a part of the range in n + 1 and the range is n - 1 such parts, so it is what was seen of the range, over n - 1.
    /// Where the kernel gives huge pages a stage differs by megabytes from run to run.
    pub fn unseen(&self, stage: &StagePeak) -> Bytes {
        let runs = self.stages.iter().find(|seen| seen.highest.name == stage.name).map_or(0, |seen| seen.times.len());
        Bytes(if runs > 1 { stage.spread.0 / (runs as u64 - 1) } else { 0 })
    }
}

/// What a run may be charged beyond what others were: the kernel charges in batches of 64 pages for each processor (`MEMCG_CHARGE_BATCH`,
/// mm/memcontrol.c), and which processors a run touches is chance; and a hundredth, because of 30 runs of EfficientNetV2S two were 0.6 % above
/// the rest. Of an estimate, a fiftieth.
pub fn allowance(run: &Run) -> Bytes {
    if run.estimated {
        return Bytes(run.peak().0 / 50);
    }
    let processors = available_parallelism().map_or(1, usize::from).min(MOST_PROCESSORS);
    Bytes((processors as u64 * (64 << 12)).max(run.peak().0 / 100))
}

/// The pipeline's threads run on no more processors than this at a time.
const MOST_PROCESSORS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Ended, Stage};

    fn run(peaks: &[(&str, u64)], ended: Ended) -> Run {
        let stage = |&(name, mb): &(&str, u64)| Stage {
            name: name.into(),
            began: Duration::ZERO,
            elapsed: Duration::from_millis(mb),
            peak: Bytes::mb(mb),
            resident: Bytes::mb(mb / 2),
            anon: Bytes::mb(mb / 4),
            file: Bytes::mb(mb / 8),
            steps: Vec::new(),
        };
        Run::of(peaks.iter().map(stage).collect(), ended)
    }

    #[test]
    fn the_highest_of_the_runs_counts_with_its_parts() {
        let mut peaks = Peaks::default();
        peaks.add(&run(&[("a", 40), ("b", 80)], Ended::Exited(0)));
        peaks.add(&run(&[("a", 48), ("b", 72), ("c", 8)], Ended::Exited(0)));
        // Killed early: what it had by then is no low peak.
        peaks.add(&run(&[("a", 16)], Ended::OomKilled));
        let stages = peaks.stages();
        let found: Vec<_> = stages.iter().map(|s| (s.name.as_str(), s.peak, s.anon, s.spread)).collect();
        let mb = Bytes::mb;
        let expected = [("a", mb(48), mb(12), mb(8)), ("b", mb(80), mb(20), mb(8)), ("c", mb(8), mb(2), mb(0))];
        assert_eq!(found, expected);
        assert_eq!((peaks.highest().name.as_str(), stages[0].elapsed), ("b", Duration::from_millis(40)));
        assert_eq!((peaks.unseen(&stages[1]), peaks.unseen(&stages[2])), (mb(8), mb(0)));
        peaks.add(&run(&[("server", 8), ("c", 8), ("after c", 8)], Ended::Stopped));
        let names: Vec<_> = peaks.stages().into_iter().map(|stage| stage.name).collect();
        assert_eq!(names, ["a", "b", "c", "after c", "server"]);
    }
}
