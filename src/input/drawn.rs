//! A drawn photo, for measuring what a picture of a given size costs where nobody has named one.
use crate::units::Size;
use anyhow::{Context, Result};
use mozjpeg::{ColorSpace, Compress};
use std::io::Write;

/// As phones compress: 12 megapixels take about 4 MB.
const QUALITY: f32 = 90.0;

/// Writes a baseline JPEG, 4:2:0, with a dark spot on a light ground and the grain that a sensor has.
pub fn write_drawn_photo(out: impl Write, size: Size) -> Result<()> {
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    jpeg.set_size(size.width as usize, size.height as usize);
    jpeg.set_fastest_defaults();
    jpeg.set_color_space(ColorSpace::JCS_YCbCr);
    jpeg.set_quality(QUALITY);
    jpeg.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
    let mut started = jpeg.start_compress(out).context("the photo cannot be drawn")?;
    let mut row = vec![0u8; size.width as usize * 3];
    let [width, height] = [size.width, size.height].map(f64::from);
    let mut noise = 0x9e37_79b9_u32;
    for y in 0..size.height {
        let v = (f64::from(y) / height - 0.5) * height / width;
        for (x, pixel) in (0..size.width).zip(row.chunks_exact_mut(3)) {
            let u = f64::from(x) / width - 0.5;
            let spot = (1.0 - (u * u + v * v) * 30.0).clamp(0.0, 1.0);
            for (value, ground) in pixel.iter_mut().zip([215.0, 165.0, 145.0]) {
                // xorshift (Marsaglia 2003): grain of 16 levels.
                noise ^= noise << 13;
                noise ^= noise >> 17;
                noise ^= noise << 5;
                *value = (ground * (1.0 - 0.7 * spot)) as u8 + (noise & 15) as u8;
            }
        }
        started.write_scanlines(&row).context("the photo cannot be drawn")?;
    }
    started.finish().context("the photo cannot be drawn")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Limits, Stream, UprightRows};
    use crate::units::Bytes;

    #[test]
    fn it_is_a_photo_of_the_size_that_was_asked_for() {
        let size = Size { width: 400, height: 300 };
        let mut bytes = Vec::new();
        write_drawn_photo(&mut bytes, size).unwrap();
        let limits = Limits::within(Bytes::mb(512));
        let mut rows =
            UprightRows::open(Stream::Memory(std::io::Cursor::new(bytes)), &limits, UprightRows::BUFFER).unwrap();
        assert_eq!(rows.size(), size);
        let mut row = vec![0; 1200];
        let mut brightness = Vec::new();
        for _ in 0..size.height {
            rows.next_row(&mut row).unwrap();
            brightness.push(row[600..603].iter().map(|&value| u32::from(value)).sum::<u32>());
        }
        assert!(brightness[150] * 2 < brightness[5], "dark in the middle: {brightness:?}");
    }
}
