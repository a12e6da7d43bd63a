//! Memory of the server before its first request, and what a thousand of them leave behind.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::figure::{Figure, Target, Unit};
use super::sides::{Bench, megabytes};
use super::{Outcome, Topic};
use crate::load::{self, Asked, Connection, Expected, Picture, Server, head, resident};
use crate::say::say;

pub const TOPIC: Topic = Topic {
    name: "serve-growth",
    about: "a thousand requests, every second one with an overlay, photos of 12 megapixels among them: what memory grows by; memory before",
    run,
};

const REQUESTS: usize = 1000;
/// The first ones load the model and bring the allocator to its size.
const FIRST: usize = 100;
/// So many pictures are small for each photo of 12 megapixels.
const SMALL: usize = 3;
/// Memory is taken twice with so much time between, until it is the same: work ends after its answer.
const SETTLING: Duration = Duration::from_millis(200);
const LOOKS: usize = 50;

fn run(bench: &Bench) -> Result<Outcome> {
    let workshop = bench.workshop()?;
    let pictures = Picture::draw(workshop.path())?;
    let model = bench.default_model();
    let known = pictures.into_iter().map(|picture| {
        let expected = picture.by_program(&bench.binary, &model, bench.threads)?;
        Ok((picture, expected))
    });
    let known = known.collect::<Result<Vec<_>>>()?;
    let server = Server::start(&load::dermai(&bench.binary, &model, bench.threads), None)?;
    let idle = settled(&server)?;
    let mut after = Vec::new();
    for number in 0..REQUESTS {
        ask(&server, &known, number)?;
        if (number + 1) % FIRST == 0 {
            after.push(settled(&server)?);
        }
    }
    let shown = after.iter().map(|mb| format!("{mb:.2}")).collect::<Vec<_>>().join(" ");
    say(format_args!("bench: resident MB after each {FIRST} requests: {shown}"));
    let grown = after.last().zip(after.first()).map_or(f64::NAN, |(last, first)| last - first);
    let peak = Figure::new("highest resident memory", Unit::Megabytes, vec![megabytes(server.peak())]);
    let growth = format!("growth of resident memory from request {FIRST} to request {REQUESTS}");
    Ok(Outcome::Figures(vec![
        Figure::new("resident memory before the first request", Unit::Megabytes, vec![idle]).target(Target::Most(12.0)),
        Figure::new(growth, Unit::Megabytes, vec![grown]).target(Target::Most(1.0)),
        peak,
    ]))
}

/// One request, whose answer has to be right.
fn ask(server: &Server, known: &[(Picture, Expected)], number: usize) -> Result<()> {
    let wants_large = number.is_multiple_of(SMALL + 1);
    let fitting: Vec<_> = known.iter().filter(|(picture, _)| picture.is_large == wants_large).collect();
    let (picture, expected) = fitting.get(number / (SMALL + 1) % fitting.len().max(1)).context("no picture")?;
    // Small pictures and photos have both.
    let asked = if number / (SMALL + 1) % 2 == number % 2 { Asked::Map } else { Asked::Plain };
    let head = head("POST", asked.path(), &[("Content-Type", "image/jpeg")], picture.bytes.len() as u64);
    let reply = Connection::open(server.address)?.ask(&head, &picture.bytes).map_err(|broken| anyhow!(broken.why))?;
    ensure!(reply.status == 200, "request {number}: status {}", reply.status);
    expected.check(asked, &reply.body).map_err(|why| anyhow!("request {number}: {why}"))
}

/// Resident MB once nothing works any more.
fn settled(server: &Server) -> Result<f64> {
    let look = || resident(server.id()).context("the server's memory cannot be read");
    let mut before = look()?;
    for _ in 0..LOOKS {
        thread::sleep(SETTLING);
        let now = look()?;
        if now == before {
            break;
        }
        before = now;
    }
    Ok(megabytes(Some(before)))
}
