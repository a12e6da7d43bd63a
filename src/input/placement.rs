//! Where an upright picture comes to lie in a network's input, and so which of its pixels the network saw.
use super::tensor::{Preprocessing, Resize};
use crate::units::Size;
use std::ops::Range;

/// Where an upright picture comes to lie: it is scaled to `scaled`, of which columns `x` and rows `y` are kept and put at `offset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Size of the whole picture once scaled.
    pub scaled: Size,
    /// Columns of it that are kept.
    pub x: Range<u32>,
    /// Rows of it that are kept.
    pub y: Range<u32>,
    /// Column and row of the network's input where they begin.
    pub offset: (u32, u32),
}

impl Placement {
    /// The placement of a picture of size `upright`.
    pub fn of(upright: Size, spec: &Preprocessing) -> Self {
        let [height, width] = spec.size;
        let whole = |scaled: Size, offset| Self { scaled, x: 0..scaled.width, y: 0..scaled.height, offset };
        match spec.resize {
            Resize::Stretch { .. } => whole(Size { width, height }, (0, 0)),
            Resize::Crop { shortest, .. } => {
                let long = |long: u32, short: u32| (f64::from(shortest) * f64::from(long) / f64::from(short)) as u32;
                let scaled = if upright.width <= upright.height {
                    Size { width: shortest, height: long(upright.height, upright.width) }
                } else {
                    Size { width: long(upright.width, upright.height), height: shortest }
                };
                let start = |scaled: u32, kept: u32| (f64::from(scaled - kept) / 2.0).round_ties_even() as u32;
                let (left, top) = (start(scaled.width, width), start(scaled.height, height));
                Self { scaled, x: left..left + width, y: top..top + height, offset: (0, 0) }
            }
            Resize::Pad { .. } => {
                let by =
                    (f64::from(width) / f64::from(upright.width)).min(f64::from(height) / f64::from(upright.height));
                let side = |length: u32, most: u32| ((f64::from(length) * by).round_ties_even() as u32).clamp(1, most);
                let scaled = Size { width: side(upright.width, width), height: side(upright.height, height) };
                whole(scaled, ((width - scaled.width) / 2, (height - scaled.height) / 2))
            }
        }
    }
}

/// Where a network looked in an upright picture. `crop` shows it a part of the picture, `pad` shows it the picture on a ground.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Size of the upright picture.
    pub picture: Size,
    /// Columns.
    pub x: Sight,
    /// Rows.
    pub y: Sight,
}

/// One axis of a [`Geometry`]: a line that takes the picture's pixels to places in the network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    pixels: u32,
    /// Length of a pixel, in parts of the network's input.
    step: f64,
    /// Place of the first pixel's outer edge.
    start: f64,
}

impl Geometry {
    /// Where `spec` puts an upright picture of size `picture`.
    pub fn of(picture: Size, spec: &Preprocessing) -> Self {
        let placement = Placement::of(picture, spec);
        let [height, width] = spec.size;
        let sight = |pixels: u32, scaled: u32, kept: &Range<u32>, offset: u32, input: u32| Sight {
            pixels,
            step: f64::from(scaled) / f64::from(pixels) / f64::from(input),
            start: (f64::from(offset) - f64::from(kept.start)) / f64::from(input),
        };
        Self {
            picture,
            x: sight(picture.width, placement.scaled.width, &placement.x, placement.offset.0, width),
            y: sight(picture.height, placement.scaled.height, &placement.y, placement.offset.1, height),
        }
    }
}

impl Sight {
    /// The place of a pixel's centre in the network's input: 0 is its left or upper edge, 1 the opposite one; outside of 0..=1 lies what was not seen.
    pub fn place(&self, pixel: u32) -> f64 {
        self.start + self.step * (f64::from(pixel) + 0.5)
    }

    /// The pixels whose centres the network saw.
    pub fn seen(&self) -> Range<u32> {
        let at = |place: f64| (place - self.start) / self.step - 0.5;
        let bound = |pixel: f64| pixel.clamp(0.0, self.pixels.into()) as u32;
        let first = bound(at(0.0).ceil());
        first..bound(at(1.0).floor() + 1.0).max(first)
    }

    /// The part of the network's input, 0 to 1, that shows the picture; the rest is padding.
    pub fn covered(&self) -> Range<f64> {
        self.start.max(0.0)..(self.start + self.step * f64::from(self.pixels)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Color, Filter, Layout};

    fn geometry(picture: (u32, u32), size: [u32; 2], resize: Resize) -> Geometry {
        let spec = Preprocessing {
            layout: Layout::Nchw,
            size,
            color: Color::Rgb,
            resize,
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        Geometry::of(Size { width: picture.0, height: picture.1 }, &spec)
    }

    #[test]
    fn stretch_shows_all() {
        let geometry = geometry((400, 300), [100, 200], Resize::Stretch { filter: Filter::Bilinear });
        assert_eq!((geometry.x.seen(), geometry.y.seen()), (0..400, 0..300));
        assert_eq!((geometry.x.place(0), geometry.y.place(299)), (0.5 / 400.0, 299.5 / 300.0));
    }

    #[test]
    fn crop_shows_the_centre() {
        // 400x300 is scaled to 200x150; 60 columns from 70 and 100 rows from 25 are kept.
        let geometry = geometry((400, 300), [100, 60], Resize::Crop { shortest: 150, filter: Filter::Bilinear });
        assert_eq!((geometry.x.seen(), geometry.y.seen()), (140..260, 50..250));
        assert!((geometry.x.place(140) - 0.5 / 120.0).abs() < 1e-12, "{geometry:?}");
        assert_eq!((geometry.x.covered(), geometry.y.covered()), (0.0..1.0, 0.0..1.0));
    }

    #[test]
    fn pad_shows_all_within_a_part_of_the_input() {
        // 400x300 is scaled to 200x150 and put 25 rows below the upper edge.
        let geometry = geometry((400, 300), [200, 200], Resize::Pad { color: [0; 3], filter: Filter::Bilinear });
        assert_eq!((geometry.x.seen(), geometry.y.seen()), (0..400, 0..300));
        assert_eq!((geometry.x.covered(), geometry.y.covered()), (0.0..1.0, 0.125..0.875));
    }

    #[test]
    fn a_crop_between_two_pixels_shows_none() {
        // 2x1 is scaled to 368x184, of which the middle 160 columns lie between both centres.
        let geometry = geometry((2, 1), [160, 160], Resize::Crop { shortest: 184, filter: Filter::Bilinear });
        assert_eq!((geometry.x.seen().len(), geometry.y.seen()), (0, 0..1));
    }
}
