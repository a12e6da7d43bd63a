//! Requests as a server answers them, with nobody who asks: what memory is measured with.
use super::Map;
use super::engine::Engine;
use super::overlay::{Heat, Style, write_overlay};
use super::run::Options;
use crate::input::{Geometry, UprightRows};
use crate::model::Card;
use crate::predict::Read;
use anyhow::{Result, anyhow};
use std::io::{self, Write};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

/// What every request needs.
#[derive(Debug)]
pub struct Rehearsal {
    /// The model's card.
    pub card: Card,
    /// How requests are answered.
    pub options: Options,
}

impl Rehearsal {
    /// Paints the map over its photo into `out`; a map that is flat is not painted.
    pub fn paint(&self, mut read: Read, map: Option<&Map>, out: impl Write) -> Result<()> {
        let Some(heat) = map.and_then(|map| Heat::new(map).ok()) else { return Ok(()) };
        let geometry = Geometry::of(read.picture.size, &self.card.input);
        let mut rows = UprightRows::open(read.photo.again(), &self.options.predict.limits, UprightRows::BUFFER)?;
        write_overlay(&mut rows, &geometry, &heat, &Style::USUAL, out, None)
    }

    /// One request; what leaves is not held, as a server does not hold it.
    pub fn answer(&self, engine: &mut Engine, read: Read) -> Result<()> {
        let map = engine.answer(&read.picture.tensor, &self.options)?;
        self.paint(read, map.as_ref(), io::sink())
    }

    /// Two requests at once, `rounds` times: pictures are read and maps painted at the same time, the network runs one at a time.
    pub fn two_at_once(&self, engine: Engine, rounds: usize, read: impl Fn() -> Result<Read> + Sync) -> Result<()> {
        let engine = Mutex::new(engine);
        // Both are where the other is: otherwise it is luck whether their peaks fall together, and the worst case is what counts.
        let together = Barrier::new(2);
        let one = || {
            let read = read();
            together.wait();
            let in_turn = |read: &Read| {
                let mut engine = engine.lock().unwrap_or_else(PoisonError::into_inner);
                engine.answer(&read.picture.tensor, &self.options)
            };
            let answered = read.and_then(|read| in_turn(&read).map(|map| (read, map)));
            together.wait();
            let painted = answered.and_then(|(read, map)| self.paint(read, map.as_ref(), io::sink()));
            together.wait();
            painted
        };
        // Every round of both threads is gone through, whatever happens: one waits for the other.
        let request = || (0..rounds).map(|_| one()).fold(Ok(()), Result::and);
        thread::scope(|scope| {
            let other = scope.spawn(request);
            let own = request();
            other.join().map_err(|_| anyhow!("a request panicked"))?.and(own)
        })
    }
}
