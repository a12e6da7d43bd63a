//! The pipeline that a deployment runs, in the order in which `predict`, `gradcam` and a server that loads its model at the first request run it:
//! what the measured child does.
use super::protocol::{Answering, Marks};
use crate::explain::{Engine, Map, Options, Rehearsal};
use crate::input::{Limits, Source};
use crate::memory::{Phase, tune_malloc};
use crate::model::{Prepared, Runtime, SessionOptions};
use crate::predict::{Options as PredictOptions, Read, each};
use crate::units::Bytes;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::BufWriter;
use std::path::PathBuf;

/// From the start of the process until it knows its model's card and graph.
pub const START: &str = "start";
/// Reading a picture into the network's tensor. Rows are decoded, resized and normalised as they come, so this is one stage.
pub const DECODE: &str = "decode, preprocess";
/// Loading ONNX Runtime.
pub const RUNTIME: &str = "load runtime";
/// Creating the session.
pub const MODEL: &str = "load model";
/// Running the network.
pub const INFER: &str = "infer";
/// Running the network with the backward pass behind it: one graph, so one stage.
pub const EXPLAIN: &str = "infer, explain";
/// Painting the map over the photo, as a PNG in a file: its pages are charged, too.
pub const ENCODE: &str = "encode";
/// Giving back what a request leaves.
pub const CLEANUP: &str = "cleanup";
/// Many requests, one after the other.
pub const REQUESTS: &str = "requests";
/// Two requests at once: pictures are read and maps painted at the same time, the network runs one at a time.
pub const TWO: &str = "two at once";

/// What a child has to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The model, as `--model` takes it.
    pub model: PathBuf,
    /// Pictures: the first for the first pass, all in turn for requests.
    pub pictures: Vec<PathBuf>,
    /// Whether maps are made, too.
    pub gradcam: bool,
    /// The layer that is explained; the card's, or the last feature map, when none.
    pub layer: Option<String>,
    /// Threads for the network.
    pub threads: usize,
    /// Memory that limits are derived from, in bytes.
    pub memory: u64,
    /// Requests after the first pass.
    pub requests: usize,
    /// Whether two requests at once follow.
    pub at_once: bool,
}

impl Work {
    /// The same without requests behind the first pass.
    #[must_use]
    pub fn first_pass(&self) -> Self {
        Self { requests: 0, at_once: false, ..self.clone() }
    }
}

/// Rounds of two requests at once: the first settles what the second needs.
const ROUNDS: usize = 2;

/// Does the work, and marks where it is.
pub fn run(work: &Work, marks: &mut dyn Marks) -> Result<()> {
    let prepared = Prepared::find(Some(&work.model))?;
    let pictures: Vec<Source> = work.pictures.iter().cloned().map(Source::Path).collect();
    let first = pictures.first().context("no picture is named")?;
    let rehearsal = Rehearsal { card: prepared.card.clone(), options: options(work) };
    let limits = rehearsal.options.predict.limits;
    let mut waiting = Some(prepared);
    let mut running = None;
    marks.stage(DECODE)?;
    // On the same threads as `predict`: malloc gives each an arena of its own.
    each(std::slice::from_ref(first), &rehearsal.card.input, &limits, &mut (), |source, read| {
        let read = read.with_context(|| format!("`{}`", source.name()))?;
        marks.stage(RUNTIME)?;
        Runtime::load()?;
        marks.stage(MODEL)?;
        let prepared = waiting.take().context("there is one picture")?;
        let engine = running.insert(start(prepared, work, &rehearsal.options)?);
        let model = engine.model();
        let by_portable = model.by_portable().map(str::to_owned);
        marks.note(&serde_json::to_string(&Answering { identity: model.identity()?.clone(), by_portable })?)?;
        marks.stage(if work.gradcam { EXPLAIN } else { INFER })?;
        let map = engine.answer(&read.picture.tensor, &rehearsal.options)?;
        if work.gradcam {
            marks.stage(ENCODE)?;
            paint(&rehearsal, read, map.as_ref())?;
        } else {
            drop(read);
        }
        marks.stage(CLEANUP)
    })?;
    tune_malloc(Phase::Running);
    let mut engine = running.context("there is one picture")?;
    let read = |picture: &Source| {
        Read::from(picture, &rehearsal.card.input, &limits).with_context(|| format!("`{}`", picture.name()))
    };
    if work.requests > 0 {
        marks.stage(REQUESTS)?;
        // The first picture was answered just now.
        for picture in pictures.iter().cycle().skip(1).take(work.requests) {
            rehearsal.answer(&mut engine, read(picture)?)?;
            tune_malloc(Phase::Running);
            marks.step()?;
        }
    }
    if work.at_once {
        marks.stage(TWO)?;
        rehearsal.two_at_once(engine, ROUNDS, || read(first))?;
    }
    Ok(())
}

/// As `gradcam -o` does it.
fn paint(rehearsal: &Rehearsal, read: Read, map: Option<&Map>) -> Result<()> {
    let file = tempfile::tempfile().context("a temporary file cannot be made for the overlay")?;
    let mut out = BufWriter::new(file);
    rehearsal.paint(read, map, &mut out)?;
    out.into_inner().context("the overlay cannot be written")?;
    Ok(())
}

fn options(work: &Work) -> Options {
    let session = SessionOptions { threads: work.threads, spinning: false };
    let predict = PredictOptions { top: None, threshold: None, limits: Limits::within(Bytes(work.memory)), session };
    Options { layer: work.layer.clone(), ..Options::usual(predict) }
}

fn start(prepared: Prepared, work: &Work, options: &Options) -> Result<Engine> {
    let wanted = work.gradcam.then(|| options.wanted());
    Engine::start(prepared, wanted.as_ref(), &options.predict.session)
}
