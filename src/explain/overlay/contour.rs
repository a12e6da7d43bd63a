//! The outline of what lies above a threshold, row by row: a white line inside its edge and a thin black one outside, seen on any colour.
use super::heat::Enlarged;
use crate::units::Size;
use std::collections::VecDeque;

/// A white line's width is the picture's shorter side by this.
const PART: u32 = 250;
/// Distances are kept in a byte.
const WIDEST: u32 = 100;

/// What stands at a pixel of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Nothing.
    None,
    /// The white line.
    White,
    /// Its black edge.
    Black,
}

/// How far pixels of a row are from its next pixel of the other kind; 0 for those of the other kind themselves.
struct Distances {
    /// Of a pixel above the threshold from one below it.
    below: Vec<u8>,
    /// Of a pixel below the threshold from one above it.
    above: Vec<u8>,
}

/// Outlines the places of an enlarged map at `threshold` or above. The edge of what the network saw is no outline.
pub struct Contour<'h> {
    heat: Enlarged<'h>,
    threshold: f32,
    /// For each row distance from 0, the column distance that still lies within the line.
    white: Vec<u8>,
    black: Vec<u8>,
    /// Rows from `first` on, those that a line in the row in hand depends on.
    window: VecDeque<Distances>,
    first: u32,
    values: Vec<f32>,
}

impl<'h> Contour<'h> {
    /// An outline in a picture of size `picture`.
    pub fn new(heat: Enlarged<'h>, threshold: f32, picture: Size) -> Self {
        let white = (picture.width.min(picture.height) / PART).clamp(1, WIDEST);
        let first = heat.rows().start;
        Self {
            heat,
            threshold,
            white: circle(white),
            black: circle((white / 3).max(1)),
            window: VecDeque::new(),
            first,
            values: Vec::new(),
        }
    }

    /// The strokes of row `y`, one for each column that was seen; rows have to be asked for from the first seen one on, in order.
    pub fn row(&mut self, y: u32, strokes: &mut Vec<Stroke>) {
        let rows = self.heat.rows();
        let reach = self.white.len() as u32 - 1;
        while self.first + reach < y {
            self.window.pop_front();
            self.first += 1;
        }
        while self.first + (self.window.len() as u32) < (y + reach + 1).min(rows.end) {
            let next = self.first + self.window.len() as u32;
            self.heat.row(next, &mut self.values);
            let high: Vec<bool> = self.values.iter().map(|&value| value >= self.threshold).collect();
            self.window.push_back(Distances { below: distances(&high, false), above: distances(&high, true) });
        }
        let own = &self.window[(y - self.first) as usize];
        strokes.clear();
        strokes.resize(own.below.len(), Stroke::None);
        for (at, row) in self.window.iter().enumerate() {
            let away = (self.first + at as u32).abs_diff(y) as usize;
            mark(strokes, &row.below, self.white.get(away), &own.below, Stroke::White);
            mark(strokes, &row.above, self.black.get(away), &own.above, Stroke::Black);
        }
    }
}

/// The half widths of a disc of radius `radius`, from its middle row outwards.
fn circle(radius: u32) -> Vec<u8> {
    (0..=radius).map(|row| f64::from(radius * radius - row * row).sqrt() as u8).collect()
}

/// For each pixel, how far the next one in its row is that is `kind`; 255 where there is none or it is further.
fn distances(high: &[bool], kind: bool) -> Vec<u8> {
    let step = |away: &mut u8, at: usize| {
        *away = if high[at] == kind { 0 } else { away.saturating_add(1) };
        *away
    };
    let mut away = u8::MAX;
    let mut found: Vec<u8> = (0..high.len()).map(|at| step(&mut away, at)).collect();
    away = u8::MAX;
    for at in (0..high.len()).rev() {
        found[at] = found[at].min(step(&mut away, at));
    }
    found
}

/// Marks the pixels that are of the other kind themselves (`own` is not 0) and within `reach` columns of one of the kind in `row`.
fn mark(strokes: &mut [Stroke], row: &[u8], reach: Option<&u8>, own: &[u8], stroke: Stroke) {
    let Some(&reach) = reach else { return };
    for ((to, &away), &own) in strokes.iter_mut().zip(row).zip(own) {
        if away <= reach && own != 0 {
            *to = stroke;
        }
    }
}
