//! The memory of a process that predicts: this very program, as a child that is watched.
use super::Pair;
use crate::memory::{Budget, Ended, Event, Heard, Ladder, Mechanism, Plan, Teller, run};
use crate::units::{Bytes, Progress};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Each is run so often; the highest counts.
const RUNS: usize = 3;
/// A child that tells nothing for so long hangs: it tells its answer at its end.
const PATIENCE: Duration = Duration::from_mins(5);

/// The highest resident size of `program predict PICTURE --model …` with each of two models.
///
/// # Errors
/// When a child cannot be started, or fails: why is said.
pub fn of(program: &Path, models: Pair<&Path>, picture: &Path, progress: &mut dyn Progress) -> Result<Pair<Bytes>> {
    // The resident size is the kernel's own figure: no cgroup is needed to read it.
    let ladder = Ladder::climb(Path::new("/"), Some(Mechanism::Watchdog))?;
    let picture = std::path::absolute(picture).with_context(|| format!("`{}`", picture.display()))?;
    let mut peaks = Pair { before: Bytes::default(), after: Bytes::default() };
    progress.start("processes", 2 * RUNS as u64);
    for _ in 0..RUNS {
        for (peak, model) in [(&mut peaks.before, models.before), (&mut peaks.after, models.after)] {
            *peak = (*peak).max(once(&ladder, program, model, &picture)?);
            progress.step()?;
        }
    }
    progress.finish();
    Ok(peaks)
}

fn once(ladder: &Ladder, program: &Path, model: &Path, picture: &Path) -> Result<Bytes> {
    let mut command = Command::new(program);
    command.args(["predict", "--quiet", "--json", "--threads", "1", "--model"]).arg(model).arg("--").arg(picture);
    let plan = Plan {
        ladder,
        budget: Budget::default(),
        acknowledged: false,
        patience: PATIENCE,
        deadline: None,
        sampled: true,
        first_stage: "predict",
        files: &BTreeSet::new(),
        cancelled: &AtomicBool::new(false),
    };
    let mut said = String::new();
    let mut hear = |event: &Event| {
        if let Event::Error(line) = event
            && !line.trim().is_empty()
        {
            said.clone_from(line);
        }
        Heard::Nothing
    };
    let run = run(&plan, command, &mut hear, None::<fn(&Teller)>)?;
    if run.outcome.ended != Ended::Exited(0) {
        let said = said.strip_prefix("error: ").unwrap_or(&said);
        bail!("`dermai predict --model {}`, whose memory is measured, failed: {said}", model.display());
    }
    let resident = run.stages.iter().map(|stage| stage.resident).max().unwrap_or_default();
    // Where the kernel keeps no peak there is only what was seen.
    Ok(if resident > Bytes::default() { resident } else { run.peak() })
}
