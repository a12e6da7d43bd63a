//! PNG by rows; an interlaced one is held whole, within the decode limit.
use super::pixels::{Samples, narrow, to_rgb};
use super::{Decoder, Format, Header, Opened, Reader, Rows, own_words};
use crate::input::limits::Limits;
use crate::input::orientation::Orientation;
use crate::units::Size;
use anyhow::{Context, Result, bail};
use png::{BitDepth, ColorType, DecodingError, Transformations};

/// What the decoder says; that it is over a limit is ours to say.
fn said(error: DecodingError, limits: &Limits) -> anyhow::Error {
    match error {
        DecodingError::LimitsExceeded => limits.over_decode(),
        other => own_words(other),
    }
}

/// A PNG whose header has been read.
pub struct Png {
    reader: png::Reader<Reader>,
    limits: Limits,
}

/// Reads the chunks before the pixels and checks them against `limits`.
pub fn open(reader: Reader, limits: &Limits) -> Result<Opened> {
    let mut decoder = png::Decoder::new_with_limits(reader, png::Limits { bytes: limits.decode.0 as usize });
    decoder.set_transformations(Transformations::EXPAND); // palette, tRNS and 1 to 4 bits to whole samples
    decoder.set_ignore_text_chunk(true);
    decoder.ignore_checksums(false);
    let info = decoder.read_header_info().map_err(|error| said(error, limits))?;
    let size = Size { width: info.width, height: info.height };
    limits.check_pixels(size)?;
    let reader = decoder.read_info().map_err(|error| said(error, limits))?;
    let info = reader.info();
    limits.check_frames(info.animation_control.map_or(1, |a| a.num_frames.into()))?;
    let orientation =
        info.exif_metadata.as_ref().map_or(Orientation::UPRIGHT, |block| Orientation::from_exif_block(block));
    Ok(Opened {
        header: Header { format: Format::Png, size, orientation },
        decoder: Decoder::Png(Box::new(Png { reader, limits: *limits })),
    })
}

impl Png {
    /// Starts decoding.
    pub fn start(mut self) -> Result<Box<dyn Rows>> {
        let (color, depth) = self.reader.output_color_type();
        let samples = match color {
            ColorType::Grayscale => Samples::Grey,
            ColorType::GrayscaleAlpha => Samples::GreyAlpha,
            ColorType::Rgb => Samples::Rgb,
            ColorType::Rgba => Samples::Rgba,
            ColorType::Indexed => bail!("its palette is missing"),
        };
        let whole = if self.reader.info().interlaced {
            let needed = self.reader.output_buffer_size().context("its size overflows")?;
            self.limits.check_decode(needed as u64, "an interlaced PNG")?;
            let mut pixels = vec![0; needed];
            self.reader.next_frame(&mut pixels).map_err(|error| said(error, &self.limits))?;
            Some(pixels)
        } else {
            None
        };
        Ok(Box::new(PngRows {
            reader: self.reader,
            limits: self.limits,
            samples,
            wide: depth == BitDepth::Sixteen,
            narrowed: Vec::new(),
            whole,
            next: 0,
        }))
    }
}

struct PngRows {
    reader: png::Reader<Reader>,
    limits: Limits,
    samples: Samples,
    wide: bool,
    narrowed: Vec<u8>,
    whole: Option<Vec<u8>>,
    next: usize,
}

impl Rows for PngRows {
    fn next_row(&mut self, rgb: &mut [u8]) -> Result<()> {
        let bytes = rgb.len() / 3 * self.samples.count() * if self.wide { 2 } else { 1 };
        let row = match &self.whole {
            Some(pixels) => &pixels[self.next * bytes..(self.next + 1) * bytes],
            None => self.reader.next_row().map_err(|err| said(err, &self.limits))?.context("it is cut short")?.data(),
        };
        self.next += 1;
        if self.wide {
            narrow(row.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])), &mut self.narrowed);
            to_rgb(self.samples, &self.narrowed, rgb);
        } else {
            to_rgb(self.samples, row, rgb);
        }
        if self.whole.is_none() && self.next == self.reader.info().height as usize {
            self.reader.finish().map_err(own_words)?; // the checksum of the last pixels stands behind them
        }
        Ok(())
    }
}
