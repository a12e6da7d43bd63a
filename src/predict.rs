//! From pictures to ranked classes: decoding of the next picture overlaps inference of this one, and the runtime is loaded only once a picture is good.
use crate::input::{Limits, Picture, Preprocessing, Source, Stream, sha256_of};
use crate::model::{Card, Identity, Model, Prepared, SessionOptions};
use crate::units::{Progress, Size};
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How to classify.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Classes kept for each picture; `None` keeps all.
    pub top: Option<usize>,
    /// Below this probability an answer counts as uncertain; the card's when `None`.
    pub threshold: Option<f64>,
    /// What a picture may cost.
    pub limits: Limits,
    /// How the network runs.
    pub session: SessionOptions,
}

/// One class and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Position in the output.
    pub index: usize,
    /// The card's `id`.
    pub label: String,
    /// Between 0 and 1.
    pub probability: f32,
}

/// A picture that was classified.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its name as the user gave it.
    pub image: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// Size, upright.
    pub size: Size,
    /// Classes, most probable first.
    pub predictions: Vec<Prediction>,
    /// Whether the best probability lies below the threshold.
    pub low_confidence: bool,
    /// Where the time went.
    pub times: Times,
}

/// Time spent on one picture.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Reading and decoding.
    pub decode: Duration,
    /// Resizing and normalising.
    pub preprocess: Duration,
    /// The network.
    pub infer: Duration,
}

/// A picture that could not be classified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name as the user gave it.
    pub image: String,
    /// Why, in one line.
    pub error: String,
}

/// What is the same for every answer of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Who answers; `None` until a picture was good enough to load the runtime.
    pub identity: Option<Identity>,
    /// The card.
    pub card: Card,
    /// Below this probability an answer counts as uncertain.
    pub threshold: Option<f64>,
    /// What was found only when the model was started, one sentence each.
    pub warnings: Vec<String>,
}

/// What of an answer is shown, and when it counts as uncertain.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Classes kept; `None` keeps all.
    pub top: Option<usize>,
    /// Below this probability an answer counts as uncertain.
    pub threshold: Option<f64>,
}

impl Answer {
    /// From what the network gave for a picture in `infer`; `cut` says what is kept.
    pub fn of(image: &str, read: &Read, probabilities: &[f32], card: &Card, infer: Duration, cut: Cut) -> Self {
        let predictions = rank(probabilities, card, cut.top);
        let best = predictions.first().map_or(0.0, |p| p.probability);
        Self {
            image: image.to_owned(),
            sha256: read.sha256.clone(),
            size: read.picture.size,
            low_confidence: cut.threshold.is_some_and(|threshold| f64::from(best) < threshold),
            predictions,
            times: Times { decode: read.picture.decode, preprocess: read.picture.preprocess, infer },
        }
    }
}

impl Run {
    /// What of an answer is shown.
    pub fn cut(&self, top: Option<usize>) -> Cut {
        Cut { top, threshold: self.threshold }
    }
}

/// Takes results as they come, in the order of the sources.
pub trait Sink {
    /// A picture was classified.
    fn answer(&mut self, run: &Run, answer: Answer) -> Result<()>;
    /// A picture was not.
    fn failure(&mut self, run: &Run, failure: Failure) -> Result<()>;
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What is the same for every answer.
    pub run: Run,
    /// Pictures classified.
    pub answered: usize,
    /// Pictures that could not be.
    pub failed: usize,
}

/// Classifies `sources` in order. A bad picture is a [`Failure`] and does not stop the rest; an error ends the run.
///
/// The runtime is loaded when the first picture has been decoded, so a bad picture costs no more than its own decoding.
pub fn run(
    prepared: Prepared,
    sources: &[Source],
    options: &Options,
    sink: &mut dyn Sink,
    progress: &mut dyn Progress,
) -> Result<Summary> {
    let mut summary = Summary::of(&prepared, options);
    let spec = summary.run.card.input.clone();
    let mut waiting = Some(prepared);
    let mut running: Option<Model> = None;
    each(sources, &spec, &options.limits, progress, |source, read| {
        let answer = match read {
            Ok(read) => {
                if let Some(prepared) = waiting.take() {
                    running = Some(prepared.start(&options.session)?);
                }
                let model = running.as_mut().context("the model was not started")?;
                let answer = classify(model, &source.name(), &read, summary.run.cut(options.top));
                summary.identify(model)?;
                answer
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                summary.answered += 1;
                sink.answer(&summary.run, answer)
            }
            Err(error) => {
                let failure = summary.failure(source, &error);
                sink.failure(&summary.run, failure)
            }
        }
    })?;
    Ok(summary)
}

impl Summary {
    /// Before the first picture.
    pub fn of(prepared: &Prepared, options: &Options) -> Self {
        let card = prepared.card.clone();
        let threshold = options.threshold.or(card.threshold);
        Self { run: Run { identity: None, card, threshold, warnings: Vec::new() }, answered: 0, failed: 0 }
    }

    /// Notes who answers, once it is known, and what is to be said of it; waits for the model's hash.
    pub fn identify(&mut self, model: &mut Model) -> Result<()> {
        if self.run.identity.is_none() {
            self.run.warnings = model.warnings().to_vec();
            self.run.identity = Some(model.identity()?.clone());
        }
        Ok(())
    }

    /// Counts a picture that failed.
    pub fn failure(&mut self, source: &Source, error: &anyhow::Error) -> Failure {
        self.failed += 1;
        Failure { image: source.name(), error: format!("{error:#}") }
    }
}

/// A picture that was read, and the hash of its file.
#[derive(Debug)]
pub struct Read {
    /// The picture as the network sees it.
    pub picture: Picture,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The file's bytes once more, from their start.
    pub photo: Stream,
}

impl Read {
    /// Reads one picture.
    pub fn from(source: &Source, spec: &Preprocessing, limits: &Limits) -> Result<Self> {
        Self::of(source.open(limits)?, spec, limits)
    }

    /// The same of a picture's bytes.
    pub fn of(mut stream: Stream, spec: &Preprocessing, limits: &Limits) -> Result<Self> {
        let sha256 = sha256_of(&mut stream)?;
        let photo = stream.again();
        Ok(Self { picture: spec.read(stream, limits)?, sha256, photo })
    }
}

/// Reads `sources` in order on a thread of its own, at most one picture ahead, and calls `work` for each; ends when `work` fails.
pub fn each(
    sources: &[Source],
    spec: &Preprocessing,
    limits: &Limits,
    progress: &mut dyn Progress,
    mut work: impl FnMut(&Source, Result<Read>) -> Result<()>,
) -> Result<()> {
    progress.start("images", sources.len() as u64);
    thread::scope(|scope| {
        let (ready, pictures) = sync_channel(1);
        thread::Builder::new()
            .name("decode".into())
            .spawn_scoped(scope, move || read_all(sources, spec, limits, &ready))
            .context("a thread cannot be started")?;
        for (source, read) in pictures {
            work(source, read)?;
            progress.step()?;
        }
        anyhow::Ok(())
    })?;
    progress.finish();
    Ok(())
}

/// Ends when nobody listens any more.
fn read_all<'s>(
    sources: &'s [Source],
    spec: &Preprocessing,
    limits: &Limits,
    ready: &SyncSender<(&'s Source, Result<Read>)>,
) {
    for source in sources {
        if ready.send((source, Read::from(source, spec, limits))).is_err() {
            return;
        }
    }
}

/// Classifies one picture that was read; `image` is its name.
pub fn classify(model: &mut Model, image: &str, read: &Read, cut: Cut) -> Result<Answer> {
    let begun = Instant::now();
    let probabilities = model.probabilities(&read.picture.tensor)?;
    Ok(Answer::of(image, read, &probabilities, &model.card, begun.elapsed(), cut))
}

/// Classes by falling probability; equal ones in output order.
pub fn rank(probabilities: &[f32], card: &Card, top: Option<usize>) -> Vec<Prediction> {
    let mut order: Vec<_> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    order.truncate(top.unwrap_or(usize::MAX).max(1));
    let label = |index: usize| card.labels.get(index).map_or_else(|| index.to_string(), |label| label.id.clone());
    order
        .into_iter()
        .map(|index| Prediction { index, label: label(index), probability: probabilities[index] })
        .collect()
}

/// Classifies one image file with the model found as [`Prepared::find`] does; all classes, most probable first.
///
/// ```no_run
/// # fn main() -> anyhow::Result<()> {
/// let answer = dermai::predict::one("photo.jpg".as_ref(), None)?;
/// println!("{} {:.1} %", answer.predictions[0].label, answer.predictions[0].probability * 100.0);
/// # Ok(())
/// # }
/// ```
pub fn one(image: &Path, model: Option<&Path>) -> Result<Answer> {
    let prepared = Prepared::find(model)?;
    let limits = Limits::within(crate::units::Bytes::mb(512));
    let source = Source::Path(image.to_owned());
    let threshold = prepared.card.threshold;
    let read = Read::from(&source, &prepared.card.input, &limits).with_context(|| format!("`{}`", image.display()))?;
    let mut model = prepared.start(&SessionOptions { threads: 1, spinning: false })?;
    model.identity()?;
    classify(&mut model, &source.name(), &read, Cut { top: None, threshold })
}
