//! The memory of a run as a picture: charge over time with the budget above it, a key of its stages, and the floor's curve.
mod canvas;
mod floor;
mod key;
mod panel;
mod scale;
mod timeline;

use super::words;
use crate::memcheck::Checked;
use crate::units::Size;
use anyhow::Result;
use canvas::{Anchor, Canvas, Lettering, fit};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use std::io::Write;

/// Pixels from left to right.
const WIDTH: u32 = 1200;
/// Pixels around everything.
const MARGIN: i32 = 20;

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Picture {
    Svg,
    Png,
}

/// Draws the run and gives the picture's size in pixels; its height follows from the number of stages and whether there is a floor.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_plot(out: &mut dyn Write, checked: &Checked, picture: Picture) -> Result<Size> {
    let layout = Layout::of(checked);
    let size = (WIDTH, layout.height as u32);
    match picture {
        Picture::Svg => {
            let mut svg = String::new();
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            draw(&area, checked, &layout)?.iter().try_for_each(|text| text.draw(&area))?;
            area.present()?;
            drop(area); // which writes the end
            out.write_all(svg.as_bytes())?;
        }
        Picture::Png => {
            let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
            let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
            let texts = draw(&area, checked, &layout)?;
            area.present()?;
            drop(area);
            texts.iter().try_for_each(|text| text.lay(&mut pixels, size.0))?;
            let mut encoder = png::Encoder::new(&mut *out, size.0, size.1);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header()?.write_image_data(&pixels)?;
        }
    }
    out.flush()?;
    Ok(Size { width: size.0, height: size.1 })
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

/// Draws all but the text, and gives that.
fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, checked: &Checked, layout: &Layout) -> Result<Vec<Lettering>>
where
    B::ErrorType: 'static,
{
    let canvas = Canvas::new(area)?;
    head(&canvas, checked)?;
    timeline::draw(&canvas, checked, layout.timeline)?;
    key::draw(&canvas, checked, layout.key)?;
    floor::draw(&canvas, checked, layout.floor)?;
    Ok(canvas.into_texts())
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
    let color = if checked.verdict.fits { canvas::INK } else { canvas::RED };
    canvas.text((MARGIN, 16), &fit(&title, 20, room)?, 20, canvas::INK, Anchor::TopLeft);
    canvas.text((MARGIN, 44), &fit(&verdict, 15, room)?, 15, color, Anchor::TopLeft);
    canvas.text((MARGIN, 66), &fit(&words::enforced(checked), 13, room)?, 13, canvas::GREY, Anchor::TopLeft);
    Ok(())
}
