//! Pictures of results: what they are drawn on, axes, and the file that comes of it.
pub mod canvas;
pub mod panel;
pub mod scale;

use crate::units::Size;
use anyhow::Result;
use canvas::Canvas;
use plotters::drawing::IntoDrawingArea;
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use std::io::Write;

/// Pixels from left to right.
pub const WIDTH: u32 = 1200;
/// Pixels around everything.
pub const MARGIN: i32 = 20;

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Picture {
    Svg,
    Png,
}

/// What can be drawn.
pub trait Drawing {
    /// Pixels from above to below.
    fn height(&self) -> i32;

    /// Draws all of it.
    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static;
}

/// Draws, and gives the picture's size in pixels.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_drawing(out: &mut dyn Write, drawing: &impl Drawing, picture: Picture) -> Result<Size> {
    let size = (WIDTH, drawing.height() as u32);
    match picture {
        Picture::Svg => {
            let mut svg = String::new();
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let canvas = Canvas::new(&area)?;
            drawing.draw(&canvas)?;
            canvas.into_texts().iter().try_for_each(|text| text.draw(&area))?;
            area.present()?;
            drop(area); // which writes the end
            out.write_all(svg.as_bytes())?;
        }
        Picture::Png => {
            let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
            let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
            let canvas = Canvas::new(&area)?;
            drawing.draw(&canvas)?;
            let texts = canvas.into_texts();
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
