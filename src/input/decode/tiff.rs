//! TIFF by strips or rows of tiles, so that only one band of the picture is held.
use super::pixels::{Samples, narrow, to_rgb};
use super::{Decoder, Format, Header, Opened, Reader, Rows, own_words, tiff_header};
use crate::input::limits::Limits;
use crate::input::orientation::Orientation;
use crate::units::Size;
use anyhow::{Context, Result, bail};
use tiff::ColorType;
use tiff::decoder::DecodingResult;
use tiff::tags::Tag;

/// A TIFF whose first directory has been read.
pub struct Tiff {
    decoder: tiff::decoder::Decoder<Reader>,
    size: Size,
    samples: Samples,
    bits: u8,
    palette: Option<Vec<u16>>,
    /// Width and height of a strip or tile.
    chunk: Size,
    /// Decoded RGB rows of the band that holds the next row.
    band: Vec<u8>,
    next: u32,
}

/// Reads the first directory and checks it against `limits`.
pub fn open(mut reader: Reader, limits: &Limits) -> Result<Opened> {
    tiff_header::check(&mut reader, limits)?;
    let mut own_limits = tiff::decoder::Limits::default();
    own_limits.decoding_buffer_size = limits.decode.0 as usize;
    own_limits.intermediate_buffer_size = limits.decode.0 as usize;
    let mut decoder = tiff::decoder::Decoder::new(reader).map_err(own_words)?.with_limits(own_limits);
    let (width, height) = decoder.dimensions().map_err(own_words)?;
    let size = Size { width, height };
    limits.check_pixels(size)?;
    limits.check_frames(pages(&mut decoder, limits)?)?;
    if decoder.find_tag_unsigned(Tag::PlanarConfiguration).map_err(own_words)? == Some(2u16) {
        bail!("its channels are stored one after the other (planar); save it with interleaved pixels");
    }
    let color = decoder.colortype().map_err(own_words)?;
    let samples = match color {
        ColorType::Gray(1 | 2 | 4 | 8 | 16) | ColorType::Palette(8) => Samples::Grey,
        ColorType::GrayA(8 | 16) => Samples::GreyAlpha,
        ColorType::RGB(8 | 16) => Samples::Rgb,
        ColorType::RGBA(8 | 16) => Samples::Rgba,
        ColorType::CMYK(8) => Samples::Cmyk,
        other => bail!(
            "its pixels are {other:?}; read are 1 to 16-bit grey, 8-bit palette, 8 and 16-bit RGB and RGBA, 8-bit CMYK"
        ),
    };
    let palette = match color {
        ColorType::Palette(_) => Some(decoder.get_tag_u16_vec(Tag::ColorMap).context("its palette is missing")?),
        _ => None,
    };
    if palette.as_ref().is_some_and(|p| p.len() != 3 * 256) {
        bail!("its palette does not have 256 colours");
    }
    let orientation = decoder
        .find_tag_unsigned::<u16>(Tag::Orientation)
        .map_err(own_words)?
        .map_or(Orientation::UPRIGHT, |o| Orientation::from_exif(o.min(255) as u8));
    let (chunk_width, chunk_height) = decoder.chunk_dimensions();
    let chunk = Size { width: chunk_width, height: chunk_height.min(height) };
    if chunk.pixels() == 0 {
        bail!("its strips are empty");
    }
    let across = u64::from(width.div_ceil(chunk.width));
    let band = across * chunk.pixels() * (3 + samples.count() as u64 * u64::from(color.bit_depth().max(8)) / 8);
    limits.check_decode(band, "a TIFF in strips or tiles of this size")?;
    let bits = color.bit_depth();
    let tiff = Tiff { decoder, size, samples, bits, palette, chunk, band: Vec::new(), next: 0 };
    Ok(Opened { header: Header { format: Format::Tiff, size, orientation }, decoder: Decoder::Tiff(Box::new(tiff)) })
}

/// Number of pages, counted up to one more than allowed, so that a chain that bites its tail ends too.
fn pages(decoder: &mut tiff::decoder::Decoder<Reader>, limits: &Limits) -> Result<u64> {
    let mut count = 0;
    let mut next = decoder.ifd_pointer();
    while let Some(pointer) = next {
        count += 1;
        if count > u64::from(limits.frames) {
            break;
        }
        next = decoder.read_directory(pointer).map_err(own_words)?.next();
    }
    Ok(count)
}

impl Rows for Tiff {
    fn next_row(&mut self, rgb: &mut [u8]) -> Result<()> {
        let within = self.next % self.chunk.height;
        if within == 0 {
            self.read_band(self.next / self.chunk.height)?;
        }
        let start = within as usize * rgb.len();
        rgb.copy_from_slice(&self.band[start..start + rgb.len()]);
        self.next += 1;
        Ok(())
    }
}

impl Tiff {
    /// Decodes the chunks that lie beside each other in row `row` of chunks.
    fn read_band(&mut self, row: u32) -> Result<()> {
        let stride = self.size.width as usize * 3;
        self.band.resize(stride * self.chunk.height as usize, 0);
        let across = self.size.width.div_ceil(self.chunk.width);
        for column in 0..across {
            let index = row * across + column;
            let (width, height) = self.decoder.chunk_data_dimensions(index);
            let bytes = self.decoder.read_chunk(index).map_err(own_words)?;
            let samples = self.eight_bit(bytes, width as usize)?;
            let per_row = width as usize * self.samples.count();
            let left = column as usize * self.chunk.width as usize * 3;
            for (y, line) in samples.chunks_exact(per_row).take(height as usize).enumerate() {
                let start = y * stride + left;
                let target = &mut self.band[start..start + width as usize * 3];
                match &self.palette {
                    Some(palette) => look_up(palette, line, target),
                    None => to_rgb(self.samples, line, target),
                }
            }
        }
        Ok(())
    }

    /// One byte a sample, whatever the file's depth.
    fn eight_bit(&self, chunk: DecodingResult, width: usize) -> Result<Vec<u8>> {
        Ok(match chunk {
            DecodingResult::U8(bytes) if self.bits == 8 => bytes,
            DecodingResult::U8(packed) => packed
                .chunks_exact((width * usize::from(self.bits)).div_ceil(8))
                .flat_map(|line| unpack(line, self.bits, width))
                .collect(),
            DecodingResult::U16(wide) => {
                let mut bytes = Vec::new();
                narrow(wide.into_iter(), &mut bytes);
                bytes
            }
            _ => bail!("its samples are not unsigned 8 or 16-bit integers"),
        })
    }
}

/// Greys of 1, 2 or 4 bits, most significant first, spread over 0 to 255.
fn unpack(line: &[u8], bits: u8, width: usize) -> impl Iterator<Item = u8> + '_ {
    let per_byte = usize::from(8 / bits);
    let most = (1u8 << bits) - 1;
    (0..width).map(move |x| {
        let shift = 8 - bits * (x % per_byte + 1) as u8;
        (line[x / per_byte] >> shift & most) * (255 / most)
    })
}

/// Palette indices to RGB; a TIFF's palette holds 16-bit reds, then greens, then blues.
fn look_up(palette: &[u16], indices: &[u8], rgb: &mut [u8]) {
    for (index, to) in indices.iter().zip(rgb.chunks_exact_mut(3)) {
        for (channel, value) in to.iter_mut().enumerate() {
            *value = (palette[channel * 256 + usize::from(*index)] >> 8) as u8;
        }
    }
}
