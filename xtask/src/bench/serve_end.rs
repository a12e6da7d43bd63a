//! SIGTERM under load: what was accepted is answered, and the server ends in time.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::figure::{Figure, Target, Unit};
use super::sides::Bench;
use super::{Outcome, Topic};
use crate::load::{self, Asked, Connection, Expected, Picture, Server, head};
use crate::say::say;

pub const TOPIC: Topic = Topic {
    name: "serve-end",
    about: "SIGTERM under load, 20 times: accepted requests that are lost, exit status, time until the end",
    run,
};

const TIMES: u32 = 20;
const CLIENTS: usize = 8;
/// The host kills after 30.
const SECONDS: u64 = 25;
/// The load lasts so long before the first end, and a step longer before each other one: ends come at any point of a request.
const LOADING: Duration = Duration::from_millis(400);
const STEP: Duration = Duration::from_millis(17);

/// What a client saw of one request.
#[derive(Debug)]
struct Sight {
    /// When all of it was sent, on a connection of its own.
    sent: Option<Instant>,
    /// Whether an answer began.
    begun: bool,
    /// Whether it was whole and, if it was one of status 200, right.
    whole: Result<u16, String>,
}

/// What one end came to.
#[derive(Debug)]
struct Ending {
    lost: u64,
    well: bool,
    took: Duration,
}

fn run(bench: &Bench) -> Result<Outcome> {
    let workshop = bench.workshop()?;
    let model = bench.default_model();
    let known = Picture::draw(workshop.path())?.into_iter().map(|picture| {
        let expected = picture.by_program(&bench.binary, &model, bench.threads)?;
        Ok((picture, expected))
    });
    let known = known.collect::<Result<Vec<_>>>()?;
    let mut endings = Vec::new();
    for time in 0..TIMES {
        let server = Server::start(&load::dermai(&bench.binary, &model, bench.threads), None)?;
        endings.push(end(server, &known, LOADING + STEP * time)?);
    }
    let all = endings.iter().map(|ending| format!("{:.1}", ending.took.as_secs_f64())).collect::<Vec<_>>().join(" ");
    say(format_args!("bench: seconds from SIGTERM to the end: {all}"));
    let count = |fits: fn(&Ending) -> u64| vec![endings.iter().map(fits).sum::<u64>() as f64];
    let well = format!("ends of {TIMES} with exit status 0 within {SECONDS} s");
    let took = endings.iter().map(|ending| ending.took.as_secs_f64() * 1e3).fold(f64::NAN, f64::max);
    Ok(Outcome::Figures(vec![
        Figure::new(format!("accepted requests lost in {TIMES} ends under load"), Unit::Count, count(|e| e.lost))
            .target(Target::Most(0.0)),
        Figure::new(well, Unit::Count, count(|ending| ending.well.into())).target(Target::Least(f64::from(TIMES))),
        Figure::new("longest time from SIGTERM to the end", Unit::Milliseconds, vec![took]),
    ]))
}

/// Loads a server and ends it meanwhile.
fn end(mut server: Server, known: &[(Picture, Expected)], after: Duration) -> Result<Ending> {
    let (over, sights) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let address = server.address;
    let (told, status) = thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (over, sights) = (&over, &sights);
            scope.spawn(move || {
                let mut number = client;
                while !over.load(Ordering::Relaxed) {
                    // Once nobody listens any more, nobody will: asking on would take the processors from what is still answered.
                    let Some(sight) = ask(address, &known[number % known.len()], number) else { return };
                    number += 1;
                    if let Ok(mut sights) = sights.lock() {
                        sights.push(sight);
                    }
                }
            });
        }
        thread::sleep(after);
        let told = Instant::now();
        server.terminate();
        let status = server.wait(Duration::from_secs(SECONDS));
        over.store(true, Ordering::Relaxed);
        (told, status)
    });
    let took = told.elapsed();
    let sights = sights.into_inner().map_err(|_| anyhow!("a client panicked"))?;
    if status.is_none() {
        say(format_args!("bench: the server did not end within {SECONDS} s"));
        return Ok(Ending { lost: lost(&sights, told, 0), well: false, took });
    }
    let lost = lost(&sights, told, server.answered());
    Ok(Ending { lost, well: status.is_some_and(|status| status.success()), took })
}

/// One request on a connection of its own; nothing where nobody listens.
fn ask(address: SocketAddr, (picture, expected): &(Picture, Expected), number: usize) -> Option<Sight> {
    let asked = if number.is_multiple_of(3) { Asked::Map } else { Asked::Plain };
    let head = head("POST", asked.path(), &[("Content-Type", "image/jpeg")], picture.bytes.len() as u64);
    let mut connection = Connection::open(address).ok()?;
    let sent = connection.write(head.as_bytes()).and_then(|()| connection.write(&picture.bytes)).ok();
    let sent = sent.map(|()| Instant::now());
    Some(match connection.read() {
        Err(broken) => Sight { sent, begun: broken.begun, whole: Err(broken.why) },
        Ok(reply) if reply.status == 200 => {
            let whole = expected.check(asked, &reply.body).map(|()| 200);
            Sight { sent, begun: true, whole }
        }
        Ok(reply) => Sight { sent, begun: true, whole: Ok(reply.status) },
    })
}

/// Requests that were accepted and not answered: sent as a whole before the server was `told` to end, or answered in part, or answered by the
/// server's log only. What came later may find the door closed.
fn lost(sights: &[Sight], told: Instant, answered: u64) -> u64 {
    let accepted = |sight: &&Sight| sight.begun || sight.sent.is_some_and(|sent| sent < told);
    let lost = sights.iter().filter(accepted).filter_map(|sight| sight.whole.as_ref().err());
    let lost = lost.inspect(|why| say(format_args!("bench: lost: {why}"))).count() as u64;
    let whole = sights.iter().filter(|sight| sight.whole.is_ok()).count() as u64;
    let broken = sights.iter().filter(|sight| sight.begun && sight.whole.is_err()).count() as u64;
    lost + answered.saturating_sub(whole + broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_accepted_can_be_lost() {
        let told = Instant::now();
        let (before, later) = (told.checked_sub(Duration::from_secs(1)), told.checked_add(Duration::from_secs(1)));
        let sight = |sent, begun, whole: Result<u16, &str>| Sight { sent, begun, whole: whole.map_err(str::to_owned) };
        let answered = [sight(before, true, Ok(200)), sight(later, true, Ok(503)), sight(None, true, Ok(413))];
        assert_eq!(lost(&answered, told, 3), 0);
        // The log knows of one more.
        assert_eq!(lost(&answered, told, 4), 1);
        let late = [sight(later, false, Err("closed")), sight(None, false, Err("closed"))];
        assert_eq!(lost(&late, told, 0), 0);
        let early =
            [sight(before, false, Err("closed")), sight(later, true, Err("half")), sight(None, true, Err("half"))];
        assert_eq!(lost(&early, told, 2), 3);
    }
}
