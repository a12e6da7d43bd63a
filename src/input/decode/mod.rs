//! Decoders behind one interface: a header that is checked first, then rows of 8-bit RGB in stored order.
mod jpeg;
mod jpeg_header;
mod pixels;
mod png;
mod tiff;
mod tiff_header;
mod whole;

use super::limits::Limits;
use super::orientation::Orientation;
use super::source::Stream;
use crate::units::Size;
use anyhow::{Context, Result, anyhow, bail};
use std::fmt::Display;
use std::io::{BufReader, Read, Seek};

/// File formats that are decoded, told by their first bytes, never by the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Jpeg,
    Png,
    Webp,
    Bmp,
    Gif,
    Tiff,
}

/// What a picture's header says.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The file's format.
    pub format: Format,
    /// Size as stored, before [`Header::orientation`] is applied.
    pub size: Size,
    /// How the stored rows lie in the upright picture.
    pub orientation: Orientation,
}

/// Rows of a picture from top to bottom as stored: `[width, 3]`, 8-bit RGB, alpha laid over white.
pub trait Rows {
    /// Fills `row` (`width * 3` bytes) with the next row.
    fn next_row(&mut self, row: &mut [u8]) -> Result<()>;
}

/// Rows that are about to be read, and their size, which a reduced-scale decode makes smaller than the header's.
pub struct Started {
    /// The rows.
    pub rows: Box<dyn Rows>,
    /// Number of rows and pixels a row that `rows` gives.
    pub size: Size,
    /// How many of the header's pixels one of these stands for along each axis: 1, 2, 4 or 8.
    pub reduction: u32,
}

type Reader = BufReader<Stream>;

/// A picture whose header has passed the limits.
pub struct Opened {
    /// What the header says.
    pub header: Header,
    decoder: Decoder,
}

enum Decoder {
    Jpeg(Box<jpeg::Jpeg>),
    Png(Box<png::Png>),
    Tiff(Box<tiff::Tiff>),
    Whole(Box<whole::Whole>),
}

impl Opened {
    /// Starts decoding. `at_least` is the smallest stored size that still serves: a large JPEG is decoded at a reduced scale not below it; `None` asks for every pixel.
    pub fn start(self, at_least: Option<Size>) -> Result<Started> {
        let full = |rows| Started { rows, size: self.header.size, reduction: 1 };
        let started = match self.decoder {
            Decoder::Jpeg(jpeg) => jpeg.start(at_least),
            Decoder::Png(png) => png.start().map(full),
            Decoder::Tiff(tiff) => Ok(full(tiff as Box<dyn Rows>)),
            Decoder::Whole(whole) => whole.start().map(full),
        };
        started.with_context(|| self.header.format.unreadable())
    }
}

/// Recognises the format and reads the header; every limit that can be checked without decoding is checked here.
pub fn open(stream: Stream, limits: &Limits) -> Result<Opened> {
    let mut reader = BufReader::with_capacity(16 << 10, stream);
    let format = recognise(&mut reader)?;
    let opened = match format {
        Format::Jpeg => jpeg::open(reader, limits),
        Format::Png => png::open(reader, limits),
        Format::Tiff => tiff::open(reader, limits),
        Format::Gif | Format::Webp | Format::Bmp => whole::open(reader, format, limits),
    };
    opened.with_context(|| format.unreadable())
}

impl Format {
    /// What an error about a picture of this format starts with.
    pub fn unreadable(self) -> String {
        format!("not a readable {}", self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
        }
    }
}

/// Tells the format by the file's first bytes and leaves the reader at its start.
fn recognise(reader: &mut Reader) -> Result<Format> {
    let mut magic = [0; 16];
    let mut got = 0;
    while got < magic.len() {
        match reader.read(&mut magic[got..]).context("cannot be read")? {
            0 => break,
            n => got += n,
        }
    }
    reader.rewind().context("cannot be read")?;
    let start = &magic[..got];
    Ok(match start {
        [] => bail!("is empty"),
        [0xff, 0xd8, 0xff, ..] => Format::Jpeg,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Format::Png,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Format::Webp,
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Format::Bmp,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Format::Tiff,
        _ => bail!("is {}; supported are JPEG, PNG, WebP, BMP, GIF and TIFF", describe(start)),
    })
}

/// A decoder's own error. Some libraries print the cause and give it as the source too, so only what is printed is kept.
fn own_words(error: impl Display) -> anyhow::Error {
    let text = error.to_string();
    if text.contains("fill whole buffer") || text.to_lowercase().contains("unexpected end of file") {
        return anyhow!("it is cut short");
    }
    if text.contains("CRC error") {
        return anyhow!("a checksum is wrong: it was damaged on its way");
    }
    anyhow!("{}", text.lines().next().unwrap_or_default())
}

/// Names what is not an image, so that the message helps.
fn describe(start: &[u8]) -> &'static str {
    match start {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "a HEIC, AVIF or video file",
        [b'P', b'K', 3 | 5, ..] => "a zip archive",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        [0x1f, 0x8b, ..] => "a gzip file",
        _ if start.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) => "text",
        _ => "no known image format",
    }
}
