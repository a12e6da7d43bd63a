//! What the numbers above the bands mean: name and peak of each stage.
use crate::memcheck::Checked;
use crate::report::plot::canvas::{Anchor, Canvas, INK, RED, fit};
use crate::report::plot::{MARGIN, WIDTH};
use anyhow::Result;
use plotters::prelude::DrawingBackend;

/// Stages beside each other.
const COLUMNS: usize = 3;
/// Pixels from one row to the next.
const ROW: i32 = 20;
/// Stages that are named; of more, the rest is counted.
const MOST: usize = 60;
/// Size of the letters.
const LETTERS: i32 = 13;

/// Pixels that this part takes from above to below.
pub fn height(checked: &Checked) -> i32 {
    let count = checked.timeline.stages.len();
    let rows = count.min(MOST).div_ceil(COLUMNS) + usize::from(count > MOST);
    rows as i32 * ROW + 10
}

/// Draws the part `top` pixels below the picture's upper side.
pub fn draw<B: DrawingBackend>(canvas: &Canvas<'_, B>, checked: &Checked, top: i32) -> Result<()>
where
    B::ErrorType: 'static,
{
    let stages = &checked.timeline.stages;
    let rows = stages.len().min(MOST).div_ceil(COLUMNS);
    let left = MARGIN + 50;
    let column = (WIDTH as i32 - MARGIN - left) / COLUMNS as i32;
    for (at, (name, _)) in stages.iter().take(MOST).enumerate() {
        // Down the columns, as a list is read.
        let (x, y) = (left + (at / rows) as i32 * column, top + (at % rows) as i32 * ROW);
        canvas.text((x + 22, y), &(at + 1).to_string(), LETTERS, INK, Anchor::TopRight);
        canvas.text((x + 32, y), &fit(name, LETTERS, column - 150)?, LETTERS, INK, Anchor::TopLeft);
        if let Some(stage) = checked.stages.iter().find(|stage| stage.name == *name) {
            let color = if stage.peak > checked.budget.memory { RED } else { INK };
            canvas.text((x + column - 30, y), &stage.peak.to_string(), LETTERS, color, Anchor::TopRight);
        }
    }
    if stages.len() > MOST {
        let more = format!("and {} more", stages.len() - MOST);
        canvas.text((left, top + rows as i32 * ROW), &more, LETTERS, INK, Anchor::TopLeft);
    }
    Ok(())
}
