//! EXIF orientation: how the stored rows and columns lie in the upright picture.
use crate::units::Size;

/// The eight orientations of EXIF tag 274 (Exif 2.32, section 4.6.4.A), as a transposition and mirrors of the stored axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation(u8);

impl Orientation {
    /// Stored as it is to be seen.
    pub const UPRIGHT: Self = Self(1);

    /// From the tag's value; anything but 1 to 8 counts as upright, as readers do.
    pub fn from_exif(value: u8) -> Self {
        if (1..=8).contains(&value) { Self(value) } else { Self::UPRIGHT }
    }

    /// From an EXIF block (a TIFF header and its directory); absent or broken counts as upright.
    pub fn from_exif_block(block: &[u8]) -> Self {
        image::metadata::Orientation::from_exif_chunk(block).map_or(Self::UPRIGHT, |o| Self::from_exif(o.to_exif()))
    }

    /// Whether stored columns are the upright picture's rows.
    pub fn is_transposed(self) -> bool {
        self.0 >= 5
    }

    /// Whether the stored x axis runs against the upright axis that it becomes.
    pub fn mirrors_stored_x(self) -> bool {
        matches!(self.0, 2 | 3 | 7 | 8)
    }

    /// Whether the stored y axis runs against the upright axis that it becomes.
    pub fn mirrors_stored_y(self) -> bool {
        matches!(self.0, 3 | 4 | 6 | 7)
    }

    /// The upright size of a picture stored with `size`.
    pub fn upright(self, size: Size) -> Size {
        if self.is_transposed() { size.transposed() } else { size }
    }

    /// Turns stored pixels (`[h, w, 3]`, 8 bit, `size` as stored) upright.
    pub fn apply(self, pixels: Vec<u8>, size: Size) -> Vec<u8> {
        if self == Self::UPRIGHT {
            return pixels;
        }
        let up = self.upright(size);
        let (width, height) = (size.width as usize, size.height as usize);
        let mut out = Vec::with_capacity(pixels.len());
        for y in 0..up.height as usize {
            for x in 0..up.width as usize {
                let (mut sx, mut sy) = if self.is_transposed() { (y, x) } else { (x, y) };
                if self.mirrors_stored_x() {
                    sx = width - 1 - sx;
                }
                if self.mirrors_stored_y() {
                    sy = height - 1 - sy;
                }
                let at = (sy * width + sx) * 3;
                out.extend_from_slice(&pixels[at..at + 3]);
            }
        }
        out
    }
}
