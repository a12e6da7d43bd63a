//! A walk over a JPEG's markers, before libjpeg sees it: size, sampling, scans and orientation (ITU-T T.81, annex B).
use super::{Reader, own_words};
use crate::input::orientation::Orientation;
use crate::units::Size;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, Read, Seek};

/// More scans than any encoder writes: each one passes over the whole picture, so a small file could keep a core busy for minutes.
const MOST_SCANS: u32 = 64;

/// What the markers say.
#[derive(Debug)]
pub struct Markers {
    /// Size as stored.
    pub size: Size,
    /// EXIF orientation.
    pub orientation: Orientation,
    /// Whether an Adobe marker is there: its CMYK is stored inverted.
    pub adobe: bool,
    /// Memory for the coefficients of the whole picture, needed when a component comes in more than one scan; 0 when it can be decoded by rows.
    pub coefficients: u64,
}

/// Reads the markers and rewinds.
pub fn read(reader: &mut Reader) -> Result<Markers> {
    let found = walk(reader);
    reader.rewind().context("cannot be read")?;
    found
}

fn walk(reader: &mut Reader) -> Result<Markers> {
    let mut frame: Option<Frame> = None;
    let mut orientation = Orientation::UPRIGHT;
    let mut adobe = false;
    reader.read_exact(&mut [0; 2]).map_err(own_words)?; // SOI
    loop {
        let marker = next_marker(reader)?;
        match marker {
            0x01 | 0xd0..=0xd7 => continue, // no parameters
            0xd9 => bail!("it ends before any picture data"),
            _ => {}
        }
        let segment = read_segment(reader)?;
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => frame = Some(Frame::parse(marker, &segment)?),
            0xe1 => {
                if let Some(block) = segment.strip_prefix(b"Exif\0\0") {
                    orientation = Orientation::from_exif_block(block);
                }
            }
            0xee => adobe |= segment.starts_with(b"Adobe"),
            0xda => {
                let frame = frame.context("a scan starts before the frame header")?;
                let together = segment.first().copied().unwrap_or(0);
                let coefficients = if frame.progressive || together < frame.components {
                    check_scans(reader)?;
                    frame.coefficients
                } else {
                    0
                };
                return Ok(Markers { size: frame.size, orientation, adobe, coefficients });
            }
            _ => {}
        }
    }
}

/// A start-of-frame segment.
struct Frame {
    size: Size,
    components: u8,
    progressive: bool,
    coefficients: u64,
}

impl Frame {
    fn parse(marker: u8, segment: &[u8]) -> Result<Self> {
        let [precision, h1, h0, w1, w0, components, sampling @ ..] = segment else {
            bail!("its frame header is cut short")
        };
        if *precision != 8 || !matches!(marker, 0xc0..=0xc2) {
            bail!(
                "it is a {precision}-bit JPEG of kind SOF{}; only 8-bit baseline and progressive ones are read",
                marker - 0xc0
            );
        }
        let size = Size { width: u16::from_be_bytes([*w1, *w0]).into(), height: u16::from_be_bytes([*h1, *h0]).into() };
        let factors: Vec<_> = sampling.chunks_exact(3).map(|c| (u64::from(c[1] >> 4), u64::from(c[1] & 15))).collect();
        if factors.len() != usize::from(*components)
            || factors.iter().any(|f| !(1..=4).contains(&f.0) || !(1..=4).contains(&f.1))
        {
            bail!("its frame header is broken");
        }
        // Each component is kept as 8x8 blocks of 16-bit coefficients, padded to whole interleaved units.
        let most = factors.iter().fold((1, 1), |most, f| (f.0.max(most.0), f.1.max(most.1)));
        let units = u64::from(size.width).div_ceil(8 * most.0) * u64::from(size.height).div_ceil(8 * most.1);
        let blocks: u64 = factors.iter().map(|f| f.0 * f.1).sum();
        Ok(Self { size, components: *components, progressive: marker == 0xc2, coefficients: units * blocks * 64 * 2 })
    }
}

/// The next marker's code; fill bytes before it are skipped.
fn next_marker(reader: &mut Reader) -> Result<u8> {
    let mut byte = [0];
    let mut before = 0;
    loop {
        reader.read_exact(&mut byte).map_err(own_words)?;
        if before == 0xff && !matches!(byte[0], 0 | 0xff) {
            return Ok(byte[0]);
        }
        before = byte[0];
    }
}

/// The bytes of a segment, at most 64 KB by its two-byte length.
fn read_segment(reader: &mut Reader) -> Result<Vec<u8>> {
    let mut length = [0; 2];
    reader.read_exact(&mut length).map_err(own_words)?;
    let length = u16::from_be_bytes(length).checked_sub(2).context("a segment's length is below 2")?;
    let mut segment = vec![0; length.into()];
    reader.read_exact(&mut segment).map_err(own_words)?;
    Ok(segment)
}

/// Counts the scans that follow and refuses what no encoder writes.
fn check_scans(reader: &mut Reader) -> Result<()> {
    let mut scans = 1;
    let mut before = 0;
    loop {
        let buffer = reader.fill_buf().context("cannot be read")?;
        if buffer.is_empty() {
            return Ok(()); // cut short: the decoder finds that out with a better message
        }
        for &byte in buffer {
            scans += u32::from(before == 0xff && byte == 0xda);
            before = byte;
        }
        let length = buffer.len();
        reader.consume(length);
        if scans > MOST_SCANS {
            bail!("it has more than {MOST_SCANS} scans, more than any encoder writes");
        }
    }
}
