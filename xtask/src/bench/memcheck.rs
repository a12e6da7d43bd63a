//! What the topics about `dermai memcheck` share: models and pictures, a run of it with its report, and `predict` or `gradcam` seen from outside.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::child::measure;
use super::cold::{below, evict, held, programs};
use super::outside::{Cgroups, Seen};
use super::sides::Bench;

/// Pictures below `shared`, all of one size and kind.
const IMAGES: &str = "images/ham-test";
/// Networks below `shared`.
const MODELS: [(&str, &str); 2] =
    [("EfficientNetV2S", "reference/k_effv2s_300"), ("ham-mobilenetv2", "models/ham-mobilenetv2")];
/// Far above every peak that is measured.
const BUDGET: &str = "512MB";
/// No run without a limit takes this long.
const LONGEST: Duration = Duration::from_mins(5);

/// What the topics need.
pub struct Scene {
    /// Where programs are measured from outside.
    pub cgroups: Cgroups,
    /// The default network first.
    pub models: Vec<Subject>,
    /// What `memcheck` is given.
    pub picture: PathBuf,
    /// What the program is given when it is measured from outside.
    pub other: PathBuf,
    /// The program's own files and those of its libraries.
    programs: Vec<PathBuf>,
}

/// A network.
pub struct Subject {
    /// What it is called.
    pub name: &'static str,
    /// Its folder.
    pub folder: PathBuf,
}

/// What is done with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It is classified.
    Predict,
    /// It is explained, too, and the overlay is written to a file.
    Gradcam,
}

/// The part of `memcheck --json` that the topics look at.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// How it was held to the budget.
    pub enforced: Enforced,
    /// How the run under the budget ended.
    pub outcome: Ending,
    /// In order.
    pub stages: Vec<Stage>,
    /// What is predicted.
    pub verdict: Verdict,
    /// With `--floor`.
    pub floor_bytes: Option<u64>,
    /// Exit status of the program.
    #[serde(skip)]
    pub status: i32,
}

/// By whom, and the state of the page cache: `cold` or `warm`.
#[derive(Debug, Deserialize)]
pub struct Enforced {
    pub mechanism: String,
    pub cache: String,
}

/// `exited`, `oom_killed` and the like, and in which stage.
#[derive(Debug, Deserialize)]
pub struct Ending {
    pub ended: String,
    pub stage: String,
}

/// A stage's peak.
#[derive(Debug, Deserialize)]
pub struct Stage {
    pub name: String,
    pub peak_bytes: u64,
}

/// The highest of the stages' peaks, with what is added for chance.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    pub peak_bytes: u64,
    pub peak_stage: String,
}

impl Scene {
    /// Looks for all of it; else the reason why something is not here.
    pub fn set(bench: &Bench) -> Result<Result<Self, String>> {
        let cgroups = match Cgroups::find() {
            Ok(cgroups) => cgroups,
            Err(reason) => return Ok(Err(reason)),
        };
        let Some(shared) = bench.shared.as_ref().filter(|shared| shared.join(IMAGES).is_dir()) else {
            return Ok(Err(format!("there is no `shared/{IMAGES}` beside the checkout")));
        };
        let images = shared.join(IMAGES);
        let named = || format!("cannot read `{}`", images.display());
        let mut pictures: Vec<_> = fs::read_dir(&images).with_context(named)?.flatten().map(|e| e.path()).collect();
        pictures.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
        pictures.sort();
        let [picture, other, ..] = &pictures[..] else {
            return Ok(Err(format!("`{}` has no two pictures", images.display())));
        };
        let mut models = vec![Subject { name: "default model", folder: bench.default_model() }];
        let more = MODELS.map(|(name, folder)| Subject { name, folder: shared.join(folder) });
        models.extend(more.into_iter().filter(|model| model.folder.is_dir()));
        let (picture, other, programs) = (picture.clone(), other.clone(), programs(&bench.root, &bench.binary)?);
        Ok(Ok(Self { cgroups, models, picture, other, programs }))
    }

    /// `memcheck` of a model with the scene's picture.
    pub fn check(&self, bench: &Bench, model: &Subject, work: Work, more: &[&str]) -> Result<Report> {
        let mut command = bench.dermai();
        command.args([
            "memcheck",
            "--budget",
            BUDGET,
            "--requests",
            "3",
            "--one-at-a-time",
            "--no-serve",
            "--json",
            "--model",
        ]);
        command.arg(&model.folder).arg("--image").arg(&self.picture);
        if work == Work::Predict {
            command.arg("--no-gradcam");
        }
        report(command.args(more), &[0])
    }

    /// The program itself with the other picture; an overlay goes to `folder`.
    pub fn program(&self, bench: &Bench, model: &Subject, work: Work, folder: &Path) -> Command {
        let mut command = bench.dermai();
        let name = if work == Work::Predict { "predict" } else { "gradcam" };
        command.arg(name).arg(&self.other).arg("--model").arg(&model.folder);
        if work == Work::Gradcam {
            command.arg("-o").arg(folder.join("overlay.png"));
        }
        command
    }

    /// Drops everything from the page cache that the program touches with this model.
    pub fn chill(&self, model: &Subject) -> Result<()> {
        evict(self.programs.iter().chain(&below(&model.folder)?).chain([&self.other]))
    }

    /// What of it others have mapped, so that it is charged to them: libraries of the system, mostly.
    pub fn held(&self) -> Vec<String> {
        held(&self.programs)
    }

    /// One run without a limit.
    pub fn outside(&self, command: &Command) -> Result<Seen> {
        self.cgroups.run(command, None, LONGEST)?.well(command)
    }
}

/// Runs `memcheck --json` to its end, which has to be one of `codes`.
pub fn report(command: &mut Command, codes: &[i32]) -> Result<Report> {
    let measured = measure(command)?;
    let status = measured.status.code().filter(|code| codes.contains(code)).unwrap_or(codes[0]);
    let measured = measured.expect(status, command)?;
    let report: Report =
        serde_json::from_str(&measured.stdout).context("`dermai memcheck --json` gave another format")?;
    Ok(Report { status, ..report })
}

/// `memcheck` of the default model as a user types it, in `folder`; its words are not looked at.
pub fn plain(bench: &Bench, folder: &Path, more: &[&OsStr]) -> Command {
    let mut command = bench.dermai();
    command.current_dir(folder).arg("memcheck").args(more);
    command
}

/// The reports of a cgroup only: an estimate is held to other targets.
pub fn by_cgroup(report: &Report) -> Result<()> {
    let Enforced { mechanism, cache } = &report.enforced;
    ensure!(
        mechanism.contains("cgroup") || mechanism.contains("scope"),
        "`memcheck` found no cgroup but a {mechanism}"
    );
    ensure!(
        cache == "cold",
        "`memcheck` could not empty the page cache: another process has the program's files mapped"
    );
    Ok(())
}
