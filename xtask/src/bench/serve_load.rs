//! Throughput and waiting times of `POST /predict`, beside a server that one would write in Python with `FastAPI`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::figure::{Figure, Target, Unit};
use super::python::Python;
use super::sides::{Bench, megabytes};
use super::stats::alternate;
use super::{Outcome, Topic};
use crate::load::{self, Asked, Connection, Expected, PYTHON, Picture, Server, head, percentile};

pub const TOPIC: Topic = Topic {
    name: "serve-load",
    about: "POST /predict at concurrency 1, 2 and 8, a small picture and a photo of 12 megapixels: throughput, waiting times, memory",
    run,
};

/// Clients at once.
const CLIENTS: [usize; 3] = [1, 2, 8];
/// Requests of one run, small pictures and photos.
const REQUESTS: [usize; 2] = [120, 32];

/// What one run saw.
struct Load {
    /// Answers a second.
    throughput: f64,
    times: Vec<Duration>,
}

/// What both servers are asked about.
struct Question<'a> {
    picture: &'a Picture,
    /// The right answers of each; Python decodes a large photo in full, we do not.
    expected: [Expected; 2],
    clients: usize,
    requests: usize,
}

fn run(bench: &Bench) -> Result<Outcome> {
    let workshop = bench.workshop()?;
    let pictures = Picture::draw(workshop.path())?;
    let model = bench.default_model();
    let python = Python::set_up(&bench.target.join("bench-serve-venv"), &PYTHON)?;
    let ours = Server::start(&load::dermai(&bench.binary, &model, bench.threads), None)?;
    let theirs = Server::start(&load::python(&python, &model, bench.threads)?, None)?;
    let mut figures = Vec::new();
    for (is_large, requests) in [false, true].into_iter().zip(REQUESTS) {
        let picture = pictures.iter().find(|picture| picture.is_large == is_large);
        let picture = picture.ok_or_else(|| anyhow!("no such picture was drawn"))?;
        let expected = [picture.by_program(&bench.binary, &model, bench.threads)?, picture.by_server(theirs.address)?];
        for clients in CLIENTS {
            let question = Question { picture, expected: expected.clone(), clients, requests };
            figures.extend(compare(bench, &question, [&ours, &theirs])?);
        }
    }
    let [ours, theirs] = [&ours, &theirs].map(|server| vec![megabytes(server.peak())]);
    let memory = Figure::new("the server's highest resident memory, all runs", Unit::Megabytes, ours).beside(theirs);
    figures.push(memory.target(Target::RatioMost(0.3)));
    Ok(Outcome::Figures(figures))
}

/// Both by turns.
fn compare(bench: &Bench, question: &Question, [ours, theirs]: [&Server; 2]) -> Result<Vec<Figure>> {
    let size = if question.picture.is_large { "12 megapixels" } else { "a small picture" };
    let what = format!("{size}, {} at once", question.clients);
    let [first, second] = &question.expected;
    let (ours, theirs) =
        alternate(&what, bench.runs, || question.ask(ours.address, first), || question.ask(theirs.address, second))?;
    let of = |loads: &[Load], value: fn(&Load) -> f64| loads.iter().map(value).collect::<Vec<_>>();
    let figure = |name: String, unit, value: fn(&Load) -> f64| {
        Figure::new(name, unit, of(&ours, value)).beside(of(&theirs, value))
    };
    let threads = bench.threads;
    Ok(vec![
        figure(format!("{what}: throughput ({threads} threads)"), Unit::ImagesPerSecond, |load| load.throughput)
            .target(Target::RatioLeast(1.0)),
        figure(format!("{what}: half within"), Unit::Milliseconds, |load| percentile(&load.times, 0.5)),
        figure(format!("{what}: 99 of 100 within"), Unit::Milliseconds, |load| percentile(&load.times, 0.99)),
    ])
}

impl Question<'_> {
    /// Clients that each ask again as soon as they are answered, on a connection that stays.
    fn ask(&self, address: SocketAddr, expected: &Expected) -> Result<Load> {
        let left = AtomicUsize::new(self.requests);
        let begun = Instant::now();
        let times = thread::scope(|scope| {
            let client = || scope.spawn(|| self.client(address, expected, &left));
            let clients: Vec<_> = (0..self.clients).map(|_| client()).collect();
            let times = clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?);
            times.collect::<Result<Vec<_>>>()
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Load { throughput: self.requests as f64 / seconds, times: times.concat() })
    }

    fn client(&self, address: SocketAddr, expected: &Expected, left: &AtomicUsize) -> Result<Vec<Duration>> {
        let body = &self.picture.bytes;
        let head = head("POST", "/predict", &[("Content-Type", "image/jpeg")], body.len() as u64);
        let mut connection = Connection::open(address)?;
        let mut times = Vec::new();
        let take = |left: usize| left.checked_sub(1);
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            let begun = Instant::now();
            let reply = connection.ask(&head, body).map_err(|broken| anyhow!("no whole answer: {}", broken.why))?;
            times.push(begun.elapsed());
            ensure!(reply.status == 200, "status {}: {}", reply.status, String::from_utf8_lossy(&reply.body));
            expected.check(Asked::Plain, &reply.body).map_err(|why| anyhow!(why))?;
            if !reply.stays {
                connection = Connection::open(address)?;
            }
        }
        Ok(times)
    }
}
