//! Resizing by rows with Pillow's filters and Pillow's integer arithmetic, so that the result is Pillow's to the bit.
//!
//! After Pillow's `src/libImaging/Resample.c` (antialiased, separable, weights in 22-bit fixed point, 8-bit values between the two
//! passes) and `Geometry.c` (nearest). `fast_image_resize` computes the same but needs the whole source picture in memory: 144 MB for 48
//! megapixels; here a row is enough.
use crate::units::Size;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::f64::consts::PI;
use std::ops::Range;

/// Fractional bits of a weight.
const PRECISION: u32 = 32 - 8 - 2;
/// Memory for sums of whole source rows; 65,535 pixels (the widest JPEG) by the 7 rows that lanczos adds up to when it shrinks take 5.3 MB.
const MOST_HELD: u64 = 6 << 20;
/// One half, added so that the final shift rounds.
const HALF: i32 = 1 << (PRECISION - 1);

/// Pillow's resampling filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Filter {
    Nearest,
    Box,
    Bilinear,
    Bicubic,
    Lanczos,
}

impl Filter {
    /// Half the filter's width in output pixels.
    /// Source positions on each side that one output position is made of, at scale 1.
    pub fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let d = x.abs();
        match self {
            Self::Nearest => 1.0,
            Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - d).max(0.0),
            Self::Bicubic if d < 1.0 => ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0,
            Self::Bicubic if d < 2.0 => (((d - 5.0) * d + 8.0) * d - 4.0) * A,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Bicubic | Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// For each output position along one axis, which source positions it is made of, and how much of each.
#[derive(Clone, Debug)]
pub struct Axis {
    windows: Vec<Window>,
    weights: Vec<i32>,
}

#[derive(Clone, Debug)]
struct Window {
    first: u32,
    weights: Range<usize>,
}

impl Axis {
    /// Scales `span` (a stretch of the source axis of `source` positions, fractions allowed) to `target` positions, of which those in `kept` are wanted.
    pub fn new(filter: Filter, source: u32, span: Range<f64>, target: u32, kept: Range<u32>) -> Self {
        let mut axis = Self { windows: Vec::with_capacity(kept.len()), weights: Vec::new() };
        let scale = (span.end - span.start) / f64::from(target);
        if filter == Filter::Nearest {
            // Pillow adds up the position step by step; so does this, for the same rounding.
            let mut at = span.start + scale * 0.5;
            for position in 0..kept.end {
                if kept.contains(&position) {
                    axis.push((at as u32).min(source - 1), &[1.0]);
                }
                at += scale;
            }
            return axis;
        }
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let mut weights = Vec::new();
        for position in kept {
            let center = span.start + (f64::from(position) + 0.5) * scale;
            let first = ((center - support + 0.5) as i64).max(0) as u32;
            let end = ((center + support + 0.5) as i64).min(source.into()) as u32;
            weights.clear();
            weights.extend((first..end).map(|x| filter.weight((f64::from(x) - center + 0.5) * (1.0 / stretch))));
            let sum: f64 = weights.iter().sum();
            if sum != 0.0 {
                for weight in &mut weights {
                    *weight /= sum;
                }
            }
            axis.push(first, &weights);
        }
        axis
    }

    fn push(&mut self, first: u32, weights: &[f64]) {
        let start = self.weights.len();
        let fixed = |w: &f64| (w * f64::from(1 << PRECISION) + 0.5f64.copysign(*w)) as i32;
        self.weights.extend(weights.iter().map(fixed));
        self.windows.push(Window { first, weights: start..self.weights.len() });
    }

    /// The same for a source axis of `source` positions that runs the other way; output positions then do too.
    #[must_use]
    pub fn mirrored(mut self, source: u32) -> Self {
        self.windows.reverse();
        for window in &mut self.windows {
            self.weights[window.weights.clone()].reverse();
            window.first = source - window.first - window.weights.len() as u32;
        }
        self
    }

    /// The most output positions that one source position is a part of, or lies between.
    fn most_open(&self) -> usize {
        let end = |window: &Window| window.first as usize + window.weights.len();
        let open = |(at, window): (usize, &Window)| {
            self.windows[at..].iter().take_while(|later| (later.first as usize) < end(window)).count()
        };
        self.windows.iter().enumerate().map(open).max().unwrap_or(0)
    }

    /// Number of output positions.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether there is no output position.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }
}

/// Which axis is resampled first. Values are rounded to 8 bits between the two passes, so the order shows in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each row, then the columns of what that gives.
    AcrossFirst,
    /// The columns, then each row of what that gives.
    DownFirst,
}

impl Order {
    /// Pillow's choice for an upright picture (since 13.0; columns first where their height shrinks by more than twice what the width does).
    pub fn of_pillow(from: Size, to: Size) -> Self {
        let lost = |from: u32, to: u32| i64::from(from) - i64::from(to);
        let (rows, columns) = (lost(from.height, to.height), lost(from.width, to.width));
        if rows > 0 && rows > columns * 2 { Self::DownFirst } else { Self::AcrossFirst }
    }

    /// The same choice for the picture with its axes exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        match self {
            Self::AcrossFirst => Self::DownFirst,
            Self::DownFirst => Self::AcrossFirst,
        }
    }
}

/// Takes rows of 8-bit RGB from top to bottom and gives the resized picture; holds a few rows at a time.
#[derive(Debug)]
pub struct Resizer {
    across: Axis,
    down: Axis,
    order: Order,
    /// The row in hand between the two passes.
    between: Vec<u8>,
    /// Sums for the output rows that the row in hand belongs to; the first is output row `done`.
    open: VecDeque<Vec<i32>>,
    spare: Vec<Vec<i32>>,
    done: usize,
    row: u32,
    out: Vec<u8>,
}

impl Resizer {
    /// A resizer of a picture `width` pixels wide, by `across` for columns and `down` for rows.
    ///
    /// Going down first holds whole source rows, so a wide picture whose height grows is resampled across first all the same.
    pub fn new(width: u32, across: Axis, down: Axis, order: Order) -> Self {
        let held = down.most_open() as u64 * u64::from(width) * 3 * size_of::<i32>() as u64;
        let order = if held > MOST_HELD { Order::AcrossFirst } else { order };
        let narrow = across.len() * 3;
        let between = match order {
            Order::AcrossFirst => narrow,
            Order::DownFirst => width as usize * 3,
        };
        let out = Vec::with_capacity(narrow * down.len());
        Self {
            across,
            down,
            order,
            between: vec![0; between],
            open: VecDeque::new(),
            spare: Vec::new(),
            done: 0,
            row: 0,
            out,
        }
    }

    /// Whether no further row can change the result.
    pub fn is_done(&self) -> bool {
        self.done == self.down.len()
    }

    /// Takes the next source row, `[width, 3]`.
    pub fn push(&mut self, rgb: &[u8]) {
        let row = self.row;
        self.row += 1;
        // An output row opens when its window begins; windows begin in order, and the last source row opens all that are left.
        while let Some(window) = self.down.windows.get(self.done + self.open.len()) {
            if window.first > row {
                break;
            }
            let mut sums = self.spare.pop().unwrap_or_default();
            sums.clear();
            sums.resize(self.between.len(), HALF);
            self.open.push_back(sums);
        }
        if self.open.is_empty() {
            return; // a row above or below a cropped picture, or one that nearest skips
        }
        let values = match self.order {
            Order::AcrossFirst => {
                horizontal(&self.across, rgb, &mut self.between);
                &self.between
            }
            Order::DownFirst => rgb,
        };
        for (sums, window) in self.open.iter_mut().zip(&self.down.windows[self.done..]) {
            let weights = &self.down.weights[window.weights.clone()];
            if let Some(&weight) = weights.get((row - window.first) as usize) {
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum += i32::from(value) * weight;
                }
            }
        }
        while let Some(window) = self.down.windows.get(self.done) {
            if self.open.is_empty() || window.first + window.weights.len() as u32 > row + 1 {
                break;
            }
            let Some(sums) = self.open.pop_front() else { break };
            match self.order {
                Order::AcrossFirst => self.out.extend(sums.iter().map(|&sum| clip(sum))),
                Order::DownFirst => {
                    self.between.iter_mut().zip(&sums).for_each(|(value, &sum)| *value = clip(sum));
                    let start = self.out.len();
                    self.out.resize(start + self.across.len() * 3, 0);
                    horizontal(&self.across, &self.between, &mut self.out[start..]);
                }
            }
            self.spare.push(sums);
            self.done += 1;
        }
    }

    /// The resized picture, `[height, width, 3]`, and its size.
    pub fn finish(self) -> (Vec<u8>, Size) {
        debug_assert!(self.is_done(), "the resizer was not given every source row");
        let size = Size { width: self.across.len() as u32, height: self.down.len() as u32 };
        (self.out, size)
    }
}

/// The horizontal pass over one row.
fn horizontal(axis: &Axis, rgb: &[u8], out: &mut [u8]) {
    for (window, to) in axis.windows.iter().zip(out.chunks_exact_mut(3)) {
        let weights = &axis.weights[window.weights.clone()];
        let pixels = &rgb[window.first as usize * 3..][..weights.len() * 3];
        let mut sums = [HALF; 3];
        for (pixel, &weight) in pixels.chunks_exact(3).zip(weights) {
            for channel in 0..3 {
                sums[channel] += i32::from(pixel[channel]) * weight;
            }
        }
        for channel in 0..3 {
            to[channel] = clip(sums[channel]);
        }
    }
}

/// A fixed-point sum to a value in 0..=255.
fn clip(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_pillow_s() {
        let size = |width, height| Size { width, height };
        for (from, to, order) in [
            (size(512, 929), size(192, 192), Order::DownFirst), // 737 rows go, 320 columns: more than twice as many
            (size(512, 832), size(192, 192), Order::AcrossFirst), // 640: just twice as many
            (size(30, 20), size(90, 19), Order::DownFirst),     // any row less counts where columns are added
            (size(30, 20), size(90, 20), Order::AcrossFirst),
            (size(600, 450), size(224, 224), Order::AcrossFirst),
        ] {
            assert_eq!(Order::of_pillow(from, to), order, "{from} to {to}");
        }
    }

    #[test]
    fn whole_rows_are_held_only_while_they_are_few() {
        let resizer = |width: u32, height: u32, to: u32| {
            let axis = |n: u32| Axis::new(Filter::Bilinear, n, 0.0..n.into(), to, 0..to);
            Resizer::new(width, axis(width), axis(height), Order::DownFirst).order
        };
        assert_eq!(resizer(8000, 6000, 224), Order::DownFirst);
        // Each of 2 rows is a part of 150 of the 224: 65,000 pixels by 150 sums would take 117 MB.
        assert_eq!(resizer(65_000, 2, 224), Order::AcrossFirst);
    }
}
