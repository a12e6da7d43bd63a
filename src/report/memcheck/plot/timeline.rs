//! Charge over time, stage by stage. The first stages take milliseconds and requests take seconds, so that each stage has room of its own:
//! the axis is straight within a stage, and its bounds are written below.
use crate::memcheck::Checked;
use crate::memory::Sample;
use crate::report::plot::canvas::{Anchor, BAND, BLUE, Canvas, GREY, INK, NAVY, PALE, RED, WHITE, fit, width};
use crate::report::plot::panel::{Panel, SMALL};
use crate::report::plot::scale::Scale;
use crate::report::plot::{MARGIN, WIDTH};
use crate::units::Bytes;
use anyhow::Result;
use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;
use std::time::Duration;

/// Pixels that this part takes from above to below.
pub const HEIGHT: i32 = 450;
/// Of the axis, what a stage gets at least.
const LEAST: f64 = 0.055;
/// Where the budget is more than so many times the highest charge, the axis is broken between them.
const FAR: f64 = 2.5;

/// Draws the part `top` pixels below the picture's upper side.
pub fn draw<B: DrawingBackend>(canvas: &Canvas<'_, B>, checked: &Checked, top: i32) -> Result<()>
where
    B::ErrorType: 'static,
{
    let bounds = bounds(checked);
    let memory = Memory::of(checked);
    let panel = Panel {
        left: MARGIN + 50,
        top: top + 44,
        right: WIDTH as i32 - MARGIN,
        bottom: top + HEIGHT - 50,
        x: Scale::by_span(&bounds, LEAST),
        y: memory.scale(),
    };
    bands(canvas, checked, &panel)?;
    panel.frame(canvas, &memory.ticks(&panel.y), "MB")?;
    charge(canvas, &checked.timeline.samples, &panel)?;
    peaks(canvas, checked, &panel)?;
    limit(canvas, checked.budget.memory, &panel, memory.is_far())?;
    if !checked.outcome.survived() {
        end(canvas, checked, &panel)?;
    }
    let unit = if panel.x.is_straight() {
        "seconds since the start"
    } else {
        "seconds since the start; each stage at its own scale"
    };
    panel.marks(canvas, &moments(&bounds, &panel), unit)?;
    legend(canvas, top + 4)
}

/// When the stages began, and when the last one ended.
fn bounds(checked: &Checked) -> Vec<f64> {
    let timeline = &checked.timeline;
    let mut bounds: Vec<f64> = timeline.stages.iter().map(|(_, began)| began.as_secs_f64()).collect();
    let last = timeline.samples.last().map_or(Duration::ZERO, |sample| sample.at).as_secs_f64();
    bounds.push(last.max(bounds.last().copied().unwrap_or_default()));
    if bounds.len() == 1 {
        bounds.insert(0, 0.0);
    }
    bounds
}

/// What the upward axis has to reach.
struct Memory {
    highest: f64,
    budget: f64,
}

impl Memory {
    fn of(checked: &Checked) -> Self {
        let charged = checked.timeline.samples.iter().map(|sample| sample.total);
        let highest = charged.chain(checked.stages.iter().map(|stage| stage.peak)).max().unwrap_or_default();
        Self { highest: highest.as_mb().max(1.0), budget: checked.budget.memory.as_mb() }
    }

    fn is_far(&self) -> bool {
        self.budget > self.highest * FAR
    }

    /// Straight, or broken where the budget would leave no room for what there is to see.
    fn scale(&self) -> Scale {
        if self.is_far() {
            Scale::Pieces(vec![(0.0, 0.0), (self.highest * 1.1, 0.8), (self.budget, 0.92), (self.budget * 1.1, 1.0)])
        } else {
            Scale::straight(0.0, self.highest.max(self.budget) * 1.1)
        }
    }

    /// Values that are written at the axis.
    fn ticks(&self, scale: &Scale) -> Vec<f64> {
        if self.is_far() {
            let low = scale.ticks(0.0, self.highest * 1.1, 5).into_iter();
            low.chain([self.budget]).collect()
        } else {
            scale.ticks(0.0, self.highest.max(self.budget) * 1.1, 6)
        }
    }
}

/// Every other stage is shaded, and each is numbered, or named where there is room.
fn bands<B: DrawingBackend>(canvas: &Canvas<'_, B>, checked: &Checked, panel: &Panel) -> Result<()>
where
    B::ErrorType: 'static,
{
    let bounds = bounds(checked);
    for (at, ((name, _), pair)) in checked.timeline.stages.iter().zip(bounds.windows(2)).enumerate() {
        let (from, to) = (panel.across(pair[0]), panel.across(pair[1]));
        if at % 2 == 1 {
            canvas.fill((from, panel.top - 20), (to, panel.bottom), BAND)?;
        }
        canvas.line(&[(from, panel.top - 20), (from, panel.bottom)], PALE, 1)?;
        let number = (at + 1).to_string();
        let named = format!("{number} {name}");
        let room = to - from - 6;
        let mut label = None;
        for text in [number, named] {
            if width(&text, SMALL)? <= room {
                label = Some(text);
            }
        }
        if let Some(label) = label {
            canvas.text((i32::midpoint(from, to), panel.top - 17), &label, SMALL, INK, Anchor::TopCentre);
        }
    }
    Ok(())
}

fn charge<B: DrawingBackend>(canvas: &Canvas<'_, B>, samples: &[Sample], panel: &Panel) -> Result<()>
where
    B::ErrorType: 'static,
{
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Ok(()) };
    let layer = |part: fn(&Sample) -> Bytes, fill: Option<RGBColor>, line: RGBColor| {
        let top: Vec<_> = samples.iter().map(|s| panel.at(s.at.as_secs_f64(), part(s).as_mb())).collect();
        if let Some(color) = fill {
            let ends = [last, first].map(|sample| (panel.across(sample.at.as_secs_f64()), panel.bottom));
            canvas.shape(top.iter().copied().chain(ends).collect(), color)?;
        }
        canvas.line(&top, line, 2)
    };
    layer(|sample| sample.total, Some(BLUE), BLUE)?;
    layer(|sample| sample.anon, Some(NAVY), NAVY)
}

/// The kernel keeps peaks between two looks; the highest of all runs lies above the curve of one.
fn peaks<B: DrawingBackend>(canvas: &Canvas<'_, B>, checked: &Checked, panel: &Panel) -> Result<()>
where
    B::ErrorType: 'static,
{
    let bounds = bounds(checked);
    for ((name, _), pair) in checked.timeline.stages.iter().zip(bounds.windows(2)) {
        let Some(stage) = checked.stages.iter().find(|stage| stage.name == *name) else { continue };
        let y = panel.up(stage.peak.as_mb());
        canvas.line(&[(panel.across(pair[0]) + 2, y), (panel.across(pair[1]) - 2, y)], INK, 2)?;
    }
    Ok(())
}

fn limit<B: DrawingBackend>(canvas: &Canvas<'_, B>, budget: Bytes, panel: &Panel, broken: bool) -> Result<()>
where
    B::ErrorType: 'static,
{
    let y = panel.up(budget.as_mb());
    canvas.dashes(panel.left, panel.right, y, RED)?;
    let label = format!("budget {budget}");
    canvas.text((panel.left + 6, y - 3), &label, SMALL + 2, RED, Anchor::BottomLeft);
    if broken {
        // Two strokes across the axis, as is usual where a part of it is left out.
        let middle = panel.bottom - (f64::from(panel.bottom - panel.top) * 0.86) as i32;
        canvas.fill((panel.left - 1, middle - 3), (panel.left + 1, middle + 3), WHITE)?;
        for y in [middle - 4, middle + 4] {
            canvas.line(&[(panel.left - 7, y + 4), (panel.left + 7, y - 4)], INK, 1)?;
        }
    }
    Ok(())
}

/// Where a run that did not survive ended.
fn end<B: DrawingBackend>(canvas: &Canvas<'_, B>, checked: &Checked, panel: &Panel) -> Result<()>
where
    B::ErrorType: 'static,
{
    let Some(last) = checked.timeline.samples.last() else { return Ok(()) };
    let (x, y) = panel.at(last.at.as_secs_f64(), last.total.as_mb());
    for sign in [-1, 1] {
        canvas.line(&[(x - 7, y - 7 * sign), (x + 7, y + 7 * sign)], RED, 3)?;
    }
    let text = super::words::ending(checked).unwrap_or_default();
    let text = fit(&text, SMALL + 2, (panel.right - panel.left) / 2)?;
    // Over the curve, on white: peaks and lines of the grid may run there.
    let (right, bottom) = (x - 10, y - 12);
    let white = WHITE;
    canvas.fill((right - width(&text, SMALL + 2)? - 4, bottom - 15), (right + 4, bottom + 3), white)?;
    canvas.text((right, bottom), &text, SMALL + 2, RED, Anchor::BottomRight);
    Ok(())
}

/// The ends first, then where stages begin, then round values within long ones.
fn moments(bounds: &[f64], panel: &Panel) -> Vec<f64> {
    let ends = [bounds.first(), bounds.last()].into_iter().flatten().copied();
    let within = bounds.windows(2).flat_map(|pair| {
        let room = panel.across(pair[1]) - panel.across(pair[0]);
        if room > 200 { panel.x.ticks(pair[0], pair[1], room as usize / 90) } else { Vec::new() }
    });
    ends.chain(bounds.iter().copied()).chain(within).collect()
}

fn legend<B: DrawingBackend>(canvas: &Canvas<'_, B>, y: i32) -> Result<()>
where
    B::ErrorType: 'static,
{
    let mut x = MARGIN + 50;
    for (color, text, is_area) in [
        (BLUE, "charged: anonymous, page cache, kernel", true),
        (NAVY, "its anonymous part, which cannot be reclaimed", true),
        (INK, "highest peak of the stage in all runs", false),
        (RED, "budget", false),
    ] {
        let half = if is_area { 5 } else { 1 };
        canvas.fill((x, y + 6 - half), (x + 18, y + 6 + half), color)?;
        canvas.text((x + 24, y), text, SMALL, GREY, Anchor::TopLeft);
        x += 24 + width(text, SMALL)? + 22;
    }
    Ok(())
}
