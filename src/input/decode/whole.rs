//! Formats whose libraries give a picture only as a whole: BMP, GIF (first frame) and WebP (first frame), within the decode limit.
use super::pixels::{Samples, to_rgb};
use super::{Decoder, Format, Header, Opened, Reader, Rows, own_words};
use crate::input::limits::Limits;
use crate::input::orientation::Orientation;
use crate::units::Size;
use anyhow::{Context, Result, bail};
use image::codecs::{bmp::BmpDecoder, gif::GifDecoder};
use image::{ColorType, ImageDecoder};
use std::io::Seek;

/// A picture whose header has been read.
pub enum Whole {
    /// BMP and GIF, through `image`.
    Image(Box<dyn ImageDecoder>, Samples),
    /// WebP.
    Webp(Box<image_webp::WebPDecoder<Reader>>),
}

/// Reads the header and checks it against `limits`.
pub fn open(mut reader: Reader, format: Format, limits: &Limits) -> Result<Opened> {
    let header = |(width, height), orientation| Header { format, size: Size { width, height }, orientation };
    // A GIF's frame has a size of its own, which may be larger than the picture's.
    let mut held_beside = 0;
    let (header, whole) = match format {
        Format::Webp => {
            let mut decoder = image_webp::WebPDecoder::new(reader).map_err(own_words)?;
            decoder.set_memory_limit(limits.decode.0 as usize); // before EXIF is read, whose length is whatever the file says
            let orientation = decoder
                .exif_metadata()
                .map_err(own_words)?
                .map_or(Orientation::UPRIGHT, |block| Orientation::from_exif_block(&block));
            limits.check_frames(u64::from(decoder.num_frames()).max(1))?;
            (header(decoder.dimensions(), orientation), Whole::Webp(Box::new(decoder)))
        }
        Format::Gif => {
            let (frames, frame) = gif_frames(&mut reader, limits)?;
            limits.check_frames(frames)?;
            limits.check_pixels(frame)?;
            held_beside = frame.pixels();
            let decoder = GifDecoder::new(reader).map_err(own_words)?;
            (header(decoder.dimensions(), Orientation::UPRIGHT), Whole::Image(Box::new(decoder), Samples::Rgba))
        }
        _ => {
            let decoder = BmpDecoder::new(reader).map_err(own_words)?;
            let samples = match decoder.color_type() {
                ColorType::Rgb8 => Samples::Rgb,
                ColorType::Rgba8 => Samples::Rgba,
                other => bail!("its pixels are {other:?}"),
            };
            (header(decoder.dimensions(), Orientation::UPRIGHT), Whole::Image(Box::new(decoder), samples))
        }
    };
    limits.check_pixels(header.size)?;
    // Four bytes a pixel, twice: the picture, and what GIF's and WebP's decoders keep beside it.
    let pixels = header.size.pixels() + held_beside.max(header.size.pixels());
    limits.check_decode(pixels * 4, "this format cannot be decoded by rows: it")?;
    Ok(Opened { header, decoder: Decoder::Whole(Box::new(whole)) })
}

/// Counts frames without decoding them, up to one more than allowed, and rewinds; their number and the size of the first.
fn gif_frames(reader: &mut Reader, limits: &Limits) -> Result<(u64, Size)> {
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    let mut decoder = options.read_info(&mut *reader).map_err(own_words)?;
    let mut count = 0;
    let mut first = None;
    while count <= u64::from(limits.frames) {
        let Some(frame) = decoder.next_frame_info().map_err(own_words)? else { break };
        first.get_or_insert(Size { width: frame.width.into(), height: frame.height.into() });
        count += 1;
    }
    drop(decoder);
    reader.rewind().context("cannot be read")?;
    Ok((count, first.context("it holds no frame")?))
}

impl Whole {
    /// Decodes the picture.
    pub fn start(self) -> Result<Box<dyn Rows>> {
        let (pixels, samples) = match self {
            Self::Image(decoder, samples) => {
                let mut pixels = vec![0; usize::try_from(decoder.total_bytes())?];
                decoder.read_image(&mut pixels).map_err(own_words)?;
                (pixels, samples)
            }
            Self::Webp(mut decoder) => {
                let mut pixels = vec![0; decoder.output_buffer_size().context("its size overflows")?];
                decoder.read_image(&mut pixels).map_err(own_words)?;
                (pixels, if decoder.has_alpha() { Samples::Rgba } else { Samples::Rgb })
            }
        };
        Ok(Box::new(Held { pixels, samples, at: 0 }))
    }
}

/// Rows of a picture that is held.
struct Held {
    pixels: Vec<u8>,
    samples: Samples,
    at: usize,
}

impl Rows for Held {
    fn next_row(&mut self, rgb: &mut [u8]) -> Result<()> {
        let end = self.at + rgb.len() / 3 * self.samples.count();
        to_rgb(self.samples, &self.pixels[self.at..end], rgb);
        self.at = end;
        Ok(())
    }
}
