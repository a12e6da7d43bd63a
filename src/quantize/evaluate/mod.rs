//! What a bundle is against the model that it was made from: answers, maps, memory and time.
//!
//! Pictures are streamed and both models see each in turn, so memory does not grow with their number.
mod latency;
mod maps;
mod peak;
mod score;

pub use latency::Latency;
pub use maps::Maps;
pub use score::{Accuracy, Recall};

use super::config::Config;
use super::{Mode, Pictures};
use crate::input::{Limits, Source, write_drawn_photo};
use crate::model::{Model, OutputKind, Prepared, SessionOptions, Task};
use crate::predict::Read;
use crate::units::{Bytes, Progress, Size};
use anyhow::{Context, Result};
use ndarray::Array4;
pub use score::{Answer, Likeness};
use score::{Tally, best};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How both run: figures of one thread can be compared, and idle ones must not disturb the other model.
pub const SESSION: SessionOptions = SessionOptions { threads: 1, spinning: false };
/// A drawn photo of this size stands in where no picture was named.
const DRAWN: Size = Size { width: 640, height: 480 };

/// The same of the source and of the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<T> {
    /// Of the model that the bundle was made from.
    pub before: T,
    /// Of the bundle.
    pub after: T,
}

/// What was measured; none: nobody asked for it, or it cannot be had.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// How both answer.
    pub answers: Option<Answers>,
    /// How alike both explain.
    pub maps: Option<Maps>,
    /// The highest resident size (`VmHWM`) of a process that predicts one picture.
    pub peaks: Option<Pair<Bytes>>,
    /// How long the network takes.
    pub latency: Option<Latency>,
    /// What should be known, one sentence each.
    pub warnings: Vec<String>,
}

/// How both models answer on one set of pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Pictures that both answered.
    pub images: usize,
    /// Pictures for which both have the same first class; of independent labels, the same set of them above 0.5.
    pub same: usize,
    /// Mean KL divergence of the bundle's probabilities from the source's, in nats; of independent labels, summed over them.
    pub kl: f64,
    /// How often each is right, where the pictures have labels.
    pub accuracy: Option<Pair<Accuracy>>,
}

impl Answers {
    /// The share of pictures that are answered as before, 0 to 1.
    pub fn agreement(&self) -> f64 {
        self.same as f64 / self.images.max(1) as f64
    }
}

/// Measures what the report and the gates of `config` need, of `source` and of the bundle in `draft`, which is not at its place yet.
///
/// # Errors
/// When a model fails, or gives NaN or infinite values, on a picture: it is named; when too many pictures are unreadable.
pub fn measure(source: &Prepared, draft: &Path, config: &Config, progress: &mut dyn Progress) -> Result<Measured> {
    let mut measured = Measured::default();
    let (set, gates) = (config.evaluation.as_ref(), &config.gates);
    let is_timed = set.is_some() || gates.max_latency.is_some();
    let weighs = set.is_some() || gates.max_rss.is_some();
    if !is_timed && !weighs {
        return Ok(measured);
    }
    let bundle = Prepared::find(Some(draft))?;
    let mut probe = None;
    if is_timed {
        let mut models = Pair { before: source.clone().start(&SESSION)?, after: bundle.clone().start(&SESSION)? };
        if let Some(set) = set {
            let (answers, first) = answers(&mut models, set, config, &mut measured.warnings, progress)?;
            (measured.answers, probe) = (Some(answers), first);
        }
        let known = Probe::or_drawn(probe)?;
        let read = known.read(source, &config.limits)?;
        probe = Some(known);
        measured.latency = Some(latency::of(&mut models, &read.picture.tensor, progress)?);
        // Neither what was loaded nor what was written is another file than it claims to be.
        models.before.identity()?;
        models.after.identity()?;
    }
    if let Some(set) = set.filter(|_| explains(&bundle)) {
        measured.maps = maps::alike(Pair { before: source, after: &bundle }, set, &config.limits, progress)?;
    }
    if let Some(program) = config.program.as_ref().filter(|_| weighs) {
        let probe = Probe::or_drawn(probe)?;
        let places = Pair { before: source.place(), after: draft };
        measured.peaks = Some(peak::of(program, places, probe.path(), progress)?);
    }
    Ok(measured)
}

fn explains(bundle: &Prepared) -> bool {
    bundle.card.bundle.iter().flat_map(|bundle| &bundle.forms).any(|form| form.task == Task::Explain)
}

/// Has both models answer each picture. Gives the first picture that could be read, too.
fn answers(
    models: &mut Pair<Model>,
    set: &Pictures,
    config: &Config,
    warnings: &mut Vec<String>,
    progress: &mut dyn Progress,
) -> Result<(Answers, Option<Probe>)> {
    let card = models.before.card.clone();
    let mut tallies = Pair { before: Tally::new(card.labels.len()), after: Tally::new(card.labels.len()) };
    let mut likeness = Likeness::default();
    let mut probe = None;
    let unreadable = set.each(&card.input, &config.limits, progress, |_, entry, read| {
        let name = &entry.name;
        let before =
            answer(&mut models.before, &read.picture.tensor).with_context(|| format!("the source on `{name}`"))?;
        let after = answer(&mut models.after, &read.picture.tensor).with_context(|| broken(config.mode, name))?;
        likeness.add(&before, &after);
        if let Some(class) = entry.class {
            tallies.before.add(&before.probabilities, class);
            tallies.after.add(&after.probabilities, class);
        }
        if let (None, Source::Path(path)) = (&probe, &entry.source) {
            probe = Some(Probe::Named(path.clone()));
        }
        Ok(())
    })?;
    warnings.extend(set.warning(&unreadable));
    let accuracy = set
        .is_labelled()
        .then(|| Pair { before: tallies.before.accuracy(&card.labels), after: tallies.after.accuracy(&card.labels) });
    Ok((Answers { images: likeness.images, same: likeness.same, kl: likeness.mean_kl(), accuracy }, probe))
}

fn broken(mode: Mode, name: &str) -> String {
    format!("the bundle by mode `{mode}` on `{name}` (its source answers; try another mode)")
}

/// What a model says to a tensor.
pub fn answer(model: &mut Model, tensor: &Array4<f32>) -> Result<Answer> {
    let values = model.run(tensor, &[], &[])?.remove(0);
    let probabilities = model.to_probabilities(values.as_slice().context("the output is not contiguous")?)?;
    // One output for two labels is one decision between them.
    let independent = model.card.output.kind == OutputKind::Sigmoid && values.len() == probabilities.len();
    Ok(Answer { best: best(&probabilities), probabilities, independent })
}

/// The picture that time and memory are measured with.
enum Probe {
    Named(PathBuf),
    Drawn(NamedTempFile),
}

impl Probe {
    fn or_drawn(known: Option<Self>) -> Result<Self> {
        known.map_or_else(Self::drawn, Ok)
    }

    fn drawn() -> Result<Self> {
        let failed = "a picture cannot be drawn in the temporary folder: name some with `--eval`, or set `TMPDIR`";
        let mut file = tempfile::Builder::new().suffix(".jpg").tempfile().context(failed)?;
        let mut out = BufWriter::new(&mut file);
        write_drawn_photo(&mut out, DRAWN)?;
        out.flush().context(failed)?;
        drop(out);
        Ok(Self::Drawn(file))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Drawn(file) => file.path(),
        }
    }

    fn read(&self, model: &Prepared, limits: &Limits) -> Result<Read> {
        let path = self.path();
        let read = Read::from(&Source::Path(path.to_owned()), &model.card.input, limits);
        read.with_context(|| format!("`{}`", path.display()))
    }
}
