//! What the topics about `dermai quantize` share: networks with lists of their pictures, bundles made of them, and `onnxruntime.quantization` beside.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::child::{Measured, measure};
use super::sides::{Bench, CLASSIFY};

/// Makes the lists, quantizes and evaluates.
const QUANTIZED: (&str, &str) = ("quantized.py", include_str!("python/quantized.py"));
/// The network of the replaced app, below `shared`: its weights are random.
pub const LARGE: &str = "reference/k_effv2s_300";
/// Images whose probabilities are compared where there are no right answers.
pub const COMPARED: usize = 20;
/// Inferences are timed with one.
pub const ONE_THREAD: [&str; 2] = ["--threads", "1"];

/// Smaller forms of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Prepare,
    Fp16,
    Int8Weights,
    Int8,
    /// The best recipe, with layers left in float.
    Auto,
}

impl Form {
    /// As it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Fp16 => "fp16",
            Self::Int8Weights => "int8-weights",
            Self::Int8 => "int8",
            Self::Auto => "int8 --auto",
        }
    }

    /// Whether it looks at pictures.
    fn is_calibrated(self) -> bool {
        matches!(self, Self::Int8Weights | Self::Int8 | Self::Auto)
    }
}

/// Folders, and Python.
pub struct Scene<'a> {
    pub bench: &'a Bench,
    shared: PathBuf,
    workshop: tempfile::TempDir,
}

/// A network.
pub struct Subject {
    pub name: String,
    /// Its model and card.
    pub folder: PathBuf,
    /// Its lists of pictures, and what is made of it.
    place: PathBuf,
}

/// The part of `dermai quantize --json` that the topics look at; what was not measured is null.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    pub before: Before,
    pub after: After,
}

/// The source.
#[derive(Clone, Debug, Deserialize)]
pub struct Before {
    pub top1: Option<f64>,
}

/// The bundle.
#[derive(Clone, Debug, Deserialize)]
pub struct After {
    pub top1: Option<f64>,
    /// All files.
    pub bytes: u64,
    pub agreement: Option<f64>,
    pub kl: Option<f64>,
    pub cam_correlation: Option<f64>,
    pub cam_correlation_least: Option<f64>,
    pub latency_ratio: Option<f64>,
}

/// Probabilities of all classes for each image, as the script prints them.
#[derive(Deserialize)]
pub struct Answers {
    pub answers: Vec<Vec<f64>>,
}

/// A line of `dermai predict --jsonl`.
#[derive(Deserialize)]
struct Line {
    predictions: Vec<Class>,
}

#[derive(Deserialize)]
struct Class {
    index: usize,
    probability: f64,
}

impl<'a> Scene<'a> {
    /// Looks for the networks; else the reason why they are not here.
    pub fn set(bench: &'a Bench) -> Result<Result<Self, String>> {
        let found = bench.shared.as_ref().filter(|shared| shared.join(LARGE).is_dir());
        let Some(shared) = found else {
            return Ok(Err(format!("there is no `shared/{LARGE}` beside the checkout")));
        };
        bench.python.script(CLASSIFY)?; // imported by the other
        Ok(Ok(Self { bench, shared: shared.clone(), workshop: bench.workshop()? }))
    }

    /// The networks below `shared/models`, by name.
    pub fn subjects(&self) -> Result<Vec<Subject>> {
        let folder = self.shared.join("models");
        let named = || format!("cannot read `{}`", folder.display());
        let found = fs::read_dir(&folder).with_context(named)?.flatten().map(|entry| entry.file_name());
        let mut names: Vec<_> = found.filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        names.iter().map(|name| self.subject(&format!("models/{name}"))).collect()
    }

    /// A network below `shared`, with lists of its labelled pictures and of those to calibrate with.
    pub fn subject(&self, below: &str) -> Result<Subject> {
        let folder = self.shared.join(below);
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = self.workshop.path().join(&name);
        fs::create_dir(&place).with_context(|| format!("cannot create `{}`", place.display()))?;
        let subject = Subject { name, folder, place };
        let _: serde::de::IgnoredAny = self.python("sets", &subject.folder, [subject.place.as_os_str()])?.1;
        Ok(subject)
    }

    /// Makes a bundle.
    pub fn make(&self, subject: &Subject, form: Form, more: &[&OsStr]) -> Result<(Measured, Report)> {
        let mut dermai = self.bench.dermai();
        dermai.arg("quantize").arg(&subject.folder).arg("-o").arg(subject.bundle(form));
        dermai.args(["--json", "--mode", if form == Form::Auto { Form::Int8 } else { form }.name()]);
        if form.is_calibrated() {
            dermai.arg("--calibrate").arg(subject.place.join("calibration.csv"));
        }
        if form == Form::Auto {
            dermai.arg("--auto");
        }
        let measured = measure(dermai.args(more))?.expect(0, &dermai)?;
        let report = serde_json::from_str(&measured.stdout).context("`dermai quantize --json` gave another format")?;
        Ok((measured, report))
    }

    /// Runs a task of the script and reads what it prints.
    pub fn python<T: DeserializeOwned>(
        &self,
        task: &str,
        model: &Path,
        more: impl IntoIterator<Item: AsRef<OsStr>>,
    ) -> Result<(Measured, T)> {
        let mut script = self.bench.python.script(QUANTIZED)?;
        script.current_dir(self.workshop.path()).arg(task).arg(&self.shared).arg(model).args(more);
        let measured = measure(&mut script)?.expect(0, &script)?;
        let printed = serde_json::from_str(&measured.stdout).context("`quantized.py` gave another format")?;
        Ok((measured, printed))
    }

    /// Where anything may be written.
    pub fn folder(&self) -> &Path {
        self.workshop.path()
    }

    /// Probabilities of all classes for each image, in order.
    pub fn probabilities(&self, model: &Path, images: &[PathBuf]) -> Result<Vec<Vec<f64>>> {
        let mut dermai = self.bench.dermai();
        dermai.args(["predict", "--jsonl", "--top", "0"]).args(ONE_THREAD).arg("--model").arg(model);
        let measured = measure(dermai.arg("--").args(images))?.expect(0, &dermai)?;
        let lines = measured.stdout.lines().map(|line| serde_json::from_str::<Line>(line).map(Line::ordered));
        lines.collect::<Result<_, _>>().context("`dermai predict --jsonl` gave another format")
    }
}

impl Subject {
    /// Where a bundle of it is made.
    pub fn bundle(&self, form: Form) -> PathBuf {
        self.place.join(form.name().replace(" --", "-"))
    }

    /// Its labelled pictures, as a list that `--eval` takes.
    pub fn labels(&self) -> PathBuf {
        self.place.join("labels.csv")
    }

    /// Where its lists are, and where Python writes to.
    pub fn place(&self) -> &OsStr {
        self.place.as_os_str()
    }

    /// Its labelled pictures.
    pub fn images(&self) -> Result<Vec<PathBuf>> {
        first_column(&self.labels())
    }

    /// The pictures that it is calibrated with.
    pub fn calibration(&self) -> Result<Vec<PathBuf>> {
        first_column(&self.place.join("calibration.csv"))
    }

    /// Bytes of its .onnx.
    pub fn bytes(&self) -> Result<u64> {
        let path = self.folder.join("model.onnx");
        Ok(fs::metadata(&path).with_context(|| format!("cannot read `{}`", path.display()))?.len())
    }
}

/// Paths in a list. None of ours has a comma; the labels behind them may.
fn first_column(list: &Path) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(list).with_context(|| format!("cannot read `{}`", list.display()))?;
    Ok(text.lines().skip(1).filter_map(|line| line.split(',').next()).map(PathBuf::from).collect())
}

impl Line {
    fn ordered(mut self) -> Vec<f64> {
        self.predictions.sort_by_key(|class| class.index);
        self.predictions.iter().map(|class| class.probability).collect()
    }
}

/// The largest difference of a probability, and how many images have another best class.
pub fn difference(ours: &[Vec<f64>], theirs: &[Vec<f64>]) -> Result<(f64, usize)> {
    let alike = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.len() == b.len());
    ensure!(alike, "the two sides answered other images, or with other classes");
    let pairs = || ours.iter().zip(theirs);
    let differences = pairs().flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b).abs()));
    let others = pairs().filter(|(a, b)| best(a) != best(b)).count();
    Ok((differences.fold(0.0, f64::max), others))
}

/// The first of the highest.
fn best(values: &[f64]) -> Option<usize> {
    (0..values.len()).rev().max_by(|a, b| values[*a].total_cmp(&values[*b]))
}

/// The entry with the highest value, or one that has none.
pub fn worst<T>(all: &[T], value: impl Fn(&T) -> f64) -> Option<(&T, f64)> {
    all.iter().map(|entry| (entry, value(entry))).max_by(|a, b| badness(a.1).total_cmp(&badness(b.1)))
}

/// What could not be measured is worse than anything.
fn badness(value: f64) -> f64 {
    if value.is_nan() { f64::INFINITY } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_and_other_answers() {
        let ours = [vec![0.6, 0.4], vec![0.3, 0.7], vec![0.5, 0.5]];
        let theirs = [vec![0.6, 0.4], vec![0.55, 0.45], vec![0.5, 0.5]];
        let (largest, others) = difference(&ours, &theirs).unwrap();
        assert!((largest - 0.25).abs() < 1e-12 && others == 1, "{largest} {others}");
        assert!(difference(&ours, &theirs[..2]).is_err());
        assert_eq!(best(&[0.5, 0.5]), Some(0));
    }

    #[test]
    fn the_worst_is_the_highest_or_what_is_missing() {
        assert_eq!(worst(&[1.0, 3.0, 2.0], |v| *v), Some((&3.0, 3.0)));
        assert!(worst(&[1.0, f64::NAN, 2.0], |v| *v).unwrap().1.is_nan());
        assert_eq!(worst::<f64>(&[], |v| *v), None);
    }
}
