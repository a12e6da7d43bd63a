//! One run of the load: clients, someone who asks for health, and the server between them.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::client::{AGAIN, Client, Subject};
use super::keeper::{Kept, Place, keep};
use super::mix::Chance;
use super::report::Report;
use super::tally::{End, Tally};
use crate::load::{Connection, Limit, corrected, head};
use crate::say::say;

/// Nobody is there: look again.
const LOOK: Duration = Duration::from_millis(50);
/// How often health is asked for.
const BEAT: Duration = Duration::from_millis(50);

/// What all runs have in common.
pub struct Soak {
    /// Requests that our server works on at once under the limit.
    pub workers: usize,
    /// Of the server's memory.
    pub limit: Limit,
    /// How long the load lasts.
    pub time: Duration,
}

impl Soak {
    /// Loads a server that is started by `command`.
    pub fn run(&self, command: &Command, clients: usize, subject: &Subject) -> Report {
        say(format_args!("soak: {}", subject.name));
        let (place, tally) = (Place::default(), Tally::default());
        let (life, health) = thread::scope(|scope| {
            for client in 0..clients {
                let (place, tally) = (&place, &tally);
                scope.spawn(move || work(Client { subject, chance: Chance::of(client) }, place, tally));
            }
            let health = scope.spawn(|| probe(&place));
            let life = keep(&Kept { command, limit: &self.limit, files: &subject.files, time: self.time }, &place);
            (life, health.join().unwrap_or_default())
        });
        let seconds = self.time.as_secs_f64();
        Report {
            name: subject.name,
            clients,
            workers: self.workers,
            seconds,
            life,
            counts: tally.counts(),
            health: health.times,
            unhealthy: health.failed,
        }
    }
}

/// One client, until it is over.
fn work(mut client: Client, place: &Place, tally: &Tally) {
    while !place.is_over() {
        let Some(address) = place.address() else {
            thread::sleep(LOOK);
            continue;
        };
        let (act, end) = client.step(address);
        tally.add(act, &end);
        if matches!(end, End::Refused(_) | End::Down | End::Broken(_)) {
            thread::sleep(AGAIN);
        }
    }
}

/// How long answers about health took.
#[derive(Debug, Default)]
struct Health {
    times: Vec<Duration>,
    /// Questions without an answer while a server was there.
    failed: u64,
}

/// Asks for health on a new connection each time, as a host does.
fn probe(place: &Place) -> Health {
    let mut health = Health::default();
    while !place.is_over() {
        let begun = Instant::now();
        if let Some(address) = place.address() {
            match healthy(address) {
                true => health.times.extend(corrected(&[begun.elapsed()], BEAT)),
                // It may have died in between, or be told to end.
                false if place.address() == Some(address) && !place.is_over() => health.failed += 1,
                false => {}
            }
        }
        thread::sleep(BEAT.saturating_sub(begun.elapsed()));
    }
    health
}

fn healthy(address: SocketAddr) -> bool {
    let head = head("GET", "/health", &[("Connection", "close")], 0);
    let asked = Connection::open(address).ok().and_then(|mut connection| connection.ask(&head, &[]).ok());
    asked.is_some_and(|reply| reply.status == 200)
}
