//! A contact sheet: thumbnails of a folder's overlays in one PNG, written a row of cells at a time.
use super::legend::{INK, percent};
use super::text::{Keep, Line};
use super::thumbnail::Thumbnail;
use super::write;
use crate::units::Size;
use anyhow::{Context, Result};
use png::{BitDepth, ColorType, StreamWriter};
use std::io::Write;

/// Cells beside each other.
const COLUMNS: u32 = 6;
/// White around a cell.
const GAP: u32 = 12;
/// Height of a line of text.
const TEXT: u32 = 18;
/// A cell: the thumbnail's room, and two lines.
const CELL: Size = Size { width: Thumbnail::ROOM.width, height: Thumbnail::ROOM.height + 2 * TEXT + 4 };
/// Where there is no thumbnail.
const EMPTY: [u8; 3] = [224; 3];

/// One overlay on a sheet.
#[derive(Debug)]
pub struct Cell {
    /// Stands first; its end is kept where room is short. A file's name without its folder reads best.
    pub name: String,
    /// Stands second: the class, or why there is no overlay.
    pub note: String,
    /// The class's probability, 0 to 1; stands behind it.
    pub probability: Option<f32>,
    /// None, or one that was not given all its rows: a grey field.
    pub thumbnail: Option<Thumbnail>,
}

/// A contact sheet on its way into a PNG; holds one row of cells.
pub struct Sheet<W: Write + 'static> {
    png: StreamWriter<'static, W>,
    /// `[GAP + CELL.height, width, 3]`.
    band: Vec<u8>,
    room: usize,
    announced: usize,
    added: usize,
}

/// What a sheet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Cells on it.
    pub shown: usize,
    /// Cells that had no room: the picture says so, and the caller should.
    pub left_out: usize,
}

impl<W: Write + 'static> Sheet<W> {
    /// The most cells on a sheet.
    pub const MOST: usize = 600;

    /// Begins a sheet for `cells` overlays; a PNG's height stands at its start, so the number has to be known.
    pub fn start(out: W, cells: usize) -> Result<Self> {
        let room = cells.min(Self::MOST);
        let columns = COLUMNS.min(room.max(1) as u32);
        let rows = room.max(1).div_ceil(COLUMNS as usize) as u32;
        // Never narrower than two cells: there has to be room for the last line.
        let width = GAP + columns.max(2) * (CELL.width + GAP);
        let footer = if cells > room { TEXT + GAP } else { 0 };
        let size = Size { width, height: rows * (GAP + CELL.height) + footer + GAP };
        let png = write::begin(out, size, ColorType::Rgb, BitDepth::Eight)?
            .into_stream_writer()
            .context("a PNG cannot be begun")?;
        let band = vec![u8::MAX; (width * (GAP + CELL.height) * 3) as usize];
        Ok(Self { png, band, room, announced: cells, added: 0 })
    }

    fn stride(&self) -> usize {
        self.band.len() / (GAP + CELL.height) as usize
    }

    /// Adds the next cell; one that has no room is counted.
    pub fn add(&mut self, cell: Cell) -> Result<()> {
        let at = self.added;
        self.added += 1;
        if at >= self.room {
            return Ok(());
        }
        let column = at as u32 % COLUMNS;
        self.draw(GAP + column * (CELL.width + GAP), cell)?;
        if column + 1 == COLUMNS || at + 1 == self.room { self.write_band() } else { Ok(()) }
    }

    /// Draws a cell from column `left` of the band on.
    fn draw(&mut self, left: u32, cell: Cell) -> Result<()> {
        let (stride, room) = (self.stride(), Thumbnail::ROOM);
        let probability = percent(cell.probability);
        let probability = Line::new(&probability, TEXT, CELL.width, Keep::Start)?;
        let left_of_it = CELL.width - probability.width - if probability.width > 0 { 6 } else { 0 };
        let lines = [
            (0, 0, Line::new(&cell.name, TEXT, CELL.width, Keep::End)?),
            (0, 1, Line::new(&cell.note, TEXT, left_of_it, Keep::Start)?),
            (CELL.width - probability.width, 1, probability),
        ];
        let (pixels, size) = match cell.thumbnail.and_then(Thumbnail::finish) {
            Some(picture) => picture,
            None => (EMPTY.repeat(room.pixels() as usize), room),
        };
        let (x, y) = (left + (room.width - size.width) / 2, GAP + (room.height - size.height) / 2);
        for (row, line) in pixels.chunks_exact(size.width as usize * 3).enumerate() {
            let start = (y as usize + row) * stride + x as usize * 3;
            self.band[start..start + line.len()].copy_from_slice(line);
        }
        for (x, at, line) in lines {
            let top = GAP + room.height + 4 + at * TEXT;
            for y in 0..line.height {
                let start = (top + y) as usize * stride;
                line.lay(y, &mut self.band[start..start + stride], left + x, INK);
            }
        }
        Ok(())
    }

    fn write_band(&mut self) -> Result<()> {
        write::row(&mut self.png, &self.band)?;
        self.band.fill(u8::MAX);
        Ok(())
    }

    /// Ends the sheet. Where fewer cells came than were announced, the rest stays white.
    pub fn finish(mut self) -> Result<Shown> {
        let shown = self.added.min(self.room);
        let in_hand = usize::from(!shown.is_multiple_of(COLUMNS as usize) && shown < self.room);
        let written = shown.div_ceil(COLUMNS as usize) - in_hand;
        for _ in written..self.room.max(1).div_ceil(COLUMNS as usize) {
            self.write_band()?;
        }
        let stride = self.stride();
        if self.announced > self.room {
            let mut strip = vec![u8::MAX; stride * (GAP + TEXT) as usize];
            let text = format!("the first {} of {}", self.room, self.announced);
            let line = Line::new(&text, TEXT, stride as u32 / 3 - 2 * GAP, Keep::Start)?;
            for (y, row) in (0..line.height).zip(strip.chunks_exact_mut(stride).skip(GAP as usize)) {
                line.lay(y, row, GAP, INK);
            }
            write::row(&mut self.png, &strip)?;
        }
        write::row(&mut self.png, &vec![u8::MAX; stride * GAP as usize])?;
        write::finish(self.png)?;
        Ok(Shown { shown, left_out: self.added.saturating_sub(self.room) })
    }
}
