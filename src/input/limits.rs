//! What a picture may cost before it is refused.
use crate::units::{Bytes, Size};
use anyhow::{Result, bail};
use std::fmt;

/// Why a picture is refused though it may be a good one: it is too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverLimit(String);

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OverLimit {}

/// Bounds that every picture has to pass, checked on the file's length and header before anything is allocated for its pixels.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Length of the file.
    pub file: Bytes,
    /// Width times height by the header.
    pub pixels: u64,
    /// Frames of an animation or pages of a document; only the first is used.
    pub frames: u32,
    /// Memory for the decoder's own buffers: progressive JPEGs, interlaced PNGs, and formats that cannot be read by rows.
    pub decode: Bytes,
    /// JPEGs of up to this many pixels are decoded in full, larger ones at a reduced scale where that serves.
    pub full_decode: u64,
}

/// Exactness is worth more than the time it takes to decode in full (12 megapixels: 56 ms).
const FULL_DECODE: u64 = 16_000_000;

/// Bytes of the rows in hand for each column: three of 8 bits and three channels, and the decoder's own.
const ROWS: u64 = 16;
/// Photos of 100 megapixels need as much.
const USUAL_ROWS: Bytes = Bytes::mb(1);

impl Limits {
    /// The limits for a process that may use `budget` of memory: a quarter of it for a decoder.
    pub const fn within(budget: Bytes) -> Self {
        Self {
            file: Bytes::mb(256),
            pixels: 100_000_000,
            frames: 1000,
            decode: Bytes(budget.0 / 4),
            full_decode: FULL_DECODE,
        }
    }

    /// An error when the file is longer than allowed.
    pub fn check_file(&self, length: Bytes) -> Result<()> {
        if length > self.file {
            // Standard input is read no further than the limit, and `1.0 KB is over 1.0 KB` helps nobody.
            let length =
                if length.to_string() == self.file.to_string() { String::new() } else { format!("{length} is ") };
            return Err(OverLimit(format!("{length}over the limit of {} (`--max-bytes`)", self.file)).into());
        }
        Ok(())
    }

    /// An error when the header announces more pixels than allowed, or none.
    pub fn check_pixels(&self, size: Size) -> Result<()> {
        if size.pixels() == 0 {
            bail!("the header says {size}: there is no pixel in it");
        }
        if size.pixels() > self.pixels {
            let why = format!("{size} is {} pixels, over the limit of {} (`--max-pixels`)", size.pixels(), self.pixels);
            return Err(OverLimit(why).into());
        }
        Ok(())
    }

    /// An error when the file holds more frames or pages than allowed.
    pub fn check_frames(&self, frames: u64) -> Result<()> {
        if frames > u64::from(self.frames) {
            let why = format!("it holds more than {} frames or pages (`--max-frames`)", self.frames);
            return Err(OverLimit(why).into());
        }
        Ok(())
    }

    /// An error when the rows in hand, the decoder's among them, and the weights for resizing would need more memory than a decoder may: few
    /// pixels can be many columns or many rows. `support` is that of the filter.
    pub fn check_rows(&self, size: Size, support: f64) -> Result<()> {
        let weights = u64::from(size.width) + u64::from(size.height);
        let weights = weights * (2.0 * support * size_of::<i32>() as f64).ceil() as u64;
        self.check_beyond_usual(u64::from(size.width) * ROWS + weights, "so long a row or column")
    }

    /// The same for painting: no weights, but more rows.
    pub fn check_painted(&self, size: Size) -> Result<()> {
        self.check_beyond_usual(u64::from(size.width) * 2 * ROWS, "so long a row")
    }

    /// What ordinary pictures need is always there.
    fn check_beyond_usual(&self, needed: u64, why: &str) -> Result<()> {
        if needed > USUAL_ROWS.0 { self.check_decode(needed, why) } else { Ok(()) }
    }

    /// The error of a decoder that has found by itself that it would need more memory than allowed.
    pub fn over_decode(&self) -> anyhow::Error {
        OverLimit(format!("its decoder needs more than the limit of {} (`--max-decode`)", self.decode)).into()
    }

    /// An error when a decoder would need more memory than allowed; `why` says why it cannot be done by rows.
    pub fn check_decode(&self, needed: u64, why: &str) -> Result<()> {
        if needed > self.decode.0 {
            let why = format!(
                "{why} needs {} at once, over the limit of {} (`--max-decode`); save it as a baseline JPEG or make it smaller",
                Bytes(needed),
                self.decode
            );
            return Err(OverLimit(why).into());
        }
        Ok(())
    }
}
