//! An overlay made small while its rows pass by.
use crate::input::{Axis, Filter, Order, Resizer};
use crate::units::Size;

/// A small picture, made row by row.
#[derive(Debug)]
pub struct Thumbnail {
    resizer: Resizer,
    size: Size,
}

impl Thumbnail {
    /// The room that it keeps to.
    pub const ROOM: Size = Size { width: 160, height: 120 };

    /// A thumbnail of a picture of size `picture`, with its proportions.
    pub fn of(picture: Size) -> Self {
        let room = Self::ROOM;
        let ratio = |room: u32, length: u32| f64::from(room) / f64::from(length);
        let by = ratio(room.width, picture.width).min(ratio(room.height, picture.height));
        let scaled = |length: u32, most: u32| ((f64::from(length) * by).round() as u32).clamp(1, most);
        let size = Size { width: scaled(picture.width, room.width), height: scaled(picture.height, room.height) };
        let axis = |from: u32, to: u32| Axis::new(Filter::Bilinear, from, 0.0..from.into(), to, 0..to);
        let (across, down) = (axis(picture.width, size.width), axis(picture.height, size.height));
        Self { resizer: Resizer::new(picture.width, across, down, Order::AcrossFirst), size }
    }

    /// Takes the next row, `[width, 3]`.
    pub fn push(&mut self, rgb: &[u8]) {
        self.resizer.push(rgb);
    }

    /// The small picture, `[h, w, 3]`; none when it was not given all rows.
    pub(super) fn finish(self) -> Option<(Vec<u8>, Size)> {
        self.resizer.is_done().then(|| (self.resizer.finish().0, self.size))
    }
}
