//! The two sides of a comparison: `dermai predict` and `classify.py`, run as children, and what they answer.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::child::{Measured, measure};
use super::python::Python;
use super::stats::median;

/// Python with Pillow and onnxruntime.
pub const CLASSIFY: (&str, &str) = ("classify.py", include_str!("python/classify.py"));

/// Programs and folders that the topics need.
#[derive(Debug)]
pub struct Bench {
    /// The workspace.
    pub root: PathBuf,
    /// The release binary.
    pub binary: PathBuf,
    /// Python with its packages.
    pub python: Python,
    /// The folder `shared` beside the checkout, if there is one.
    pub shared: Option<PathBuf>,
    /// Below it, topics may make temporary folders.
    pub target: PathBuf,
    /// As many as there are cores.
    pub threads: usize,
    /// Pairs to measure.
    pub runs: usize,
    /// What was asked for, as it was typed; nothing for all topics.
    pub asked: Vec<String>,
}

/// What both sides are asked.
#[derive(Clone, Debug)]
pub struct Task {
    /// A folder with a card.
    pub model: PathBuf,
    /// For one inference.
    pub threads: usize,
    /// Image files, or one folder.
    pub images: Vec<PathBuf>,
}

/// One run of either side.
#[derive(Debug)]
pub struct Answered {
    /// The process.
    pub measured: Measured,
    /// The highest probability of each image.
    pub best: Vec<f64>,
    /// Milliseconds of each inference.
    pub infer: Vec<f64>,
    /// Milliseconds to create the session and run the network once; Python only.
    pub first: f64,
    /// Milliseconds of everything but the imports; Python only.
    pub total: f64,
}

impl Answered {
    /// Milliseconds of the whole process.
    pub fn wall(&self) -> f64 {
        self.measured.wall.as_secs_f64() * 1e3
    }

    /// Peak memory of the process in MB of 2^20 bytes; NaN where it could not be measured.
    pub fn peak(&self) -> f64 {
        megabytes(self.measured.peak)
    }

    /// Milliseconds of an inference once the first ones, which fault pages in, are over.
    pub fn steady(&self) -> f64 {
        median(self.infer.iter().skip(2).copied().collect())
    }
}

/// Bytes as MB of 2^20; NaN when there are none to show.
pub fn megabytes(bytes: Option<u64>) -> f64 {
    bytes.map_or(f64::NAN, |bytes| bytes as f64 / f64::from(1 << 20))
}

impl Bench {
    /// The program, run from the workspace with no setting of the caller's.
    pub fn dermai(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.root).env_remove("DERMAI_MODEL").arg("--quiet");
        command
    }

    /// The picture that is classified: drawn by `cargo xtask fixtures`, no one's photo.
    pub fn sample(&self) -> PathBuf {
        self.root.join("fixtures/images/lesion.jpg")
    }

    /// The network that comes with the program.
    pub fn default_model(&self) -> PathBuf {
        self.root.join("models/default")
    }

    /// Our side.
    pub fn ours(&self, task: &Task) -> Result<Answered> {
        let mut command = self.dermai();
        command.args(["predict", "--jsonl", "--top", "1", "--threads", &task.threads.to_string(), "--model"]);
        command.arg(&task.model).arg("--").args(&task.images);
        let measured = measure(&mut command)?.expect(0, &command)?;
        let lines = measured.stdout.lines().map(serde_json::from_str::<Line>);
        let lines = lines.collect::<Result<Vec<_>, _>>().context("`dermai predict --jsonl` gave another format")?;
        let best = lines.iter().filter_map(|line| Some(line.predictions.first()?.probability)).collect();
        let infer = lines.iter().map(|line| line.milliseconds.infer).collect();
        Ok(Answered { measured, best, infer, first: f64::NAN, total: f64::NAN })
    }

    /// Python's side.
    pub fn python(&self, task: &Task) -> Result<Answered> {
        let mut command = self.python.script(CLASSIFY)?;
        command.current_dir(&self.root).arg(&task.model).arg(task.threads.to_string()).args(&task.images);
        let measured = measure(&mut command)?.expect(0, &command)?;
        let report: Report = serde_json::from_str(&measured.stdout).context("`classify.py` gave another format")?;
        let first = report.session_ms + report.infer_ms.first().copied().unwrap_or(f64::NAN);
        Ok(Answered { measured, best: report.best, infer: report.infer_ms, first, total: report.total_ms })
    }

    /// A temporary folder that is on the target's file system.
    pub fn workshop(&self) -> Result<tempfile::TempDir> {
        let named = || format!("cannot create a folder in `{}`", self.target.display());
        tempfile::Builder::new().prefix("bench-").tempdir_in(&self.target).with_context(named)
    }
}

impl Task {
    /// `image`, `times` times.
    pub fn repeated(model: &Path, threads: usize, image: &Path, times: usize) -> Self {
        Self { model: model.to_owned(), threads, images: vec![image.to_owned(); times] }
    }
}

/// Two sides that give other answers do other work, and comparing their times would mean nothing.
pub fn agree(ours: &[Answered], python: &[Answered], tolerance: f64) -> Result<()> {
    for (ours, python) in ours.iter().zip(python) {
        ensure!(ours.best.len() == python.best.len(), "Python classified other images than we");
        for (at, (a, b)) in ours.best.iter().zip(&python.best).enumerate() {
            ensure!((a - b).abs() <= tolerance, "image {at}: our best probability is {a}, Python's {b}");
        }
    }
    Ok(())
}

/// A line of `dermai predict --jsonl`.
#[derive(Deserialize)]
struct Line {
    predictions: Vec<Class>,
    milliseconds: Milliseconds,
}

#[derive(Deserialize)]
struct Class {
    probability: f64,
}

#[derive(Deserialize)]
struct Milliseconds {
    infer: f64,
}

/// What `classify.py` prints.
#[derive(Deserialize)]
struct Report {
    session_ms: f64,
    infer_ms: Vec<f64>,
    total_ms: f64,
    best: Vec<f64>,
}
