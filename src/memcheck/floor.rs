//! The smallest limit that the pipeline survives, and how slow it is above it: file pages can be reclaimed, so it lies below the peak.
use super::Floor;
use super::check::Times;
use super::pipeline::Work;
use super::rig::Rig;
use crate::memory::Budget;
use crate::units::{Bytes, Progress};
use anyhow::{Result, bail};
use std::time::Duration;

/// Runs that a search takes, about: for the progress bar.
pub const STEPS: usize = 18;
/// Above the floor by so many MB the time is measured: the zone of thrash is narrow.
const CURVE: [u64; 9] = [0, 1, 2, 4, 8, 16, 32, 64, 128];
/// Just above the edge a run reads its file pages again and again, for minutes. One that takes longer than this does not live: a host takes
/// a service that is silent for so long out of rotation (DESIGN.md, section 6).
pub const LONGEST: Duration = Duration::from_secs(15);

/// A machine may be so slow that the pipeline takes as long without any want of memory: then so many times its time there is too long.
const TIMES_LONGER: u32 = 3;

/// Bisects the limit to 1 MB between nothing and `peak`.
///
/// # Errors
/// When even `peak` is not survived.
pub fn find(rig: &mut Rig, work: &Work, peak: Bytes, progress: &mut dyn Progress) -> Result<Floor> {
    let usual = rig.deadline;
    let found = search(rig, work, peak, progress);
    rig.deadline = usual;
    found
}

fn search(rig: &mut Rig, work: &Work, peak: Bytes, progress: &mut dyn Progress) -> Result<Floor> {
    // One more than the peak, which may lack what the kernel charges in batches.
    let (mut dies, mut lives) = (0, peak.0.div_ceil(1 << 20) + 1);
    let unhurried = time(rig, work, lives, progress)?;
    let Some(unhurried) = unhurried else {
        bail!("the pipeline does not survive a limit of {}, its own peak", Bytes::mb(lives))
    };
    rig.deadline = Some(LONGEST.max(unhurried * TIMES_LONGER));
    let mut time = |limit| time(rig, work, limit, progress);
    let mut known = vec![(lives, Some(unhurried))];
    while lives - dies > 1 {
        let middle = lives.midpoint(dies);
        let taken = time(middle)?;
        known.push((middle, taken));
        if taken.is_some() { lives = middle } else { dies = middle }
    }
    // At the edge it is luck: the limit that died gets a second chance.
    if dies > 0 && known.iter().any(|(limit, _)| *limit == dies) {
        let again = time(dies)?;
        if again.is_some() {
            lives = dies;
            known.retain(|(limit, _)| *limit != dies);
            known.push((dies, again));
        }
    }
    for above in CURVE {
        let limit = lives + above;
        if Bytes::mb(limit) < peak && known.iter().all(|(at, _)| *at != limit) {
            known.push((limit, time(limit)?));
        }
    }
    known.retain(|(limit, _)| *limit + 1 >= lives);
    known.sort_by_key(|(limit, _)| *limit);
    Ok(Floor {
        bytes: Bytes::mb(lives),
        curve: known.into_iter().map(|(limit, time)| (Bytes::mb(limit), time)).collect(),
    })
}

/// How long the first answer takes under a limit in MB; none when the pipeline does not live.
fn time(rig: &mut Rig, work: &Work, limit: u64, progress: &mut dyn Progress) -> Result<Option<Duration>> {
    let run = rig.run(work, Budget { memory: Some(Bytes::mb(limit)), cpus: None })?.run;
    progress.step();
    Ok(run.outcome.survived().then(|| Times::of(&run).first_answer))
}
