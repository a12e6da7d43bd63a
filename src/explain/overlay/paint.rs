//! The colours of one row: photo, heat and outline.
use super::Style;
use super::colormap::{self, Colors};
use super::contour::{Contour, Stroke};
use super::heat::{Enlarged, Heat};
use crate::input::Geometry;
use std::ops::Range;

/// One in the fixed-point arithmetic of mixing.
const ONE: u32 = 1 << 16;

/// Paints a heat over rows of a photo.
pub struct Painter<'h> {
    heat: Enlarged<'h>,
    contour: Option<Contour<'h>>,
    columns: Range<u32>,
    colors: Colors,
    /// Part of the photo in the result, out of [`ONE`].
    photo: u32,
    heatmap_only: bool,
    values: Vec<f32>,
    strokes: Vec<Stroke>,
}

impl<'h> Painter<'h> {
    /// A painter for the photo of `geometry`.
    pub fn new(heat: &'h Heat, geometry: &Geometry, style: &Style) -> Self {
        let alpha = if style.heatmap_only { 1.0 } else { style.alpha };
        let outlined = |threshold| Contour::new(Enlarged::new(heat, geometry), threshold, geometry.picture);
        Self {
            heat: Enlarged::new(heat, geometry),
            contour: style.contour.map(outlined),
            columns: geometry.x.seen(),
            colors: style.colormap.colors(),
            photo: ONE - (alpha * ONE as f32).round() as u32,
            heatmap_only: style.heatmap_only,
            values: Vec::new(),
            strokes: Vec::new(),
        }
    }

    /// The columns that are painted in row `y`; what lies beside them stays the photo, or becomes white without it.
    pub fn painted(&self, y: u32) -> Range<u32> {
        if self.heat.rows().contains(&y) { self.columns.clone() } else { 0..0 }
    }

    /// Paints over row `y` of the photo, `[width, 3]`; rows have to come in order.
    pub fn paint(&mut self, y: u32, row: &mut [u8]) {
        if self.heatmap_only {
            row.fill(u8::MAX);
        }
        if !self.heat.rows().contains(&y) {
            return;
        }
        let pixels = &mut row.as_chunks_mut::<3>().0[self.columns.start as usize..self.columns.end as usize];
        self.heat.row(y, &mut self.values);
        for (pixel, &value) in pixels.iter_mut().zip(&self.values) {
            for (channel, color) in pixel.iter_mut().zip(self.colors[colormap::index(value)]) {
                let mixed = u32::from(*channel) * self.photo + u32::from(color) * (ONE - self.photo);
                *channel = ((mixed + ONE / 2) / ONE) as u8;
            }
        }
        if let Some(contour) = &mut self.contour {
            contour.row(y, &mut self.strokes);
            for (pixel, stroke) in pixels.iter_mut().zip(&self.strokes) {
                match stroke {
                    Stroke::None => {}
                    Stroke::White => *pixel = [255; 3],
                    Stroke::Black => *pixel = [0; 3],
                }
            }
        }
    }
}
