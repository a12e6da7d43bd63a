//! Time against the limit: how the pipeline slows down as memory is taken from it, and where it dies.
use crate::memcheck::{Checked, Floor};
use crate::report::plot::canvas::{Anchor, Canvas, GREY, INK, NAVY, RED};
use crate::report::plot::panel::{Panel, SMALL};
use crate::report::plot::scale::Scale;
use crate::report::plot::{MARGIN, WIDTH};
use anyhow::Result;
use plotters::prelude::DrawingBackend;

/// Pixels of the panel with its title and axis.
const HEIGHT: i32 = 300;
/// Where the slowest takes more than so many times the fastest, time goes by powers of ten.
const WIDE: f64 = 10.0;

/// Pixels that this part takes from above to below; none without a curve.
pub fn height(checked: &Checked) -> i32 {
    if curve(checked).is_some() { HEIGHT } else { 0 }
}

fn curve(checked: &Checked) -> Option<&Floor> {
    checked.floor.as_ref().filter(|floor| !floor.curve.is_empty())
}

/// Draws the part `top` pixels below the picture's upper side.
pub fn draw<B: DrawingBackend>(canvas: &Canvas<'_, B>, checked: &Checked, top: i32) -> Result<()>
where
    B::ErrorType: 'static,
{
    let Some(floor) = curve(checked) else { return Ok(()) };
    let mut curve: Vec<_> =
        floor.curve.iter().map(|(limit, took)| (limit.as_mb(), took.map(|took| took.as_secs_f64()))).collect();
    curve.sort_by(|a, b| a.0.total_cmp(&b.0));
    let took = || curve.iter().filter_map(|&(_, took)| took);
    let (fastest, slowest) = (took().fold(f64::INFINITY, f64::min), took().fold(0.0, f64::max));
    let is_wide = slowest > fastest * WIDE && fastest > 0.0;
    let (low, high) = if is_wide { (fastest / 1.5, slowest * 1.5) } else { (0.0, slowest.max(0.001) * 1.15) };
    let (least, most) = (curve[0].0.min(floor.bytes.as_mb()), curve[curve.len() - 1].0.max(floor.bytes.as_mb()));
    let margin = ((most - least) * 0.04).max(1.0);
    let (least, most) = (least - margin, most + margin);
    let panel = Panel {
        left: MARGIN + 50,
        top: top + 70,
        right: WIDTH as i32 - MARGIN,
        bottom: top + HEIGHT - 50,
        x: Scale::straight(least, most),
        y: if is_wide { Scale::Powers(low, high) } else { Scale::straight(low, high) },
    };
    let title = format!("Time of a run under lower limits: {} is the least that it survives", floor.bytes);
    canvas.text((MARGIN, top + 16), &title, 15, INK, Anchor::TopLeft);
    panel.frame(canvas, &panel.y.ticks(low, high, 5), "s")?;
    if is_wide {
        canvas.text((panel.left + 8, panel.top - 8), "by powers of ten", SMALL, GREY, Anchor::BottomLeft);
    }
    panel.marks(canvas, &panel.x.ticks(least, most, 12), "limit, MB")?;

    let x = panel.across(floor.bytes.as_mb());
    canvas.line(&[(x, panel.top), (x, panel.bottom)], RED, 1)?;
    canvas.text((x + 6, panel.top), &format!("floor {}", floor.bytes), SMALL + 1, RED, Anchor::TopLeft);
    let points: Vec<_> = curve.iter().filter_map(|&(limit, took)| Some(panel.at(limit, took?))).collect();
    canvas.line(&points, NAVY, 2)?;
    for &(x, y) in &points {
        canvas.fill((x - 3, y - 3), (x + 3, y + 3), NAVY)?;
    }
    for &(limit, _) in curve.iter().filter(|(_, took)| took.is_none()) {
        let (x, y) = (panel.across(limit), panel.top + 30);
        for sign in [-1, 1] {
            canvas.line(&[(x - 5, y - 5 * sign), (x + 5, y + 5 * sign)], RED, 2)?;
        }
    }
    if curve.iter().any(|(_, took)| took.is_none()) {
        canvas.text((panel.right, top + 18), "× killed or too slow", SMALL, RED, Anchor::TopRight);
    }
    Ok(())
}
