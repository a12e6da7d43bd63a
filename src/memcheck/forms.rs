//! Smaller forms of the model that is checked: what each would take, by an estimate or by being made and measured.
use super::config::{Config, Forms};
use super::estimate;
use super::options::at_share;
use super::rig::{Rig, own_folder, places};
use super::series::Series;
use super::{Choice, StagePeak};
use crate::input::Limits;
use crate::model::Prepared;
use crate::quantize::{self, Bound, Calibration, Effort, Mode, make};
use crate::units::Progress;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

impl Forms {
    /// By what is lost, the least first.
    const MODES: [Mode; 4] = [Mode::Prepare, Mode::Fp16, Mode::Int8Weights, Mode::Int8];

    /// Runs that measuring them takes.
    pub fn steps(&self, serves: bool, runs: usize) -> usize {
        Self::MODES.iter().filter(|mode| self.calibrated(**mode)).count() * Series::steps(serves, runs)
    }

    fn calibrated(&self, mode: Mode) -> bool {
        mode != Mode::Int8 || self.calibration.is_some()
    }

    /// What makes one.
    fn command(&self, mode: Mode) -> String {
        let model = self.named.as_deref().map(quoted).unwrap_or_default();
        let calibrate = match &self.calibration {
            Some(pictures) if looks(mode) => format!(" --calibrate{}", quoted(pictures.place())),
            None if mode == Mode::Int8 => " --calibrate DIR".to_owned(),
            _ => String::new(),
        };
        format!("dermai quantize{model} -o small/ --mode {mode}{calibrate}")
    }

    /// Makes one in `folder`. Gives its files and the change of accuracy.
    fn made(
        &self,
        mode: Mode,
        folder: &Path,
        limits: Limits,
        progress: &mut Making<'_>,
    ) -> Result<(Prepared, Option<f64>)> {
        let output = folder.join("form");
        let calibration = self.calibration.clone().filter(|_| looks(mode)).map(|pictures| Calibration {
            pictures,
            method: None,
            bound: Bound::Full,
            effort: Effort::Plain,
        });
        let evaluation = self.evaluation.clone();
        let config =
            quantize::Config { evaluation, calibration, limits, ..quantize::Config::plain(mode, output.clone()) };
        let made = make(&Prepared::find(Some(&self.model))?, &config, progress)?;
        let accuracy = made.measured.answers.and_then(|answers| answers.accuracy);
        Ok((Prepared::find(Some(&output))?, accuracy.map(|pair| (pair.after.top1() - pair.before.top1()) * 100.0)))
    }
}

/// Whether a mode looks at pictures.
fn looks(mode: Mode) -> bool {
    matches!(mode, Mode::Int8 | Mode::Int8Weights)
}

/// A path as a shell takes it, behind a space.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    if path.chars().all(is_plain) { format!(" {path}") } else { format!(" '{}'", path.replace('\'', "'\\''")) }
}

/// The forms as options, where there are any; `whole` is the model as it is, and `stages` are its peaks.
///
/// # Errors
/// When the user gives up. That a form cannot be made or measured is noted with its estimate.
pub fn choices(
    rig: &mut Rig,
    config: &Config,
    stages: &[StagePeak],
    whole: &Choice,
    progress: &mut dyn Progress,
) -> Result<Vec<Choice>> {
    let Some(forms) = &config.forms else { return Ok(Vec::new()) };
    let mut choices = Vec::new();
    for mode in Forms::MODES {
        let peak = estimate::peak(stages, whole.peak, forms.bytes, mode);
        let mut choice = Choice {
            name: format!("quantize {mode}"),
            mode: Some(mode),
            peak,
            measured: false,
            fits: peak <= whole.memory,
            first_answer: None,
            command: Some(forms.command(mode)),
            ..whole.clone()
        };
        if config.measure_options && !forms.calibrated(mode) {
            choice.note = Some("it needs pictures to calibrate with: `--calibrate DIR`".to_owned());
        } else if config.measure_options
            && let Err(error) = measure(rig, config, forms, mode, &mut choice, progress)
        {
            if rig.cancelled.load(Ordering::Relaxed) {
                return Err(error);
            }
            choice.note = Some(format!("{error:#}"));
        }
        choices.push(choice);
    }
    Ok(choices)
}

/// Makes a form and measures it as the model itself was.
fn measure(
    rig: &mut Rig,
    config: &Config,
    forms: &Forms,
    mode: Mode,
    choice: &mut Choice,
    progress: &mut dyn Progress,
) -> Result<()> {
    let folder = folder()?;
    let (form, accuracy_change) = {
        let mut making = Making { progress: &mut *progress, cancelled: &rig.cancelled, open: 0 };
        forms.made(mode, folder.path(), Limits::within(config.budget.memory), &mut making)?
    };
    choice.accuracy_change = accuracy_change;
    rig.adopt(&form.files()?);
    let work = super::pipeline::Work { model: form.place().to_owned(), ..config.work.clone() };
    drop(form); // what this process has mapped does not leave the page cache
    let series = Series::run(rig, &work, &config.budget, config.runs, progress)?;
    if !series.is_cold() {
        bail!("its files do not leave the page cache, so it cannot be measured: set `TMPDIR` to a folder on a disk");
    }
    let verdict = series.verdict(&config.budget);
    (choice.peak, choice.fits, choice.measured) = (verdict.peak, verdict.fits, true);
    choice.first_answer = series.unhurried().map(|whole| at_share(whole, config.budget.cpus));
    Ok(())
}

/// The making of a form, within the work that waits for it: it ends when the user gives up.
struct Making<'a> {
    progress: &'a mut dyn Progress,
    cancelled: &'a AtomicBool,
    /// Works that were started and are not over.
    open: usize,
}

impl Progress for Making<'_> {
    fn start(&mut self, what: &str, total: u64) {
        self.open += 1;
        self.progress.start(what, total);
    }

    fn step(&mut self) -> Result<()> {
        ensure!(!self.cancelled.load(Ordering::Relaxed), "interrupted");
        self.progress.step()
    }

    fn finish(&mut self) {
        self.open -= 1;
        self.progress.finish();
    }
}

impl Drop for Making<'_> {
    /// That a form cannot be made does not end the work around it.
    fn drop(&mut self) {
        for _ in 0..self.open {
            self.progress.finish();
        }
    }
}

/// Where a form is made: on a disk, if the program lies on one.
fn folder() -> Result<TempDir> {
    places().iter().find_map(|place| own_folder(place).ok()).context("no temporary folder can be made for it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    /// Works that are under way.
    #[derive(Default)]
    struct Open(Vec<String>);

    impl Progress for Open {
        fn start(&mut self, what: &str, _total: u64) {
            self.0.push(what.to_owned());
        }

        fn step(&mut self) -> Result<()> {
            Ok(())
        }

        fn finish(&mut self) {
            self.0.pop();
        }
    }

    #[test]
    fn the_making_ends_when_the_user_gives_up_and_leaves_the_work_around_it() {
        let (mut outer, cancelled) = (Open::default(), AtomicBool::new(false));
        outer.start("runs", 1);
        let mut making = Making { progress: &mut outer, cancelled: &cancelled, open: 0 };
        making.start("images", 2);
        making.step().unwrap();
        cancelled.store(true, Ordering::Relaxed);
        assert_eq!(making.step().unwrap_err().to_string(), "interrupted");
        drop(making);
        assert_eq!(outer.0, ["runs"]);
    }

    #[test]
    fn a_command_can_be_pasted() {
        let forms = |named: Option<&str>| Forms {
            model: "/a/model.onnx".into(),
            named: named.map(Into::into),
            bytes: Bytes(0),
            calibration: None,
            evaluation: None,
        };
        assert_eq!(forms(None).command(Mode::Fp16), "dermai quantize -o small/ --mode fp16");
        assert_eq!(
            forms(Some("models/mine")).command(Mode::Int8),
            "dermai quantize models/mine -o small/ --mode int8 --calibrate DIR"
        );
        assert_eq!(
            forms(Some("it's mine.onnx")).command(Mode::Prepare),
            r"dermai quantize 'it'\''s mine.onnx' -o small/ --mode prepare"
        );
        let steps = |serves, runs| forms(None).steps(serves, runs);
        assert_eq!((steps(false, 3), steps(false, 1), steps(true, 3), steps(true, 1)), (12, 6, 18, 9));
    }
}
