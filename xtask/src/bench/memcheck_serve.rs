//! The peak that `memcheck` predicts of the server, beside the kernel's own figure for a server that is loaded from outside, with another photo.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;

use super::child::measure;
use super::figure::{Figure, Target, Unit};
use super::memcheck::{Scene, Subject};
use super::memcheck_peak::{MOST_RUNS, RIGHT, RUNS, Ratios};
use super::sides::{Bench, megabytes};
use super::{Outcome, Topic};
use crate::load::{self, Asked, Connection, Limit, Picture, Server, head};
use crate::say::say;

pub const TOPIC: Topic = Topic {
    name: "memcheck-serve",
    about: "the predicted peak of the server beside a fresh cgroup's: three models, photos of 12 megapixels, far more requests than it lets in, ten cold runs",
    run,
};

/// In MB: what a small host has, and what is just enough for the default model.
const AMPLE: u64 = 512;
const TIGHT: u64 = 96;
/// For the network and for requests: those of a host with one processor, and of one with two.
const PROCESSORS: [usize; 2] = [1, 2];
/// Requests one after the other, before there are too many: a server has answered some by then.
const BEFORE: usize = 3;
/// Clients at once, and answers that each gets.
const CLIENTS: usize = 16;
const ANSWERS: usize = 2;
/// Who was refused comes again after this time.
const AGAIN: Duration = Duration::from_millis(50);

#[derive(Deserialize)]
struct Report {
    serve: Option<Served>,
}

#[derive(Deserialize)]
struct Served {
    peak_bytes: u64,
    answered: u64,
    refused: u64,
}

fn run(bench: &Bench) -> Result<Outcome> {
    let scene = match Scene::set(bench)? {
        Ok(scene) => scene,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let mut figures = Vec::new();
    for model in &scene.models {
        figures.extend(compare(bench, &scene, model, AMPLE, PROCESSORS[0])?);
    }
    figures.extend(compare(bench, &scene, &scene.models[0], AMPLE, PROCESSORS[1])?);
    figures.extend(compare(bench, &scene, &scene.models[0], TIGHT, PROCESSORS[1])?);
    Ok(Outcome::Figures(figures))
}

/// One prediction and what the kernel says to it.
fn compare(bench: &Bench, scene: &Scene, model: &Subject, budget: u64, processors: usize) -> Result<Vec<Figure>> {
    let workshop = bench.workshop()?;
    let drawn = Picture::draw(workshop.path())?;
    let photos: Vec<_> = drawn.iter().filter(|picture| picture.is_large).collect();
    let [photo, .., other] = &photos[..] else { bail!("two photos are drawn") };
    // Nine bodies at once are in memory, so that a shorter one would make a lower peak; what follows the picture is not looked at.
    ensure!(other.bytes.len() <= photo.bytes.len(), "the other photo is the longer one");
    let mut other = other.bytes.clone();
    other.resize(photo.bytes.len(), 0);
    let threads = processors.to_string();
    let mut command = bench.dermai();
    command.args(["memcheck", "--requests", "3", "--json", "--threads", &threads]);
    command.args(["--budget", &format!("{budget}MB"), "--model"]).arg(&model.folder).arg("--image").arg(photo.path());
    let report = measure(&mut command)?.expect(0, &command)?.stdout;
    let report: Report = serde_json::from_str(&report).context("`dermai memcheck --json` gave another format")?;
    let Served { peak_bytes, answered, refused } = report.serve.context("`memcheck` measured no server")?;
    let what = format!("{}, {budget} MB, {processors} at once", model.name);
    let limit = Limit { cgroups: scene.cgroups.clone(), bytes: budget << 20 };
    let mut command = load::dermai(&bench.binary, &model.folder, processors);
    command.args(["--workers", &threads]);
    let cold = || {
        scene.chill(model)?;
        let mut server = Server::start(&command, Some(&limit))?;
        overload(&server, &other)?;
        ensure!(server.killed() == 0 && server.ended().is_none(), "the server was killed: {}", server.said());
        server.charged().context("the kernel gives no peak")
    };
    let cold = std::iter::repeat_with(cold).take(RUNS).collect::<Result<Vec<_>>>()?;
    let all = cold.iter().map(|peak| format!("{:.2}", megabytes(Some(*peak)))).collect::<Vec<_>>().join(" ");
    let predicted = megabytes(Some(peak_bytes));
    say(format_args!(
        "bench: {what}: {predicted:.2} MB predicted ({answered} answered, {refused} refused); runs from outside: {all}"
    ));
    let ratios = Ratios::of(&cold, peak_bytes);
    let name = format!(
        "{what}: kernel's peak over predicted, highest of {RUNS} runs (lowest {:.3}; {predicted:.2} MB predicted)",
        ratios.lowest
    );
    let right = format!("{what}: runs of {RUNS} with a ratio of {RIGHT:.2} to 1.00");
    Ok(vec![
        Figure::new(name, Unit::Share, vec![ratios.highest]).target(Target::Most(1.0)),
        Figure::new(right, Unit::Count, vec![ratios.right as f64]).target(Target::Least(MOST_RUNS)),
    ])
}

/// A few requests, then more at once than it lets in, each again until it was answered.
fn overload(server: &Server, photo: &[u8]) -> Result<()> {
    let head = head("POST", Asked::Map.path(), &[("Content-Type", "image/jpeg")], photo.len() as u64);
    let ask = || loop {
        let mut connection = Connection::open(server.address)?;
        let reply = connection.ask(&head, photo).map_err(|broken| anyhow!(broken.why))?;
        match reply.status {
            200 => return Ok(()),
            429 => thread::sleep(AGAIN),
            other => bail!("`/predict` answered {other}"),
        }
    };
    (0..BEFORE).try_for_each(|_| ask())?;
    let client = || (0..ANSWERS).try_for_each(|_| ask());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| Err(anyhow!("a client panicked"))))
    })
}
