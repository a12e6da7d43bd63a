//! The pipeline that a deployment runs, in the order in which `predict`, `gradcam` and a server that loads its model at the first request run it:
//! what the measured child does.
use super::protocol::{Answering, Marks};
use crate::explain::overlay::{Heat, Style, write_overlay};
use crate::explain::{Engine, Map, Wanted};
use crate::input::{Geometry, Limits, Source, UprightRows};
use crate::memory::{Phase, tune_malloc};
use crate::model::{Card, Prepared, Runtime, SessionOptions};
use crate::predict::{Read, each};
use crate::units::Bytes;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

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
/// Painting the map over the photo, as a PNG.
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
    let card = prepared.card.clone();
    let limits = Limits::within(Bytes(work.memory));
    let bench = Bench { card, limits };
    let mut waiting = Some(prepared);
    let mut running = None;
    marks.stage(DECODE)?;
    // On the same threads as `predict`: malloc gives each an arena of its own.
    each(std::slice::from_ref(first), &bench.card.input, &limits, &mut (), |source, read| {
        let read = read.with_context(|| format!("`{}`", source.name()))?;
        marks.stage(RUNTIME)?;
        Runtime::load()?;
        marks.stage(MODEL)?;
        let prepared = waiting.take().context("there is one picture")?;
        let engine = running.insert(start(prepared, work)?);
        let model = engine.model();
        let by_portable = model.by_portable().map(str::to_owned);
        marks.note(&serde_json::to_string(&Answering { identity: model.identity()?.clone(), by_portable })?)?;
        marks.stage(if work.gradcam { EXPLAIN } else { INFER })?;
        let map = engine.answer(&read.picture.tensor)?;
        if work.gradcam {
            marks.stage(ENCODE)?;
            bench.paint(read, map.as_ref())?;
        } else {
            drop(read);
        }
        marks.stage(CLEANUP)
    })?;
    tune_malloc(Phase::Running);
    let mut engine = running.context("there is one picture")?;
    if work.requests > 0 {
        marks.stage(REQUESTS)?;
        // The first picture was answered just now.
        for picture in pictures.iter().cycle().skip(1).take(work.requests) {
            let read = bench.read(picture)?;
            let map = engine.answer(&read.picture.tensor)?;
            bench.paint(read, map.as_ref())?;
            tune_malloc(Phase::Running);
            marks.step()?;
        }
    }
    if work.at_once {
        marks.stage(TWO)?;
        two_at_once(&bench, first, engine)?;
    }
    Ok(())
}

/// What every request needs.
struct Bench {
    card: Card,
    limits: Limits,
}

impl Bench {
    fn read(&self, picture: &Source) -> Result<Read> {
        Read::from(picture, &self.card.input, &self.limits).with_context(|| format!("`{}`", picture.name()))
    }

    /// Paints the map over its photo into a file, as `gradcam` does, and gives the file; a map that is flat is not painted.
    fn paint(&self, mut read: Read, map: Option<&Map>) -> Result<Option<File>> {
        let Some(heat) = map.and_then(|map| Heat::new(map).ok()) else { return Ok(None) };
        let geometry = Geometry::of(read.picture.size, &self.card.input);
        let mut rows = UprightRows::open(read.photo.again(), &self.limits, UprightRows::BUFFER)?;
        let file = tempfile::tempfile().context("a temporary file cannot be made for the overlay")?;
        let mut out = BufWriter::new(file);
        write_overlay(&mut rows, &geometry, &heat, &Style::USUAL, &mut out, None)?;
        let file = out.into_inner().context("the overlay cannot be written")?;
        Ok(Some(file))
    }
}

fn start(prepared: Prepared, work: &Work) -> Result<Engine> {
    let options = SessionOptions { threads: work.threads, spinning: false };
    let wanted = work.gradcam.then(|| Wanted { layer: work.layer.clone(), ..Wanted::default() });
    Engine::start(prepared, wanted.as_ref(), &options)
}

fn two_at_once(bench: &Bench, picture: &Source, engine: Engine) -> Result<()> {
    let engine = Mutex::new(engine);
    // Both are where the other is: otherwise it is luck whether their peaks fall together, and the worst case is what counts.
    let together = Barrier::new(2);
    let one = || {
        let read = bench.read(picture);
        together.wait();
        let in_turn = |read: &Read| engine.lock().unwrap_or_else(PoisonError::into_inner).answer(&read.picture.tensor);
        let answered = read.and_then(|read| in_turn(&read).map(|map| (read, map)));
        together.wait();
        let painted = answered.and_then(|(read, map)| bench.paint(read, map.as_ref()));
        together.wait();
        painted.map(drop)
    };
    // Every round of both threads is gone through, whatever happens: one waits for the other.
    let request = || (0..ROUNDS).map(|_| one()).fold(Ok(()), Result::and);
    thread::scope(|scope| {
        let other = scope.spawn(request);
        let own = request();
        other.join().map_err(|_| anyhow::anyhow!("a request panicked"))?.and(own)
    })
}
