//! Maps as numbers: `.npy` for programs, 16-bit grey for image editors.
use super::heat::{Heat, over_picture};
use super::write;
use crate::explain::Map;
use crate::input::Geometry;
use crate::units::Size;
use anyhow::{Context, Result};
use ndarray_npy::WriteNpyExt;
use png::{BitDepth, ColorType};
use std::io::Write;

/// Writes a raw map as `.npy`: float32 `[h, w]` in C order, after `Relu`, before normalisation and upsampling, padding included. Any map will do, flat or not.
pub fn write_npy(map: &Map, out: impl Write) -> Result<()> {
    map.as_standard_layout().write_npy(out).context("the map cannot be written")
}

/// Writes the normalised map as a 16-bit grey PNG at the map's own resolution, 0 to 65535, and gives the PNG's size. It holds the part of the
/// map that lies over the picture (see [`Geometry`]): stretched over the columns and rows that were seen, it lies where it belongs.
pub fn write_grey(heat: &Heat, geometry: &Geometry, out: impl Write) -> Result<Size> {
    let map = over_picture(heat, geometry);
    let size = Size { width: map.ncols() as u32, height: map.nrows() as u32 };
    let mut png = write::begin(out, size, ColorType::Grayscale, BitDepth::Sixteen)?;
    let mut png = write::rows(&mut png)?;
    for line in map.rows() {
        let row: Vec<u8> =
            line.iter().flat_map(|value| ((value * f32::from(u16::MAX)).round() as u16).to_be_bytes()).collect();
        write::row(&mut png, &row)?;
    }
    write::finish(png)?;
    Ok(size)
}
