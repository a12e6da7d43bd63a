//! Lines of text as coverage, drawn with `DejaVu` Sans: it has every Vietnamese letter, and Greek and Cyrillic ones.
use ab_glyph::{Font, FontRef, Glyph, OutlinedGlyph, PxScaleFont, ScaleFont, point};
use anyhow::{Context, Result};

/// No line is longer than this, whatever the room: a name may be a page.
const LONGEST: usize = 500;

/// Of a line's height, the size of its letters as the font counts it: its own ascent leaves no room for the two accents of a capital such as `Ẩ`.
const LETTERS: f32 = 0.87;
/// Of that size, how far the highest accent rises above the base line.
const RISE: f32 = 0.94;

/// Which end of a text stays when there is no room for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The beginning: names of classes.
    Start,
    /// The end: names of layers and files.
    End,
}

/// Pixels that `text` takes from left to right in letters as [`Line::new`] draws them.
pub fn width(text: &str, height: u32) -> Result<u32> {
    let font = font()?;
    let font = font.as_scaled(height as f32 * LETTERS);
    Ok(text.chars().map(|letter| font.h_advance(font.glyph_id(letter))).sum::<f32>().ceil() as u32)
}

/// As much of `text` as [`Line::new`] draws within `room` pixels; what is cut off shows as `…`.
pub fn fit(text: &str, height: u32, room: u32, keep: Keep) -> Result<String> {
    Ok(fitting(text, &font()?.as_scaled(height as f32 * LETTERS), room, keep))
}

fn font() -> Result<FontRef<'static>> {
    FontRef::try_from_slice(dejavu::sans::regular()).context("the built-in font cannot be read")
}

fn fitting(text: &str, font: &PxScaleFont<&FontRef<'_>>, room: u32, keep: Keep) -> String {
    let advance = |letter: char| font.h_advance(font.glyph_id(letter));
    // Control characters would show as boxes.
    let clean = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut letters: Vec<char> = match keep {
        Keep::Start => clean.take(LONGEST).collect(),
        Keep::End => clean.rev().take(LONGEST).collect(),
    };
    let mut width: f32 = letters.iter().map(|&letter| advance(letter)).sum();
    if text.chars().nth(LONGEST).is_some() || width > room as f32 {
        width += advance('…');
        while width > room as f32 {
            let Some(last) = letters.pop() else { break };
            width -= advance(last);
        }
        letters.push('…');
    }
    if keep == Keep::End {
        letters.reverse();
    }
    letters.into_iter().collect()
}

/// A line of text, drawn.
#[derive(Debug)]
pub struct Line {
    /// Pixels.
    pub width: u32,
    /// Pixels, the same for every text of one size.
    pub height: u32,
    /// `[height, width]`, how much of each pixel is ink.
    ink: Vec<u8>,
}

impl Line {
    /// Draws `text` in letters of `height` pixels from the highest accent to the lowest tail, within `room` pixels; what is cut off shows as `…`.
    pub fn new(text: &str, height: u32, room: u32, keep: Keep) -> Result<Self> {
        let font = font()?;
        let font = font.as_scaled(height as f32 * LETTERS);
        let letters = fitting(text, &font, room, keep);
        let mut at = point(0.0, height as f32 * LETTERS * RISE);
        let mut glyphs: Vec<OutlinedGlyph> = Vec::new();
        for letter in letters.chars() {
            let glyph: Glyph = font.glyph_id(letter).with_scale_and_position(font.scale(), at);
            at.x += font.h_advance(glyph.id);
            glyphs.extend(font.outline_glyph(glyph));
        }
        let width = (at.x.ceil() as u32).min(room);
        let mut line = Self { width, height, ink: vec![0; width as usize * height as usize] };
        for glyph in &glyphs {
            line.draw(glyph);
        }
        Ok(line)
    }

    fn draw(&mut self, glyph: &OutlinedGlyph) {
        let bounds = glyph.px_bounds();
        glyph.draw(|x, y, coverage| {
            let (x, y) = (bounds.min.x + x as f32, bounds.min.y + y as f32);
            if x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32 {
                let at = y as usize * self.width as usize + x as usize;
                self.ink[at] = self.ink[at].saturating_add((coverage * 255.0).round() as u8);
            }
        });
    }

    /// Lays row `y` of the text over `pixels` (RGB) from pixel `x` on, in `color`.
    pub fn lay(&self, y: u32, pixels: &mut [u8], x: u32, color: [u8; 3]) {
        let start = y as usize * self.width as usize;
        let ink = &self.ink[start..start + self.width as usize];
        for (pixel, &ink) in pixels.as_chunks_mut::<3>().0[x as usize..].iter_mut().zip(ink) {
            for (to, color) in pixel.iter_mut().zip(color) {
                let mixed = u32::from(*to) * u32::from(255 - ink) + u32::from(color) * u32::from(ink);
                *to = ((mixed + 127) / 255) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vietnamese_letter_is_drawn_and_has_room() {
        let font = FontRef::try_from_slice(dejavu::sans::regular()).expect("a font");
        let letters = "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệghiìỉĩíịklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvxyỳỷỹýỵ…·%";
        for letter in letters.chars().chain(letters.to_uppercase().chars()) {
            assert_ne!(font.glyph_id(letter).0, 0, "{letter}");
            let line = Line::new(&letter.to_string(), 100, 200, Keep::Start).expect("a line");
            let (first, last) = (&line.ink[..line.width as usize], &line.ink[line.ink.len() - line.width as usize..]);
            assert!(first.iter().chain(last).all(|&ink| ink == 0), "{letter} is cut off");
        }
    }

    #[test]
    fn a_text_keeps_to_its_room() {
        let whole = Line::new("U hắc tố ác tính", 20, 1000, Keep::Start).expect("a line");
        assert!(whole.width > 90 && whole.ink.contains(&255), "{}", whole.width);
        for keep in [Keep::Start, Keep::End] {
            let long = "/features/features.8/features.8.2/Relu_output_0".repeat(1000);
            let cut = Line::new(&long, 20, 300, keep).expect("a line");
            assert!((280..=300).contains(&cut.width), "{keep:?}: {}", cut.width);
        }
        // No room at all is no panic.
        for room in 0..20 {
            assert!(Line::new("mel", 20, room, Keep::End).expect("a line").width <= room);
        }
    }
}
