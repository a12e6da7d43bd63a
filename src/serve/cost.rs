//! What a request takes, measured in a child of the same program that does what a worker does: if that is too much, the child dies of it and not
//! the server.
use crate::explain::cam::Method;
use crate::explain::{Engine, Options, Rehearsal};
use crate::input::{Limits, Stream, write_drawn_photo};
use crate::memory::{Phase, Status, be_killed_first, reset_peak, tune_malloc};
use crate::model::{Prepared, SessionOptions};
use crate::predict::{Options as PredictOptions, Read};
use crate::units::{Bytes, Size};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

/// The photo that is measured with is as wide as one of a phone, 4000 by 3000, and has a part of its rows: rows stream, so the others would take
/// time and no memory. Its file is as long.
const PHOTO: Size = Size { width: 4000, height: 3000 / PART };
const PART: u32 = 6;

/// Memory is looked at this often.
const LOOK: Duration = Duration::from_millis(2);

/// What a child has to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The model, as `--model` takes it.
    pub model: PathBuf,
    /// Whether maps are made.
    pub gradcam: bool,
    /// At which layer; none: the card's, or the last feature map.
    pub layer: Option<String>,
    /// How maps are made.
    pub method: Method,
    /// Threads for the network.
    pub threads: usize,
    /// Memory that limits are derived from, in bytes.
    pub memory: u64,
    /// Memory that it may take itself, in bytes: where it takes more it is ended.
    pub most: u64,
    /// Whether two requests at once are measured, too.
    pub at_once: bool,
}

/// Resident memory of a process that serves one model (`VmRSS` and `VmHWM` of `proc_pid_status(5)`), in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Before anything is loaded.
    pub idle: u64,
    /// With the model loaded, between requests.
    pub loaded: u64,
    /// At most while the model is loaded and one photo of 12 megapixels is answered, its body included.
    pub one: u64,
    /// At most with two such requests at once while the model stays loaded; as `one` where that was not asked for, and more than there is where
    /// it is more.
    pub two: u64,
    /// Time of such a request without loading, in microseconds.
    pub micros: u64,
}

impl Cost {
    /// What the model takes while it is loaded.
    pub fn model(&self) -> Bytes {
        Bytes(self.loaded.saturating_sub(self.idle))
    }

    /// What loading it, or a request, takes beyond that.
    pub fn work(&self) -> Bytes {
        Bytes(self.one.saturating_sub(self.loaded.max(self.idle)))
    }

    /// What a request adds to another one, which may be loading the model just now.
    pub fn further(&self) -> Bytes {
        Bytes(self.two.saturating_sub(self.one).max(self.two.saturating_sub(self.loaded) / 2))
    }
}

/// Does the work and measures itself: in the child. Tells what it knows after each step: a child that takes too much does not come to the next.
pub fn measure(work: &Work, tell: &mut dyn FnMut(&Cost) -> Result<()>) -> Result<()> {
    be_killed_first();
    end_above(Bytes(work.most));
    let prepared = Prepared::find(Some(&work.model))?;
    let idle = Status::own()?.resident;
    let mut photo = Cursor::new(Vec::new());
    write_drawn_photo(&mut photo, PHOTO)?;
    let mut photo = photo.into_inner();
    // Decoders read no further than to the end of the picture.
    photo.resize(photo.len() * PART as usize, 0);
    tune_malloc(Phase::Running);
    start_over();
    let session = SessionOptions { threads: work.threads, spinning: false };
    let predict = PredictOptions { top: None, threshold: None, limits: Limits::within(Bytes(work.memory)), session };
    let options = Options { layer: work.layer.clone(), method: work.method, ..Options::usual(predict) };
    let rehearsal = Rehearsal { card: prepared.card.clone(), options };
    let read = || {
        let body = Stream::Memory(Cursor::new(photo.clone()));
        Read::of(body, &rehearsal.card.input, &rehearsal.options.predict.limits)
    };
    // As a request does it: the picture is read first.
    let begun = Instant::now();
    let first = read()?;
    let reading = begun.elapsed();
    let wanted = work.gradcam.then(|| rehearsal.options.wanted());
    let mut engine = Engine::start(prepared, wanted.as_ref(), &session)?;
    engine.model().identity()?;
    let begun = Instant::now();
    let map = engine.answer(&first.picture.tensor, &rehearsal.options)?;
    let network = begun.elapsed();
    let begun = Instant::now();
    rehearsal.paint(first, map.as_ref(), io::sink())?;
    let micros = (network + (reading + begun.elapsed()) * PART).as_micros() as u64;
    let one = Status::own()?.peak.0;
    tune_malloc(Phase::Running);
    let loaded = Status::own()?.resident.0;
    let cost = Cost { idle: idle.0, loaded, one, two: one, micros };
    if !work.at_once {
        return tell(&cost);
    }
    // Until that is measured, nothing is enough for it.
    tell(&Cost { two: one + work.memory, ..cost })?;
    start_over();
    rehearsal.two_at_once(engine, 1, read)?;
    tell(&Cost { two: Status::own()?.peak.0, ..cost })
}

/// Ends this process as the kernel would, before it has to: an orchestrator may have it kill all of a container instead (`memory.oom.group`).
fn end_above(most: Bytes) {
    thread::spawn(move || {
        while Status::own().is_ok_and(|status| status.resident <= most) {
            thread::sleep(LOOK);
        }
        process::abort();
    });
}

/// Where the kernel does not set the peak back, it stays what it was: too high is safe.
fn start_over() {
    let _ = reset_peak(Path::new("/"), process::id());
}
