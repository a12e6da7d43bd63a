//! `dermai.predict/1`: the JSON of `predict` (DESIGN.md, section 8). Keys are only ever added.
use crate::input::Preprocessing;
use crate::model::Identity;
use crate::predict::{Answer, Failure, Prediction, Run};
use serde::Serialize;
use std::time::Duration;

/// Name and version of `predict`'s format.
pub const SCHEMA: &str = "dermai.predict/1";
/// Name and version of `gradcam`'s format.
pub const GRADCAM_SCHEMA: &str = "dermai.gradcam/1";

/// What every record of a run carries.
#[derive(Debug, Serialize)]
pub struct Head<'a> {
    schema: &'static str,
    dermai: &'static str,
    /// None when no picture could be read, because then no model was loaded.
    model: Option<&'a Identity>,
    preprocessing: &'a Preprocessing,
    threshold: Option<f64>,
    notice: &'a str,
}

impl<'a> Head<'a> {
    /// The head of a run's records.
    pub fn of(schema: &'static str, run: &'a Run) -> Self {
        Self {
            schema,
            dermai: env!("CARGO_PKG_VERSION"),
            model: run.identity.as_ref(),
            preprocessing: &run.card.input,
            threshold: run.threshold,
            notice: &run.card.about.notice,
        }
    }
}

/// A classified picture.
#[derive(Debug, Serialize)]
pub struct Entry {
    image: Image,
    predictions: Vec<Class>,
    low_confidence: bool,
    milliseconds: Milliseconds,
}

#[derive(Debug, Serialize)]
struct Image {
    name: String,
    sha256: String,
    width: u32,
    height: u32,
}

/// A class and its probability.
#[derive(Debug, Serialize)]
pub struct Class {
    index: usize,
    label: String,
    probability: f32,
}

impl From<Prediction> for Class {
    fn from(prediction: Prediction) -> Self {
        let Prediction { index, label, probability } = prediction;
        Self { index, label, probability }
    }
}

#[derive(Debug, Serialize)]
struct Milliseconds {
    decode: f64,
    preprocess: f64,
    infer: f64,
}

impl From<Answer> for Entry {
    fn from(answer: Answer) -> Self {
        // Microseconds are what the clock gives; more digits would be noise.
        let milliseconds = |time: Duration| time.as_micros() as f64 / 1000.0;
        Self {
            image: Image {
                name: answer.image,
                sha256: answer.sha256,
                width: answer.size.width,
                height: answer.size.height,
            },
            predictions: answer.predictions.into_iter().map(Class::from).collect(),
            low_confidence: answer.low_confidence,
            milliseconds: Milliseconds {
                decode: milliseconds(answer.times.decode),
                preprocess: milliseconds(answer.times.preprocess),
                infer: milliseconds(answer.times.infer),
            },
        }
    }
}

/// A picture that could not be classified.
#[derive(Debug, Serialize)]
pub struct Missed {
    image: String,
    error: String,
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self { image: failure.image, error: failure.error }
    }
}

/// A whole run: `--json`.
#[derive(Debug, Serialize)]
pub struct Document<'a, T> {
    /// What every record carries.
    #[serde(flatten)]
    pub head: Head<'a>,
    /// Pictures that were answered.
    pub results: &'a [T],
    /// The others.
    pub errors: &'a [Missed],
}

/// One picture with the run's fields: a line of `--jsonl`.
#[derive(Debug, Serialize)]
pub struct Line<'a, T> {
    /// What every record carries.
    #[serde(flatten)]
    pub head: Head<'a>,
    /// [`Entry`] or [`Missed`].
    #[serde(flatten)]
    pub entry: T,
}
