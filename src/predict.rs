//! From pictures to ranked classes: decoding of the next picture overlaps inference of this one, and the runtime is loaded only once a picture is good.
use crate::input::{Limits, Picture, Preprocessing, Source, sha256_of};
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
    let card = prepared.card.clone();
    let threshold = options.threshold.or(card.threshold);
    let mut summary = Summary { run: Run { identity: None, card, threshold }, answered: 0, failed: 0 };
    let spec = summary.run.card.input.clone();
    progress.start("images", sources.len() as u64);
    thread::scope(|scope| {
        let (ready, pictures) = sync_channel(1);
        thread::Builder::new()
            .name("decode".into())
            .spawn_scoped(scope, move || decode_all(sources, &spec, &options.limits, &ready))
            .context("a thread cannot be started")?;
        let mut waiting = Some(prepared);
        let mut running: Option<Model> = None;
        for Decoded { image, result } in pictures {
            let answer = match result {
                Ok(decoded) => {
                    if let Some(prepared) = waiting.take() {
                        running = Some(prepared.start(&options.session)?);
                    }
                    let model = running.as_mut().context("the model was not started")?;
                    let answer = classify(model, &image, decoded, options.top, threshold);
                    if summary.run.identity.is_none() {
                        summary.run.identity = Some(model.identity()?.clone());
                    }
                    answer
                }
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => {
                    summary.answered += 1;
                    sink.answer(&summary.run, answer)?;
                }
                Err(error) => {
                    summary.failed += 1;
                    sink.failure(&summary.run, Failure { image, error: format!("{error:#}") })?;
                }
            }
            progress.step();
        }
        anyhow::Ok(())
    })?;
    progress.finish();
    Ok(summary)
}

/// A picture on its way from the decoder to the network.
struct Decoded {
    image: String,
    result: Result<(Picture, String)>,
}

/// Decodes in order, at most one picture ahead of the network; ends when nobody listens any more.
fn decode_all(sources: &[Source], spec: &Preprocessing, limits: &Limits, ready: &SyncSender<Decoded>) {
    for source in sources {
        let read = || {
            let mut stream = source.open(limits)?;
            let sha256 = sha256_of(&mut stream)?;
            Ok((spec.read(stream, limits)?, sha256))
        };
        if ready.send(Decoded { image: source.name(), result: read() }).is_err() {
            return;
        }
    }
}

fn classify(
    model: &mut Model,
    image: &str,
    (picture, sha256): (Picture, String),
    top: Option<usize>,
    threshold: Option<f64>,
) -> Result<Answer> {
    let begun = Instant::now();
    let probabilities = model.probabilities(&picture.tensor)?;
    let times = Times { decode: picture.decode, preprocess: picture.preprocess, infer: begun.elapsed() };
    let predictions = rank(&probabilities, &model.card, top);
    let best = predictions.first().map_or(0.0, |p| p.probability);
    let low_confidence = threshold.is_some_and(|threshold| f64::from(best) < threshold);
    Ok(Answer { image: image.to_owned(), sha256, size: picture.size, predictions, low_confidence, times })
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
    let read = || {
        let mut stream = source.open(&limits)?;
        let sha256 = sha256_of(&mut stream)?;
        anyhow::Ok((prepared.card.input.read(stream, &limits)?, sha256))
    };
    let decoded = read().with_context(|| format!("`{}`", image.display()))?;
    let mut model = prepared.start(&SessionOptions { threads: 1, spinning: false })?;
    model.identity()?;
    classify(&mut model, &source.name(), decoded, None, threshold)
}
