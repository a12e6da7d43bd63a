//! What stands under photo and overlay: class, probability, method and layer, and the bar that says which colour is which value.
use super::Style;
use super::colormap::Colors;
use super::text::{Keep, Line};
use crate::units::Size;
use anyhow::Result;

/// Smallest letters: `DejaVu` Sans is still read at this height.
const SMALLEST: u32 = 18;
/// Largest letters.
const LARGEST: u32 = 160;
/// The narrowest legend; beside narrower pictures there is white.
const NARROWEST: u32 = 420;
const WHITE: [u8; 3] = [255; 3];
/// Ink on white.
pub const INK: [u8; 3] = [24; 3];
const GREY: [u8; 3] = [96; 3];

/// What a legend says.
#[derive(Clone, Debug, PartialEq)]
pub struct Caption {
    /// Name of the class that is explained, in the user's language.
    pub class: String,
    /// Its probability, 0 to 1.
    pub probability: Option<f32>,
    /// Name of the method.
    pub method: String,
    /// Name of the layer.
    pub layer: String,
    /// What stands under every result, such as `not a diagnosis`; may be empty.
    pub notice: String,
}

/// A probability as people read it; nothing for none.
pub fn percent(probability: Option<f32>) -> String {
    probability.map_or_else(String::new, |value| format!("{:.1} %", value * 100.0))
}

/// A text and where it stands.
struct Placed {
    line: Line,
    x: u32,
    y: u32,
    color: [u8; 3],
}

/// A colour bar.
struct Bar {
    x: std::ops::Range<u32>,
    y: std::ops::Range<u32>,
    colors: Colors,
    mark: Option<u32>,
}

/// A legend, drawn.
pub struct Legend {
    /// Rows.
    pub height: u32,
    texts: Vec<Placed>,
    bar: Bar,
}

impl Legend {
    /// A legend `width` pixels wide.
    pub fn new(width: u32, caption: &Caption, style: &Style) -> Result<Self> {
        let height = (width / 45).clamp(SMALLEST, LARGEST);
        let edge = height / 2;
        // Two columns where a line of the left one has room for some fifty letters.
        let beside = width / 2 >= 20 * height;
        let column = if beside { width / 2 } else { width };
        let room = column.saturating_sub(2 * edge);
        let mut texts: Vec<Placed> = Vec::new();
        let mut y = edge;
        let mut x = edge;
        let large = height * 5 / 4;
        // The probability first: a long name makes room for it.
        let probability = Line::new(&percent(caption.probability), large, room, Keep::Start)?;
        let left = room.saturating_sub(probability.width + height);
        let class = Line::new(&caption.class, large, if probability.width > 0 { left } else { room }, Keep::Start)?;
        for line in [class, probability] {
            let width = line.width;
            texts.push(Placed { line, x, y, color: INK });
            x += width + height * 2 / 3;
        }
        y += large + height / 8;
        for (text, keep, color) in [
            (&caption.method, Keep::Start, INK),
            (&caption.layer, Keep::End, INK),
            (&caption.notice, Keep::Start, GREY),
        ] {
            if !text.is_empty() {
                let line = Line::new(text, height, room, keep)?;
                texts.push(Placed { line, x: edge, y, color });
                y += height + height / 8;
            }
        }
        let under = y;
        let left = if beside { width / 2 + edge } else { edge };
        let y = if beside { edge } else { under };
        let digits = [Line::new("0", height, room, Keep::Start)?, Line::new("1", height, room, Keep::Start)?];
        let aside = digits[0].width + height / 3;
        let x = left + aside..(left + room).saturating_sub(aside).max(left + aside + 1);
        let mark = style.contour.map(|threshold| x.start + (threshold * (x.len() - 1) as f32).round() as u32);
        let [zero, one] = digits;
        texts.push(Placed { line: zero, x: left, y, color: INK });
        texts.push(Placed { line: one, x: x.end + height / 3, y, color: INK });
        let bar = Bar { x, y: y..y + height, colors: style.colormap.colors(), mark };
        let scale = match style.contour {
            Some(threshold) => format!("share of the map's maximum; line: {threshold}"),
            None => "share of the map's maximum".to_owned(),
        };
        let line = Line::new(&scale, height, room, Keep::Start)?;
        texts.push(Placed { line, x: left, y: y + height + height / 4, color: GREY });
        Ok(Self { height: under.max(y + 2 * height + height / 4) + edge, texts, bar })
    }

    /// Draws row `y` over a white `row`, `[width, 3]`.
    pub fn row(&self, y: u32, row: &mut [u8]) {
        for text in &self.texts {
            if (text.y..text.y + text.line.height).contains(&y) {
                text.line.lay(y - text.y, row, text.x, text.color);
            }
        }
        let Bar { x, y: rows, colors, mark } = &self.bar;
        if rows.contains(&y) {
            let thick = (rows.len() as u32 / 12).max(1);
            let pixels = row.as_chunks_mut::<3>().0;
            for at in x.clone() {
                let share = (at - x.start) as usize * 255 / (x.len() - 1).max(1);
                // As in the picture: white between black.
                pixels[at as usize] = match mark.map(|mark| mark.abs_diff(at)) {
                    Some(away) if away < thick => WHITE,
                    Some(away) if away < 2 * thick => [0; 3],
                    _ => colors[share],
                };
            }
        }
    }
}

/// How photo, overlay and legend lie on the sheet.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// Width of all.
    pub width: u32,
    /// Column where the photo begins.
    pub photo: u32,
    /// Column where the overlay begins.
    pub overlay: u32,
}

impl Beside {
    /// For a photo of size `photo`.
    pub fn of(photo: Size) -> Self {
        let gap = (photo.width / 100).max(4);
        let both = photo.width * 2 + gap;
        let width = both.max(NARROWEST);
        let left = (width - both) / 2;
        Self { width, photo: left, overlay: left + photo.width + gap }
    }
}
