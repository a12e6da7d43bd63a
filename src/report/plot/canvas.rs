//! Lines, areas and text on a plotters drawing area, the same for SVG and pixels.
use crate::explain::overlay::text::{self, Keep, Line};
use crate::text::xml_line;
use anyhow::Result;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Drawable, PathElement, PointCollection, Polygon, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, TextStyle};
use std::cell::RefCell;

/// Text and axes.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// What matters less.
pub const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// Paper.
pub const WHITE: RGBColor = RGBColor(0xff, 0xff, 0xff);
/// Lines of a grid.
pub const PALE: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// Every other band.
pub const BAND: RGBColor = RGBColor(0xf3, 0xf3, 0xf3);
/// An area behind another one.
pub const BLUE: RGBColor = RGBColor(0x9c, 0xc3, 0xe6);
/// What is measured.
pub const NAVY: RGBColor = RGBColor(0x1f, 0x4e, 0x79);
/// A limit, and what is over it.
pub const RED: RGBColor = RGBColor(0xc0, 0x20, 0x20);
/// What is apart without being wrong.
pub const AMBER: RGBColor = RGBColor(0xe0, 0x9a, 0x20);

/// Where an SVG is shown, what there is of these; pixels are drawn with the first.
const FAMILY: &str = "DejaVu Sans, sans-serif";
/// Plotters' size of a text in the font's own measure, the em.
const EM: f32 = 1.0 / 1.24;
/// Height of a line from its highest accent to its lowest tail, and of that its part above the base line.
const LINE: f32 = 1.338;
const RISE: f32 = 0.818;

/// A point in pixels from the left and the top.
pub type Point = (i32, i32);

/// Which point of a text its place is.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Anchor {
    TopLeft,
    TopCentre,
    TopRight,
    BottomLeft,
    BottomRight,
    MiddleRight,
}

impl Anchor {
    fn pos(self) -> Pos {
        let (h, v) = match self {
            Self::TopLeft => (HPos::Left, VPos::Top),
            Self::TopCentre => (HPos::Center, VPos::Top),
            Self::TopRight => (HPos::Right, VPos::Top),
            Self::BottomLeft => (HPos::Left, VPos::Bottom),
            Self::BottomRight => (HPos::Right, VPos::Bottom),
            Self::MiddleRight => (HPos::Right, VPos::Center),
        };
        Pos::new(h, v)
    }
}

/// Draws on an area. Text is kept until the end: it stands above everything, and pixels have it from a renderer of their own.
pub struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    texts: RefCell<Vec<Lettering>>,
}

/// A line of text and where it stands.
pub struct Lettering {
    at: Point,
    text: String,
    size: i32,
    color: RGBColor,
    anchor: Anchor,
}

impl Lettering {
    /// Adds it to an area.
    pub fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let style = TextStyle::from((FAMILY, self.size).into_font()).color(&self.color).pos(self.anchor.pos());
        area.draw(&Text::new(self.text.as_str(), self.at, style))?;
        Ok(())
    }

    /// Lays it over pixels (RGB) of a picture `width` pixels wide.
    pub fn lay(&self, pixels: &mut [u8], width: u32) -> Result<()> {
        let line = Line::new(&self.text, height(self.size), width, Keep::Start)?;
        let pos = self.anchor.pos();
        let left = match pos.h_pos {
            HPos::Left => self.at.0,
            HPos::Center => self.at.0 - line.width as i32 / 2,
            HPos::Right => self.at.0 - line.width as i32,
        };
        let em = self.size as f32 * EM;
        // Where an SVG's base line is.
        let base = match pos.v_pos {
            VPos::Top => 0.76 * em,
            VPos::Center => 0.27 * em,
            VPos::Bottom => -0.27 * em,
        };
        let top = self.at.1 + (base - line.height as f32 * RISE).round() as i32;
        let left = left.clamp(0, width.saturating_sub(line.width) as i32) as u32;
        let RGBColor(r, g, b) = self.color;
        for (at, row) in pixels.chunks_exact_mut(width as usize * 3).enumerate() {
            let y = at as i32 - top;
            if (0..line.height as i32).contains(&y) {
                line.lay(y as u32, row, left, [r, g, b]);
            }
        }
        Ok(())
    }
}

/// Pixels of a line of text in plotters' size.
fn height(size: i32) -> u32 {
    (size as f32 * EM * LINE).round() as u32
}

impl<'a, B: DrawingBackend> Canvas<'a, B>
where
    B::ErrorType: 'static,
{
    /// A white canvas.
    pub fn new(area: &'a DrawingArea<B, Shift>) -> Result<Self> {
        area.fill(&WHITE)?;
        Ok(Self { area, texts: RefCell::default() })
    }

    /// All text, in order.
    pub fn into_texts(self) -> Vec<Lettering> {
        self.texts.into_inner()
    }

    fn draw<E>(&self, element: &E) -> Result<()>
    where
        for<'e> &'e E: PointCollection<'e, Point>,
        E: Drawable<B>,
    {
        self.area.draw(element)?;
        Ok(())
    }

    /// A line through points.
    pub fn line(&self, points: &[Point], color: RGBColor, width: u32) -> Result<()> {
        self.draw(&PathElement::new(points.to_vec(), color.stroke_width(width)))
    }

    /// A horizontal line of dashes.
    pub fn dashes(&self, from: i32, to: i32, y: i32, color: RGBColor) -> Result<()> {
        (from..to).step_by(12).try_for_each(|x| self.line(&[(x, y), ((x + 7).min(to), y)], color, 2))
    }

    /// A filled rectangle.
    pub fn fill(&self, from: Point, to: Point, color: RGBColor) -> Result<()> {
        self.draw(&Rectangle::new([from, to], color.filled()))
    }

    /// A filled shape.
    pub fn shape(&self, outline: Vec<Point>, color: RGBColor) -> Result<()> {
        self.draw(&Polygon::new(outline, color.filled()))
    }

    /// A line of text in letters of `size` pixels.
    pub fn text(&self, at: Point, text: &str, size: i32, color: RGBColor, anchor: Anchor) {
        self.texts.borrow_mut().push(Lettering { at, text: xml_line(text), size, color, anchor });
    }
}

/// Pixels that a text takes from left to right.
pub fn width(text: &str, size: i32) -> Result<i32> {
    Ok(text::width(&xml_line(text), height(size))? as i32)
}

/// As much of a text as there is room for; what is cut off shows as `…`.
pub fn fit(text: &str, size: i32, room: i32) -> Result<String> {
    text::fit(&xml_line(text), height(size), room.max(0) as u32, Keep::Start)
}
