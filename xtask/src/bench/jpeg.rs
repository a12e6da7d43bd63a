//! A photo of many megapixels, made when it is needed: too large for the repository.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use mozjpeg::{ColorSpace, Compress};

/// Writes a baseline JPEG row by row: soft shapes under fine grain, neither flat nor noise to a JPEG. Chroma is halved
/// on both axes (4:2:0) or kept (4:4:4).
pub fn write(path: &Path, size: [usize; 2], halved: bool) -> Result<()> {
    write_other(path, size, halved, 0)
}

/// The same with other shapes and colours for each `look` from 0 to 5.
pub fn write_other(path: &Path, [width, height]: [usize; 2], halved: bool, look: u8) -> Result<()> {
    let named = || format!("cannot write `{}`", path.display());
    let file = BufWriter::new(File::create(path).with_context(named)?);
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    jpeg.set_size(width, height);
    jpeg.set_fastest_defaults();
    jpeg.set_color_space(ColorSpace::JCS_YCbCr);
    jpeg.set_quality(90.0);
    let pixel = if halved { (2, 2) } else { (1, 1) };
    jpeg.set_chroma_sampling_pixel_sizes(pixel, pixel);
    let mut started = jpeg.start_compress(file).with_context(named)?;
    let mut row = vec![0; width * 3];
    let mut grain: u32 = 1;
    let look = f64::from(look);
    let columns: Vec<f64> = (0..width).map(|x| (x as f64 / 310.0 + look).sin()).collect();
    let (green, blue) = (0.8 - 0.1 * look, 0.7 - 0.12 * look);
    for y in 0..height {
        let down = (y as f64 / (230.0 + 90.0 * look)).sin();
        for (pixel, across) in row.as_chunks_mut::<3>().0.iter_mut().zip(&columns) {
            grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let light = 120.0 + 50.0 * across + 40.0 * down + f64::from(grain >> 28);
            *pixel = [light as u8, (light * green) as u8, (light * blue) as u8];
        }
        started.write_scanlines(&row).with_context(named)?;
    }
    started.finish().and_then(|mut file| file.flush()).with_context(named)
}
