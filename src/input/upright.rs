//! The rows of an upright picture, every pixel of it, without ever holding the whole.
use super::decode::{self, Header, Opened, Started};
use super::guard::guarded;
use super::limits::Limits;
use super::source::Stream;
use crate::units::{Bytes, Size};
use anyhow::{Context, Result, bail, ensure};
use std::ops::Range;

/// Gives upright rows from top to bottom: EXIF orientation applied, 8-bit RGB, alpha laid over white; the pixels are those of
/// [`Preprocessing::read`](super::Preprocessing::read) at full scale.
///
/// Stored rows that run from the top are passed on one by one. Where upright rows are stored bottom-up or as columns, the file is decoded
/// once for each band of rows that fits into the buffer.
pub struct UprightRows {
    stream: Stream,
    limits: Limits,
    header: Header,
    size: Size,
    opened: Option<Opened>,
    started: Option<Started>,
    /// Rows that a band holds.
    most: u32,
    /// The band in hand, `[rows, width, 3]`, and which rows it holds.
    band: Vec<u8>,
    held: Range<u32>,
    next: u32,
}

impl UprightRows {
    /// What the buffer for bands may take, unless a test asks for less: a 12-megapixel photo on its side is decoded five times.
    pub const BUFFER: Bytes = Bytes::mb(8);

    /// Reads the header and checks it against `limits`; a band takes at most `buffer` and half of what a decoder may, and at least one row.
    pub fn open(mut stream: Stream, limits: &Limits, buffer: Bytes) -> Result<Self> {
        let opened = guarded(|| decode::open(stream.again(), limits))?;
        let header = opened.header;
        let size = header.orientation.upright(header.size);
        limits.check_painted(size)?;
        let (mut limits, mut buffer, mut opened) = (*limits, buffer, Some(opened));
        if header.orientation.is_transposed() || header.orientation.mirrors_stored_y() {
            // A band stands beside the decoder.
            buffer = buffer.min(Bytes(limits.decode.0 / 2));
            limits.decode.0 -= buffer.0;
            opened = None;
        }
        let most = (buffer.0 / (u64::from(size.width) * 3)).clamp(1, size.height.into()) as u32;
        Ok(Self { stream, limits, header, size, opened, started: None, most, band: Vec::new(), held: 0..0, next: 0 })
    }

    /// Size of the upright picture.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Fills `row` (`width * 3` bytes) with the next row; an error when there is none left.
    pub fn next_row(&mut self, row: &mut [u8]) -> Result<()> {
        guarded(|| self.read_next(row))
    }

    fn read_next(&mut self, row: &mut [u8]) -> Result<()> {
        ensure!(self.next < self.size.height, "the picture has no more than {} rows", self.size.height);
        ensure!(row.len() == self.stride(), "a row takes {} bytes, not {}", self.stride(), row.len());
        let orientation = self.header.orientation;
        if orientation.is_transposed() || orientation.mirrors_stored_y() {
            if !self.held.contains(&self.next) {
                self.fill_band()?;
            }
            let start = (self.next - self.held.start) as usize * row.len();
            row.copy_from_slice(&self.band[start..start + row.len()]);
        } else {
            if self.started.is_none() {
                self.started = Some(self.start()?);
            }
            let started = self.started.as_mut().context("decoding was not started")?;
            read_row(started, self.header, self.next, row)?;
            if orientation.mirrors_stored_x() {
                row.as_chunks_mut::<3>().0.reverse();
            }
        }
        self.next += 1;
        Ok(())
    }

    fn stride(&self) -> usize {
        self.size.width as usize * 3
    }

    /// Starts decoding from the first stored row, anew where it was started before.
    fn start(&mut self) -> Result<Started> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => decode::open(self.stream.again(), &self.limits)?,
        };
        let (before, now) = (self.header, opened.header);
        if (before.size, before.orientation) != (now.size, now.orientation) {
            bail!("it changed while it was read");
        }
        opened.start(None)
    }

    /// Decodes the file for the band that begins with the next row.
    fn fill_band(&mut self) -> Result<()> {
        let rows = self.next..(self.next + self.most).min(self.size.height);
        let (header, stride, stored) = (self.header, self.stride(), self.header.size);
        let mut started = self.start()?;
        let mut band = std::mem::take(&mut self.band);
        band.resize(rows.len() * stride, 0);
        let mut row = vec![0; stored.width as usize * 3];
        let lines = if header.orientation.is_transposed() { stored.height } else { stored.height - rows.start };
        for y in 0..lines {
            read_row(&mut started, header, y, &mut row)?;
            let pixels = row.as_chunks_mut::<3>().0;
            let upright = if header.orientation.mirrors_stored_y() { stored.height - 1 - y } else { y };
            if header.orientation.is_transposed() {
                // The stored row is an upright column, of which the band holds the part `rows`.
                let from_end = |at: u32| (stored.width - at) as usize;
                let at = upright as usize * 3;
                let part: &[[u8; 3]] = if header.orientation.mirrors_stored_x() {
                    let part = &mut pixels[from_end(rows.end)..from_end(rows.start)];
                    part.reverse();
                    part
                } else {
                    &pixels[rows.start as usize..rows.end as usize]
                };
                for (line, pixel) in band.chunks_exact_mut(stride).zip(part) {
                    line[at..at + 3].copy_from_slice(pixel);
                }
            } else if rows.contains(&upright) {
                if header.orientation.mirrors_stored_x() {
                    pixels.reverse();
                }
                let start = (upright - rows.start) as usize * stride;
                band[start..start + stride].copy_from_slice(&row);
            }
        }
        (self.band, self.held) = (band, rows);
        Ok(())
    }
}

fn read_row(started: &mut Started, header: Header, y: u32, row: &mut [u8]) -> Result<()> {
    let place = || format!("{}, row {} of {}", header.format.unreadable(), y + 1, header.size.height);
    started.rows.next_row(row).with_context(place)
}
