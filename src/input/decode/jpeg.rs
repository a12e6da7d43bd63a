//! JPEG by rows through libjpeg (mozjpeg's copy of libjpeg-turbo): the same pixels as Pillow, within a few hundred KB whatever the size.
//!
//! Measured against `jpeg-decoder` and `zune-jpeg`, which hold the whole picture: a 48-megapixel baseline photo takes 0.5 MB here, 212 and 142 MB there.
use super::{Decoder, Format, Header, Opened, Reader, Rows, Started, jpeg_header};
use crate::input::limits::Limits;
use crate::units::Size;
use anyhow::{Context, Result, anyhow, bail};
use mozjpeg::{ColorSpace, Decompress, decompress::DecompressStarted};
use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// A JPEG whose markers have been read.
pub struct Jpeg {
    reader: Reader,
    markers: jpeg_header::Markers,
    full_decode: u64,
}

/// Reads the markers and checks them against `limits`.
pub fn open(mut reader: Reader, limits: &Limits) -> Result<Opened> {
    let markers = jpeg_header::read(&mut reader)?;
    limits.check_pixels(markers.size)?;
    limits.check_decode(markers.coefficients, "a progressive or multi-scan JPEG")?;
    let header = Header { format: Format::Jpeg, size: markers.size, orientation: markers.orientation };
    let jpeg = Jpeg { reader, markers, full_decode: limits.full_decode };
    Ok(Opened { header, decoder: Decoder::Jpeg(Box::new(jpeg)) })
}

impl Jpeg {
    /// Starts libjpeg, at a reduced DCT scale when the picture is large and `at_least` allows it.
    pub fn start(self, at_least: Option<Size>) -> Result<Started> {
        let reduction = at_least
            .filter(|_| self.markers.size.pixels() > self.full_decode)
            .map_or(1, |least| reduction(self.markers.size, least));
        let ended = Rc::new(Cell::new(false));
        let reader = Watched { inner: self.reader, ended: Rc::clone(&ended) };
        let (adobe, orders) = (self.markers.adobe, [ColorSpace::JCS_CMYK, ColorSpace::JCS_YCCK]);
        let (decoder, cmyk) = guard(|| {
            let mut decoder = Decompress::new_reader(reader)?;
            decoder.scale(8 / reduction as u8);
            let cmyk = orders.contains(&decoder.color_space());
            let decoder = decoder.to_colorspace(if cmyk { ColorSpace::JCS_CMYK } else { ColorSpace::JCS_RGB })?;
            Ok((decoder, cmyk))
        })?;
        let size = Size { width: decoder.width() as u32, height: decoder.height() as u32 };
        let expected = Size {
            width: self.markers.size.width.div_ceil(reduction),
            height: self.markers.size.height.div_ceil(reduction),
        };
        if size != expected {
            bail!("its markers disagree about its size ({expected} and {size})");
        }
        let buffer = vec![0; if cmyk { size.width as usize * 4 } else { 0 }];
        let rows = JpegRows { decoder, ended, cmyk: cmyk.then_some(CmykRow { buffer, inverted: adobe }) };
        Ok(Started { rows: Box::new(rows), size, reduction })
    }
}

/// The strongest reduction that leaves both axes at or above `least`.
fn reduction(size: Size, least: Size) -> u32 {
    let serves = |by: &u32| size.width / by >= least.width && size.height / by >= least.height;
    [8, 4, 2].into_iter().find(serves).unwrap_or(1)
}

struct JpegRows {
    decoder: DecompressStarted<Watched>,
    ended: Rc<Cell<bool>>,
    cmyk: Option<CmykRow>,
}

struct CmykRow {
    buffer: Vec<u8>,
    inverted: bool,
}

impl Rows for JpegRows {
    fn next_row(&mut self, row: &mut [u8]) -> Result<()> {
        let target = self.cmyk.as_mut().map_or(&mut *row, |cmyk| &mut cmyk.buffer);
        guard(|| self.decoder.read_scanlines_into(target).map(|_| ()))?;
        // libjpeg fills up a picture that is cut short with grey; a wrong picture must not be classified.
        if self.ended.get() {
            bail!("it is cut short");
        }
        if let Some(cmyk) = &self.cmyk {
            super::pixels::cmyk_to_rgb(&cmyk.buffer, cmyk.inverted, row);
        }
        Ok(())
    }
}

/// A reader that remembers being asked for more than there is.
struct Watched {
    inner: Reader,
    ended: Rc<Cell<bool>>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl BufRead for Watched {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buffer = self.inner.fill_buf()?;
        if buffer.is_empty() {
            self.ended.set(true);
        }
        Ok(buffer)
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
    }
}

/// libjpeg reports a fatal error by unwinding with its message; here it becomes an error like any other.
fn guard<T>(work: impl FnOnce() -> io::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.context("libjpeg cannot go on"),
        Err(payload) => {
            let message = payload.downcast_ref::<String>().map_or("libjpeg gave up", String::as_str);
            Err(anyhow!("{}", message.trim_start_matches("libjpeg fatal error: ")))
        }
    }
}
