//! Lines, areas and text on a plotters drawing area, the same for SVG and pixels.
use crate::explain::overlay::built_in_font;
use crate::report::memcheck::words::xml_line;
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Drawable, PathElement, PointCollection, Polygon, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, TextStyle, register_font};

/// Text and axes.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// What matters less.
pub const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// Lines of a grid.
pub const PALE: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// Every other band.
pub const BAND: RGBColor = RGBColor(0xf3, 0xf3, 0xf3);
/// The whole charge.
pub const BLUE: RGBColor = RGBColor(0x9c, 0xc3, 0xe6);
/// The anonymous part.
pub const NAVY: RGBColor = RGBColor(0x1f, 0x4e, 0x79);
/// The budget, and what is over it.
pub const RED: RGBColor = RGBColor(0xc0, 0x20, 0x20);

/// In pixels the font of that name that is registered here; where an SVG is shown, what there is of its list.
const FAMILY: &str = "DejaVu Sans, sans-serif";

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

/// Draws on an area.
pub struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
}

impl<'a, B: DrawingBackend> Canvas<'a, B>
where
    B::ErrorType: 'static,
{
    /// A white canvas.
    pub fn new(area: &'a DrawingArea<B, Shift>) -> Result<Self> {
        register_font(FAMILY, FontStyle::Normal, built_in_font())
            .map_err(|_| anyhow!("the built-in font cannot be read"))?;
        area.fill(&RGBColor(0xff, 0xff, 0xff))?;
        Ok(Self { area })
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
    pub fn text(&self, at: Point, text: &str, size: i32, color: RGBColor, anchor: Anchor) -> Result<()> {
        let style = TextStyle::from((FAMILY, size).into_font()).color(&color).pos(anchor.pos());
        self.draw(&Text::new(xml_line(text), at, style))
    }

    /// Pixels that a text takes from left to right.
    pub fn width(&self, text: &str, size: i32) -> i32 {
        let style = TextStyle::from((FAMILY, size).into_font());
        self.area.estimate_text_size(&xml_line(text), &style).map_or(0, |(width, _)| width as i32)
    }

    /// As much of a text as there is room for; what is cut off shows as `…`.
    pub fn fit(&self, text: &str, size: i32, room: i32) -> String {
        // Longer than any line, shorter than a page that somebody gave as a name.
        let mut text: String = text.chars().take(400).collect();
        if self.width(&text, size) <= room {
            return text;
        }
        while !text.is_empty() && self.width(&format!("{text}…"), size) > room {
            text.pop();
        }
        text.push('…');
        text
    }
}
