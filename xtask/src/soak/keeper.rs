//! Keeps a server running, as a host does: what dies is started again, and counted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::cold::evict;
use crate::load::{Limit, Server, resident};
use crate::say::say;

/// How often it is looked whether the server lives.
const LOOK: Duration = Duration::from_millis(20);
/// A server that dies so often without having been ready is given up.
const TRIES: usize = 3;
/// It has to end within this time once it is told to; some more is waited, to see what it does.
pub const GRACE: Duration = Duration::from_secs(25);
const LONGER: Duration = Duration::from_secs(40);

/// What happened to a server.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Processes that the kernel killed for memory, those that a server started included.
    pub killed: u64,
    /// Servers that died of themselves, in words.
    pub deaths: Vec<String>,
    /// Starts that came to nothing, in words.
    pub failures: Vec<String>,
    /// The highest charge of a group in bytes.
    pub charged: u64,
    /// Resident memory of the first server when it was ready, and of the last one at the end.
    pub resident: [Option<u64>; 2],
    /// Highest resident memory of the last one.
    pub peak: Option<u64>,
    /// Time during which no server was ready.
    pub down: Duration,
    /// How the last one ended, in words, once it was told to.
    pub end: String,
    /// Whether that was as it should be.
    pub ended_well: bool,
}

/// Where the server is at the moment, if anywhere, and whether it all ends.
#[derive(Debug, Default)]
pub struct Place {
    address: Mutex<Option<SocketAddr>>,
    over: AtomicBool,
}

impl Place {
    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether clients shall go.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn set(&self, address: Option<SocketAddr>) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

/// What is kept running.
pub struct Kept<'a> {
    /// How it is started.
    pub command: &'a Command,
    /// What it is held to.
    pub limit: &'a Limit,
    /// What it maps and reads: out of the page cache, so that it is charged for it.
    pub files: &'a [PathBuf],
    /// For so long.
    pub time: Duration,
}

/// Runs servers, then has the last one end.
pub fn keep(kept: &Kept, place: &Place) -> Life {
    let begun = Instant::now();
    let mut life = Life::default();
    while begun.elapsed() < kept.time && life.failures.len() < TRIES {
        let asked = Instant::now();
        let started = evict(kept.files).and_then(|()| Server::start(kept.command, Some(kept.limit)));
        life.down += asked.elapsed();
        match started {
            Err(error) => life.fail(&error),
            Ok(server) => life.live(server, begun + kept.time, place),
        }
    }
    place.over.store(true, Ordering::Relaxed);
    life
}

impl Life {
    fn fail(&mut self, error: &anyhow::Error) {
        say(format_args!("soak: {error:#}"));
        self.failures.push(format!("{error:#}"));
    }

    /// One server, to its death or to the end of it all.
    fn live(&mut self, mut server: Server, until: Instant, place: &Place) {
        if self.resident[0].is_none() {
            self.resident[0] = resident(server.id());
        }
        place.set(Some(server.address));
        while Instant::now() < until {
            if let Some(status) = server.ended() {
                place.set(None);
                let death = format!("{status}: {}", server.said());
                say(format_args!("soak: the server died: {death}"));
                self.deaths.push(death);
                self.note(&server);
                return;
            }
            thread::sleep(LOOK);
        }
        self.resident[1] = resident(server.id());
        self.peak = server.peak();
        place.over.store(true, Ordering::Relaxed);
        self.finish(&mut server);
        self.note(&server);
        place.set(None);
    }

    fn finish(&mut self, server: &mut Server) {
        let told = Instant::now();
        server.terminate();
        let status = server.wait(LONGER);
        let took = told.elapsed();
        self.ended_well = status.is_some_and(|status| status.success()) && took <= GRACE;
        let how = status.map_or_else(|| "did not end".to_owned(), |status| status.to_string());
        self.end = format!("{how} after {:.1} s", took.as_secs_f64());
    }

    fn note(&mut self, server: &Server) {
        self.killed += server.killed();
        self.charged = self.charged.max(server.charged().unwrap_or_default());
    }
}
