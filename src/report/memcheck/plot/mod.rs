//! The memory of a run as a picture: charge over time with the budget above it, a key of its stages, and the floor's curve.
mod floor;
mod key;
mod timeline;

use super::words;
use crate::memcheck::Checked;
use crate::report::plot::canvas::{Anchor, Canvas, GREY, INK, RED, fit};
use crate::report::plot::{Drawing, MARGIN, Picture, WIDTH, write_drawing};
use crate::units::Size;
use anyhow::Result;
use plotters::prelude::DrawingBackend;
use std::io::Write;

/// Draws the run and gives the picture's size in pixels; its height follows from the number of stages and whether there is a floor.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_plot(out: &mut dyn Write, checked: &Checked, picture: Picture) -> Result<Size> {
    write_drawing(out, &Plot { checked, layout: Layout::of(checked) }, picture)
}

/// A run and where its parts are drawn.
struct Plot<'a> {
    checked: &'a Checked,
    layout: Layout,
}

/// Where each part begins, in pixels from the top.
struct Layout {
    timeline: i32,
    key: i32,
    floor: i32,
    height: i32,
}

impl Layout {
    fn of(checked: &Checked) -> Self {
        let timeline = 96;
        let key = timeline + timeline::HEIGHT;
        let floor = key + key::height(checked);
        let height = floor + floor::height(checked) + MARGIN;
        Self { timeline, key, floor, height }
    }
}

impl Drawing for Plot<'_> {
    fn height(&self) -> i32 {
        self.layout.height
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let Self { checked, layout } = self;
        head(canvas, checked)?;
        timeline::draw(canvas, checked, layout.timeline)?;
        key::draw(canvas, checked, layout.key)?;
        floor::draw(canvas, checked, layout.floor)
    }
}

fn head<B: DrawingBackend>(canvas: &Canvas<'_, B>, checked: &Checked) -> Result<()>
where
    B::ErrorType: 'static,
{
    let room = WIDTH as i32 - 2 * MARGIN;
    let title = format!("Memory of {}", words::subject(&checked.subject));
    let mut verdict = words::verdict(checked);
    if let Some(ending) = words::ending(checked) {
        verdict = format!("{verdict}; {ending}");
    }
    let color = if checked.verdict.fits { INK } else { RED };
    canvas.text((MARGIN, 16), &fit(&title, 20, room)?, 20, INK, Anchor::TopLeft);
    canvas.text((MARGIN, 44), &fit(&verdict, 15, room)?, 15, color, Anchor::TopLeft);
    canvas.text((MARGIN, 66), &fit(&words::enforced(checked), 13, room)?, 13, GREY, Anchor::TopLeft);
    Ok(())
}
