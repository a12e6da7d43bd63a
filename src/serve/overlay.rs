//! Overlays that leave while they are painted, as bytes or as text.
use crate::explain::overlay::{Heat, Style, write_overlay};
use crate::input::{Geometry, UprightRows};
use anyhow::{Context, Result};
use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Write};

/// A photo under its map, painted while it is written: as text it is the PNG in base64.
pub struct Overlay {
    rows: RefCell<UprightRows>,
    geometry: Geometry,
    heat: Heat,
    style: Style,
    /// Why it could not be painted to its end.
    broken: Cell<Option<anyhow::Error>>,
}

impl Overlay {
    /// The photo has to stand at its first row.
    pub fn new(rows: UprightRows, geometry: Geometry, heat: Heat, style: Style) -> Self {
        Self { rows: RefCell::new(rows), geometry, heat, style, broken: Cell::default() }
    }

    /// Why it could not be painted to its end, if it could not.
    pub fn broken(self) -> Option<anyhow::Error> {
        self.broken.take()
    }

    /// Paints it, as a PNG.
    pub fn write(&self, out: impl Write) -> Result<()> {
        write_overlay(&mut self.rows.borrow_mut(), &self.geometry, &self.heat, &self.style, out, None)
    }
}

impl fmt::Display for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text { to: f, failed: false };
        let mut encoder = EncoderWriter::new(&mut text, &STANDARD);
        let painted = self.write(&mut encoder).and_then(|()| encoder.finish().map(drop).context("base64"));
        drop(encoder);
        match (painted, text.failed) {
            (Ok(()), _) => Ok(()),
            (Err(_), true) => Err(fmt::Error),
            // The formatter knows of no other errors than its own.
            (Err(error), false) => {
                self.broken.set(Some(error));
                Ok(())
            }
        }
    }
}

/// Bytes that are ASCII, as text.
struct Text<'a, 'f> {
    to: &'a mut fmt::Formatter<'f>,
    failed: bool,
}

impl Write for Text<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.to.write_str(text).map_err(|error| {
            self.failed = true;
            io::Error::other(error)
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
