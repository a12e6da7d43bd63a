//! A rectangle with two axes.
use super::canvas::{Anchor, Canvas, GREY, INK, PALE, Point, width};
use super::scale::Scale;
use anyhow::Result;
use plotters::prelude::DrawingBackend;

/// Size of the letters at an axis.
pub const SMALL: i32 = 12;

/// A rectangle in which values have places.
pub struct Panel {
    /// Pixels from the left to its left side.
    pub left: i32,
    /// Pixels from the top to its upper side.
    pub top: i32,
    /// Pixels to its right side.
    pub right: i32,
    /// Pixels to its lower side.
    pub bottom: i32,
    /// From left to right.
    pub x: Scale,
    /// From below to above.
    pub y: Scale,
}

impl Panel {
    /// Where a pair of values is.
    pub fn at(&self, x: f64, y: f64) -> Point {
        (self.across(x), self.up(y))
    }

    /// Where a value lies from left to right.
    pub fn across(&self, x: f64) -> i32 {
        self.left + (f64::from(self.right - self.left) * self.x.place(x)).round() as i32
    }

    /// Where a value lies from below to above.
    pub fn up(&self, y: f64) -> i32 {
        self.bottom - (f64::from(self.bottom - self.top) * self.y.place(y)).round() as i32
    }

    /// The frame, and lines across at `ticks`.
    pub fn frame<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>, ticks: &[f64], unit: &str) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        for &tick in ticks {
            let y = self.up(tick);
            canvas.line(&[(self.left, y), (self.right, y)], PALE, 1)?;
            canvas.text((self.left - 8, y), &number(tick), SMALL, INK, Anchor::MiddleRight);
        }
        canvas.text((self.left - 8, self.top - 8), unit, SMALL, GREY, Anchor::BottomRight);
        canvas.line(&[(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], INK, 1)
    }

    /// Marks with labels below the panel; those in front go first, and one for which there is no room is left out.
    pub fn marks<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>, ticks: &[f64], unit: &str) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let mut taken: Vec<(i32, i32)> = Vec::new();
        canvas.text((self.right, self.bottom + 26), unit, SMALL, GREY, Anchor::TopRight);
        for &tick in ticks {
            let x = self.across(tick);
            let label = number(tick);
            let half = width(&label, SMALL)? / 2 + 3;
            if taken.iter().all(|&(from, to)| x + half < from || x - half > to) {
                canvas.line(&[(x, self.bottom), (x, self.bottom + 5)], INK, 1)?;
                canvas.text((x, self.bottom + 8), &label, SMALL, INK, Anchor::TopCentre);
                taken.push((x - half, x + half));
            }
        }
        Ok(())
    }
}

/// A number at an axis: three digits that count, and no zeros behind; of a small one its power of ten.
pub fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.001 {
        return format!("{value:.0e}");
    }
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_at_an_axis_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1e-5, "1e-5"),
            (0.0002, "2e-4"),
            (0.001, "0.001"),
            (0.012, "0.012"),
            (1.5, "1.5"),
            (12.34, "12.3"),
            (100.0, "100"),
            (2048.0, "2048"),
        ] {
            assert_eq!(super::number(value), text);
        }
    }
}
