//! Times of a run, and what they are at a plan's share of a processor.
use super::CpuShare;
use super::drive::LISTEN;
use super::pipeline::{CLEANUP, REQUESTS, START};
use super::rig::{Measured, Rig};
use super::serve;
use crate::memory;
use anyhow::Result;
use std::time::Duration;

/// What a health check waits at most (DESIGN.md, section 6: Render's).
const HEALTH_DEADLINE: Duration = Duration::from_secs(5);
/// Requests behind the first answer at the CPU share: a tenth of a processor makes each of them long.
pub const SLOW_REQUESTS: usize = 1;
/// Silence that is no hang at any share.
const LONGEST_PATIENCE: Duration = Duration::from_mins(10);

/// Times of a run at a share of a processor: `again` makes it once more, where the kernel can hold it to that; else those of the `whole` one,
/// divided.
pub fn at_share(
    rig: &mut Rig,
    share: f64,
    whole: &Measured,
    again: impl FnOnce(&mut Rig) -> Result<Measured>,
) -> Result<CpuShare> {
    if !rig.ladder.limits_cpu() {
        return Ok(Times::of(&whole.run).scaled(share));
    }
    // What tells something every minute on a whole processor does so in as many times as long on a part of one.
    let usual = rig.patience;
    rig.patience = usual.mul_f64(longer(share)).min(LONGEST_PATIENCE).max(usual);
    let slow = again(rig);
    rig.patience = usual;
    let slow = slow?;
    let stopped = Some(slow.run.outcome.clone()).filter(|outcome| !outcome.survived());
    Ok(CpuShare { enforced: true, stopped, ..Times::of(&slow.run).at(share, 1.0) })
}

/// How many times as long something takes on a share of a processor.
fn longer(share: f64) -> f64 {
    (1.0 / share).max(1.0)
}

/// Times of a run.
pub struct Times {
    /// Until the process is there.
    start: Duration,
    /// Until the first answer; none when it did not come to that.
    pub first_answer: Option<Duration>,
    /// Of a later answer; none when there was none.
    answer: Option<Duration>,
}

impl Times {
    /// Of a run that survived its first pass, as far as it came otherwise.
    pub fn of(run: &memory::Run) -> Self {
        let end =
            |name: &str| run.stages.iter().find(|stage| stage.name == name).map(|stage| stage.began + stage.elapsed);
        let stage = |name: &str| run.stages.iter().find(|stage| stage.name == name);
        let mut answers: Vec<Duration> =
            run.stages.iter().flat_map(|stage| &stage.steps).map(|step| step.elapsed).collect();
        // A server's first answer is that to the first request.
        let requests = stage(LISTEN).and(stage(REQUESTS)).or_else(|| stage(serve::REQUESTS));
        let served = requests.zip(answers.first()).map(|(stage, first)| stage.began + *first);
        // It is no later one; our own pipeline's first stands before these.
        answers.drain(..usize::from(served.is_some()));
        answers.sort_unstable();
        Self {
            start: [START, LISTEN, serve::LISTEN].into_iter().find_map(end).unwrap_or_default(),
            first_answer: stage(CLEANUP).map(|stage| stage.began).or(served),
            answer: answers.get(answers.len() / 2).copied(),
        }
    }

    /// What a whole processor took, on a share of one.
    pub fn scaled(&self, share: f64) -> CpuShare {
        self.at(share, longer(share))
    }

    /// These times, so many times as long.
    fn at(&self, share: f64, factor: f64) -> CpuShare {
        CpuShare {
            share,
            enforced: false,
            start: self.start.mul_f64(factor),
            first_answer: self.first_answer.map(|time| time.mul_f64(factor)),
            answer: self.answer.map(|time| time.mul_f64(factor)),
            stopped: None,
            deadline: HEALTH_DEADLINE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Ended, Stage, Step};
    use crate::units::Bytes;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// A run of stages that follow each other: name, time, and times of the steps in it.
    fn run(stages: &[(&str, u64, &[u64])]) -> memory::Run {
        let mut began = Duration::ZERO;
        let mut stage = |&(name, time, steps): &(&str, u64, &[u64])| {
            let begins = began;
            began += MS(time);
            let steps = steps.iter().map(|step| Step { elapsed: MS(*step), anon: Bytes(0) }).collect();
            let (peak, resident, anon, file) = (Bytes(0), Bytes(0), Bytes(0), Bytes(0));
            Stage { name: name.into(), began: begins, elapsed: MS(time), peak, resident, anon, file, steps }
        };
        memory::Run::of(stages.iter().map(&mut stage).collect(), Ended::Stopped)
    }

    #[test]
    fn a_later_answer_is_not_the_first() {
        let server = [(serve::LISTEN, 10, &[][..]), (serve::MEASURE, 100, &[]), (serve::REQUESTS, 900, &[800, 20, 40])];
        let times = Times::of(&run(&server));
        assert_eq!((times.start, times.first_answer, times.answer), (MS(10), Some(MS(910)), Some(MS(40))));
        let one = Times::of(&run(&[(LISTEN, 10, &[]), (REQUESTS, 300, &[300])]));
        assert_eq!((one.first_answer, one.answer), (Some(MS(310)), None));
        let pipeline = [(START, 10, &[][..]), (CLEANUP, 5, &[]), (REQUESTS, 60, &[20, 10, 30])];
        let times = Times::of(&run(&pipeline));
        assert_eq!((times.first_answer, times.answer), (Some(MS(10)), Some(MS(20))));
    }
}
