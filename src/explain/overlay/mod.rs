//! From a raw map to files: overlay, legend, contact sheet, `.npy` and 16-bit grey.
//!
//! Invariants: plain data in, bytes into any `Write` out; a photo is painted row by row and never held; a map lies where the network looked
//! ([`Geometry`](crate::input::Geometry)) and nothing else of the photo changes; a flat map is not painted; no metadata is written; the
//! same input gives the same bytes.
mod colormap;
mod contour;
mod heat;
mod legend;
mod paint;
mod raw;
mod sheet;
pub mod text;
mod thumbnail;
mod turbo;
mod write;

pub use colormap::Colormap;
pub use heat::{Flat, Heat};
pub use legend::Caption;
pub use raw::{write_grey, write_npy};
pub use sheet::{Cell, Sheet, Shown};
pub use thumbnail::Thumbnail;
pub use write::write_overlay;

use anyhow::{Result, ensure};

/// How an overlay is painted.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// Part of the heat's colour in the result, 0 to 1; the rest is the photo. [`Style::ALPHA`] unless told.
    pub alpha: f32,
    /// Colours.
    pub colormap: Colormap,
    /// The heat alone, without the photo: `alpha` counts as 1, and what the network did not see is transparent (white beside the photo).
    pub heatmap_only: bool,
    /// Outlines where the normalised map is at this value or above (above 0, at most 1), within what the network saw; the line is 1/250 of
    /// the photo's shorter side wide.
    pub contour: Option<f32>,
    /// Photo and overlay beside each other above a legend that says this.
    pub side_by_side: Option<Caption>,
}

impl Style {
    /// Half heat, half photo.
    pub const ALPHA: f32 = 0.5;

    /// Unless told otherwise.
    pub const USUAL: Self =
        Self { alpha: Self::ALPHA, colormap: Colormap::Jet, heatmap_only: false, contour: None, side_by_side: None };

    /// An error that names the flag whose value is out of range.
    pub fn check(&self) -> Result<()> {
        ensure!((0.0..=1.0).contains(&self.alpha), "`--alpha` is {}; it has to lie between 0 and 1", self.alpha);
        if let Some(threshold) = self.contour {
            ensure!(
                threshold > 0.0 && threshold <= 1.0,
                "`--contour` is {threshold}; it has to be above 0 and at most 1, such as 0.5"
            );
        }
        Ok(())
    }
}
