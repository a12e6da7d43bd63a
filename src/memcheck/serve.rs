//! The server itself as a child under the budget: it starts, takes requests one after the other, and then far more than it can answer.
use super::drive::{Answered, Endpoint};
use super::peaks::{Peaks, allowance};
use super::pipeline::Work;
use super::rig::{Measured, Rig};
use super::{Served, StagePeak};
use crate::memory::{self, Event, Heard, Teller};
use crate::units::Bytes;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// From the start of the server until it listens.
pub const LISTEN: &str = "serve: start";
/// Until it knows what a request takes: a child of its own measures that.
pub const MEASURE: &str = "serve: measure";
/// Requests, one after the other.
pub const REQUESTS: &str = "serve: requests";
/// More requests at once than are let in, with the largest picture that is taken.
pub const OVERLOAD: &str = "serve: overload";

/// Requests, one after the other: the pipeline's own many are before.
const IN_TURN: usize = 5;
/// Clients at once, more than work and wait.
const CLIENTS: usize = 16;
/// Answers that they get, all together: by then all places were taken for some time.
const ANSWERS: usize = 4;
/// Who was refused comes again after this time.
const AGAIN: Duration = Duration::from_millis(50);

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    in_turn: usize,
    overload: bool,
}

impl Load {
    /// All of it, or without the overload.
    pub fn of(work: &Work) -> Self {
        Self { in_turn: IN_TURN, overload: work.at_once }
    }

    /// A few requests, one after the other.
    pub fn few(in_turn: usize) -> Self {
        Self { in_turn, overload: false }
    }
}

/// A run of the server.
pub struct Serving {
    /// Its memory, stage by stage.
    pub measured: Measured,
    /// Requests that were answered.
    pub answered: usize,
    /// Requests that were refused for want of a place or of memory.
    pub refused: usize,
    /// Why it lets nobody in, if it does not.
    pub nobody: Option<String>,
}

/// A line of its log.
#[derive(Deserialize)]
struct Line {
    message: String,
    address: Option<SocketAddr>,
    why: Option<String>,
}

/// How far its start is, by its log.
enum News {
    Ready(SocketAddr),
    Nobody(String),
}

#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    refused: AtomicUsize,
    nobody: Mutex<Option<String>>,
}

/// Runs the server under a budget and loads it; none where it cannot be started here.
///
/// # Errors
/// When it cannot be run, fails by itself, or answers otherwise than it should; being killed is part of the run.
pub fn serve(rig: &mut Rig, work: &Work, load: Load, budget: memory::Budget) -> Result<Option<Serving>> {
    let Some(command) = rig.server(work).transpose()? else { return Ok(None) };
    let (to, news) = channel();
    let mut listens_at = None;
    let mut hear = |event: &Event| {
        let Event::Error(line) = event else { return Heard::Nothing };
        let Ok(line) = serde_json::from_str::<Line>(line) else { return Heard::Nothing };
        match (line.message.as_str(), line.address, line.why) {
            ("listening", Some(address), _) => {
                listens_at = Some(address);
                return Heard::Stage(MEASURE.to_owned());
            }
            ("ready", ..) => drop(listens_at.map(|address| to.send(News::Ready(address)))), // nobody waits any more
            ("no request fits", _, Some(why)) => drop(to.send(News::Nobody(why))),
            _ => {}
        }
        Heard::Nothing
    };
    let tally = Arc::new(Tally::default());
    let plan = Plan { pictures: pictures(work)?, gradcam: work.gradcam, load, tally: Arc::clone(&tally) };
    let drive = move |teller: &Teller| {
        teller.tell(match plan.drive(&news, teller) {
            Ok(()) => Event::Stop,
            Err(error) => Event::Failed(format!("{error:#}")),
        });
    };
    let measured = rig.measure(command, budget, LISTEN, false, Some(drive), &mut hear)?;
    if let Some(why) = &measured.run.failed {
        bail!("`dermai serve`: {why}");
    }
    if let (memory::Ended::Exited(code @ 1..), Some(said)) = (measured.run.outcome.ended, &measured.said) {
        bail!("`dermai serve` failed (exit status {code}): {}", said.strip_prefix("error: ").unwrap_or(said));
    }
    let nobody = tally.nobody.lock().unwrap_or_else(PoisonError::into_inner).take();
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    Ok(Some(Serving { measured, answered: count(&tally.answered), refused: count(&tally.refused), nobody }))
}

/// Files that are sent, with their names.
fn pictures(work: &Work) -> Result<Vec<(String, Vec<u8>)>> {
    let read = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
        Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes))
    };
    work.pictures.iter().take(IN_TURN).map(read).collect()
}

struct Plan {
    pictures: Vec<(String, Vec<u8>)>,
    gradcam: bool,
    load: Load,
    tally: Arc<Tally>,
}

impl Plan {
    fn drive(&self, news: &Receiver<News>, teller: &Teller) -> Result<()> {
        let address = loop {
            match news.recv_timeout(AGAIN) {
                Ok(News::Ready(address)) => break address,
                Ok(News::Nobody(why)) => {
                    *self.tally.nobody.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                    return Ok(());
                }
                // One that says nothing is ended by the patience of who watches it.
                Err(RecvTimeoutError::Timeout) if !teller.is_over() => {}
                Err(_) => return Ok(()),
            }
        };
        let what = if self.gradcam { "?gradcam=1" } else { "" };
        let endpoint = Endpoint::new(format!("http://{address}/predict{what}"), None);
        teller.tell(Event::Stage(REQUESTS.to_owned()));
        let (mut largest, mut refusal) = (None::<&(String, Vec<u8>)>, None);
        for picture in self.pictures.iter().cycle().take(self.load.in_turn) {
            match self.ask(&endpoint, picture, teller)? {
                None if largest.is_none_or(|largest| largest.1.len() < picture.1.len()) => largest = Some(picture),
                None => {}
                Some(why) => refusal = Some(why),
            }
        }
        let Some(largest) = largest else {
            *self.tally.nobody.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
            return Ok(());
        };
        if !self.load.overload {
            return Ok(());
        }
        teller.tell(Event::Stage(OVERLOAD.to_owned()));
        self.overload(&endpoint, largest, teller)
    }

    /// The server is over when enough was answered; the rest is not waited for.
    fn overload(&self, endpoint: &Endpoint, picture: &(String, Vec<u8>), teller: &Teller) -> Result<()> {
        let answered = AtomicUsize::new(0);
        let client = || loop {
            let asked = self.ask(endpoint, picture, teller);
            if answered.load(Ordering::Relaxed) >= ANSWERS || teller.is_over() {
                return Ok(());
            }
            asked?;
            if answered.fetch_add(1, Ordering::Relaxed) + 1 == ANSWERS {
                teller.tell(Event::Stop);
            }
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
        })
    }

    /// Asks until it is answered. Gives why the picture is refused for good, if it is.
    fn ask(&self, endpoint: &Endpoint, picture: &(String, Vec<u8>), teller: &Teller) -> Result<Option<String>> {
        while !teller.is_over() {
            match endpoint.send(picture)? {
                Answered::Well => {
                    self.tally.answered.fetch_add(1, Ordering::Relaxed);
                    teller.tell(Event::Step);
                    return Ok(None);
                }
                Answered::Otherwise(429 | 503, _) => {
                    self.tally.refused.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(AGAIN);
                }
                // It would be refused again.
                Answered::Otherwise(413, said) => {
                    self.tally.refused.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(said));
                }
                Answered::Otherwise(status, said) => bail!("it answers {status}: {said}"),
            }
        }
        Ok(None)
    }
}

/// What came of the runs of a server; none where there was none.
pub fn served(runs: &[Serving]) -> Option<Served> {
    let last = runs.last()?;
    let mut peaks = Peaks::default();
    for run in runs {
        peaks.add(&run.measured.run);
    }
    let highest = peaks.highest();
    Some(Served {
        peak: Bytes(highest.peak.0 + spare(&peaks, &highest, runs).0),
        kernel_peak: highest.peak,
        answered: last.answered,
        refused: last.refused,
        nobody: runs.iter().find_map(|run| run.nobody.clone()),
    })
}

/// What has to be added to the highest peak, where it is the server's. Of ten runs under a longer load one was 1 % above what these show, so
/// that once more is added what is added for chance.
pub fn spare(peaks: &Peaks, highest: &StagePeak, runs: &[Serving]) -> Bytes {
    let by_run = |run: &Serving| Bytes(allowance(&run.measured.run).0 * 2);
    runs.iter().map(by_run).max().unwrap_or_default().max(peaks.unseen(highest))
}
