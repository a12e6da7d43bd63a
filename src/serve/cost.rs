//! What a request takes, measured in a child of the same program that does what a worker does: if that is too much, the child dies of it and not
//! the server.
use crate::explain::overlay::{Heat, Style, write_overlay};
use crate::explain::{Engine, Map, Wanted};
use crate::input::{Geometry, Limits, Stream, UprightRows, write_drawn_photo};
use crate::memory::{Phase, Status, be_killed_first, reset_peak, tune_malloc};
use crate::model::{Card, Prepared, SessionOptions};
use crate::predict::Read;
use crate::units::{Bytes, Size};
use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

/// The photo that is measured with: what phones take.
const PHOTO: Size = Size { width: 4000, height: 3000 };

/// What a child has to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The model, as `--model` takes it.
    pub model: PathBuf,
    /// Whether maps are made.
    pub gradcam: bool,
    /// Threads for the network.
    pub threads: usize,
    /// Memory that limits are derived from, in bytes.
    pub memory: u64,
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
    /// At most with two such requests at once.
    pub two: u64,
}

impl Cost {
    /// What a request adds to another one.
    pub fn further(&self) -> Bytes {
        Bytes(self.two.saturating_sub(self.one))
    }
}

/// Does the work and measures itself: in the child.
pub fn measure(work: &Work) -> Result<Cost> {
    be_killed_first();
    let prepared = Prepared::find(Some(&work.model))?;
    let idle = own()?.resident;
    let mut photo = Cursor::new(Vec::new());
    write_drawn_photo(&mut photo, PHOTO)?;
    let photo = photo.into_inner();
    tune_malloc(Phase::Running);
    start_over();
    let bench = Bench { card: prepared.card.clone(), limits: Limits::within(Bytes(work.memory)), photo };
    // As a request does it: the picture is read first.
    let read = bench.read()?;
    let wanted = work.gradcam.then(Wanted::default);
    let options = SessionOptions { threads: work.threads, spinning: false };
    let mut engine = Engine::start(prepared, wanted.as_ref(), &options)?;
    engine.model().identity()?;
    let map = engine.answer(&read.picture.tensor)?;
    bench.paint(read, map.as_ref())?;
    let first = own()?.peak;
    tune_malloc(Phase::Running);
    let loaded = own()?.resident;
    start_over();
    let engine = Mutex::new(engine);
    let together = Barrier::new(2);
    let request = || {
        let read = bench.read();
        // Both are where the other is: the worst case counts.
        together.wait();
        let in_turn = |read: &Read| engine.lock().unwrap_or_else(PoisonError::into_inner).answer(&read.picture.tensor);
        let answered = read.and_then(|read| in_turn(&read).map(|map| (read, map)));
        together.wait();
        answered.and_then(|(read, map)| bench.paint(read, map.as_ref()))
    };
    thread::scope(|scope| {
        let other = scope.spawn(request);
        let own = request();
        other.join().map_err(|_| anyhow!("a request panicked"))?.and(own)
    })?;
    let two = own()?.peak.0.max(first.0);
    Ok(Cost { idle: idle.0, loaded: loaded.0, one: first.0, two })
}

fn own() -> Result<Status> {
    Status::of(Path::new("/"), std::process::id())
}

/// Where the kernel does not set the peak back, it stays what it was: too high is safe.
fn start_over() {
    let _ = reset_peak(Path::new("/"), std::process::id());
}

struct Bench {
    card: Card,
    limits: Limits,
    photo: Vec<u8>,
}

impl Bench {
    fn read(&self) -> Result<Read> {
        Read::of(Stream::Memory(Cursor::new(self.photo.clone())), &self.card.input, &self.limits)
    }

    /// Paints as a worker does: what leaves is not held.
    fn paint(&self, mut read: Read, map: Option<&Map>) -> Result<()> {
        let Some(heat) = map.and_then(|map| Heat::new(map).ok()) else { return Ok(()) };
        let geometry = Geometry::of(read.picture.size, &self.card.input);
        let mut rows = UprightRows::open(read.photo.again(), &self.limits, UprightRows::BUFFER)?;
        write_overlay(&mut rows, &geometry, &heat, &Style::USUAL, io::sink(), None)
    }
}
