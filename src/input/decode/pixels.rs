//! Pixel formats to 8-bit RGB, row by row, in the arithmetic of Pillow where Pillow has one.

/// Layout of the samples that a decoder gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Samples {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    Cmyk,
}

impl Samples {
    /// Samples per pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

/// Turns a row of 8-bit samples into RGB; alpha is laid over white.
pub fn to_rgb(samples: Samples, row: &[u8], rgb: &mut [u8]) {
    let pixels = row.chunks_exact(samples.count()).zip(rgb.chunks_exact_mut(3));
    match samples {
        Samples::Grey => pixels.for_each(|(from, to)| to.fill(from[0])),
        Samples::GreyAlpha => pixels.for_each(|(from, to)| to.fill(over_white(from[0], from[1]))),
        Samples::Rgb => rgb.copy_from_slice(row),
        Samples::Rgba => pixels.for_each(|(from, to)| {
            for channel in 0..3 {
                to[channel] = over_white(from[channel], from[3]);
            }
        }),
        Samples::Cmyk => cmyk_to_rgb(row, false, rgb),
    }
}

/// Turns 16-bit samples into 8-bit ones: 65535 becomes 255, rounded to the nearest.
pub fn narrow(wide: impl Iterator<Item = u16>, narrow: &mut Vec<u8>) {
    narrow.clear();
    narrow.extend(wide.map(|v| ((u32::from(v) + 128) / 257) as u8));
}

/// CMYK to RGB without a colour profile, as Pillow's `convert("RGB")`; Adobe's files store the inverse.
pub fn cmyk_to_rgb(cmyk: &[u8], inverted: bool, rgb: &mut [u8]) {
    let flip = if inverted { 255 } else { 0 };
    for (from, to) in cmyk.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
        let white = 255 - (from[3] ^ flip);
        for channel in 0..3 {
            to[channel] = white - divide_by_255(u32::from(from[channel] ^ flip) * u32::from(white));
        }
    }
}

/// `value` with opacity `alpha` on a white ground.
fn over_white(value: u8, alpha: u8) -> u8 {
    divide_by_255(u32::from(value) * u32::from(alpha) + 255 * u32::from(255 - alpha))
}

/// `n / 255` rounded to the nearest, for n up to 255 * 255.
fn divide_by_255(n: u32) -> u8 {
    ((n + 127) / 255) as u8
}
