//! Large JPEGs, made by libjpeg when a test needs them: too large for the repository.
use dermai::units::Size;
use mozjpeg::{ColorSpace, Compress};
use std::io::Write;

/// How a JPEG is compressed.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub quality: f32,
    /// Chroma at half the size along both axes (4:2:0); otherwise 4:4:4.
    pub halved: bool,
    pub progressive: bool,
}

/// Compresses the rows that `row` fills, `[width, 3]` each. The file has an EXIF block with orientation 1, see [`turn`].
pub fn jpeg<W: Write>(size: Size, kind: Kind, out: W, mut row: impl FnMut(u32, &mut [u8])) -> W {
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    jpeg.set_size(size.width as usize, size.height as usize);
    jpeg.set_fastest_defaults();
    jpeg.set_color_space(ColorSpace::JCS_YCbCr);
    jpeg.set_quality(kind.quality);
    let pixel = if kind.halved { (2, 2) } else { (1, 1) };
    jpeg.set_chroma_sampling_pixel_sizes(pixel, pixel);
    if kind.progressive {
        jpeg.set_progressive_mode();
    }
    let mut started = jpeg.start_compress(out).expect("a header");
    started.write_marker(mozjpeg::Marker::APP(1), &[b"Exif\0\0".as_slice(), &UPRIGHT].concat());
    let mut pixels = vec![0; size.width as usize * 3];
    for y in 0..size.height {
        row(y, &mut pixels);
        started.write_scanlines(&pixels).expect("a row");
    }
    started.finish().expect("an end")
}

/// A big-endian TIFF header and a directory with one entry: tag 274, type SHORT, count 1, value 1.
const UPRIGHT: [u8; 26] = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0";

/// Changes the orientation in a file of [`jpeg`].
pub fn turn(file: &mut [u8], orientation: u8) {
    let start = 2 + find(file, b"\x01\x12\0\x03\0\0\0\x01");
    file[start + 7] = orientation;
}

/// Changes the size in the frame header, so that a small file says that it is a large one.
pub fn pretend(file: &mut [u8], size: Size) {
    let start = find(file, &[0xff, 0xc2]) + 5; // marker, length, precision
    file[start..start + 2].copy_from_slice(&(size.height as u16).to_be_bytes());
    file[start + 2..start + 4].copy_from_slice(&(size.width as u16).to_be_bytes());
}

fn find(file: &[u8], what: &[u8]) -> usize {
    file.windows(what.len()).position(|window| window == what).expect("it is in the file")
}

/// Fills rows with soft shapes under fine grain: cheap to make, and neither flat nor noise to a JPEG.
pub fn texture(size: Size) -> impl FnMut(u32, &mut [u8]) {
    let wave = |n: u32, period: f64| (f64::from(n) / period).sin();
    let width = size.width;
    let columns: Vec<[f64; 3]> = (0..width).map(|x| [wave(x, 310.0), wave(x, 170.0), wave(x, 90.0)]).collect();
    let grain = super::pictures::noise(7, 65_536);
    move |y, row| {
        let down = [wave(y, 230.0), wave(y, 120.0), wave(y, 410.0)];
        let grain = &grain[(y as usize * 977) % 32_768..];
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let grain = f64::from(grain[x % 32_768] & 15);
            for channel in 0..3 {
                pixel[channel] = (120.0 + 50.0 * columns[x][channel] + 50.0 * down[channel] + grain) as u8;
            }
        }
    }
}
