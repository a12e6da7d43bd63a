//! What the right answer to a picture is, and whether a server's is it.

use std::collections::BTreeMap;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Largest difference of a probability.
const TOLERANCE: f64 = 1e-5;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Classes.
    Plain,
    /// Classes, and the overlay in base64.
    Map,
    /// The overlay itself.
    Png,
}

impl Asked {
    /// Where it is asked for.
    pub fn path(self) -> &'static str {
        if self == Self::Map { "/predict?gradcam=1" } else { "/predict" }
    }
}

/// The right answer.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Probabilities by their classes' numbers.
    pub classes: BTreeMap<usize, f64>,
    /// Width and height of the overlay.
    pub size: [u32; 2],
}

/// What `predict`, `gradcam`, `/predict` and Python's server have in common.
#[derive(Deserialize)]
struct Document {
    results: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    predictions: Vec<Class>,
    #[serde(default)]
    explanations: Vec<Explanation>,
}

#[derive(Deserialize)]
struct Class {
    index: usize,
    probability: f64,
}

#[derive(Deserialize)]
struct Explanation {
    png: Option<String>,
}

impl Expected {
    /// By a document that is right.
    pub fn of(document: &[u8], size: [u32; 2]) -> Result<Self, String> {
        Ok(Self { classes: entry(document)?.classes(), size })
    }

    /// What is wrong with an answer.
    pub fn check(&self, asked: Asked, body: &[u8]) -> Result<(), String> {
        if asked == Asked::Png {
            return self.check_png(body);
        }
        let entry = entry(body)?;
        self.check_classes(&entry.classes())?;
        if asked == Asked::Plain {
            return Ok(());
        }
        let png = entry.explanations.first().and_then(|first| first.png.as_ref()).ok_or("there is no overlay")?;
        self.check_png(&STANDARD.decode(png).map_err(|error| format!("the overlay is no base64: {error}"))?)
    }

    fn check_classes(&self, classes: &BTreeMap<usize, f64>) -> Result<(), String> {
        let is_near = |(index, right): (&usize, &f64)| {
            classes.get(index).is_some_and(|probability| (probability - right).abs() <= TOLERANCE)
        };
        if classes.len() == self.classes.len() && self.classes.iter().all(is_near) {
            return Ok(());
        }
        Err(format!("{classes:?} instead of {:?}", self.classes))
    }

    /// Decodes all of it.
    fn check_png(&self, bytes: &[u8]) -> Result<(), String> {
        let broken = |error: png::DecodingError| format!("the overlay is no whole PNG: {error}");
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().map_err(broken)?;
        let size = [reader.info().width, reader.info().height];
        if size != self.size {
            return Err(format!("the overlay has {size:?} pixels instead of {:?}", self.size));
        }
        while reader.next_row().map_err(broken)?.is_some() {}
        reader.finish().map_err(broken)
    }
}

impl Entry {
    fn classes(&self) -> BTreeMap<usize, f64> {
        self.predictions.iter().map(|class| (class.index, class.probability)).collect()
    }
}

fn entry(document: &[u8]) -> Result<Entry, String> {
    let document: Document = serde_json::from_slice(document).map_err(|error| {
        let begin: String = String::from_utf8_lossy(document).chars().take(120).collect();
        format!("the answer has another format: {error}: `{begin}`")
    })?;
    document.results.into_iter().next().ok_or_else(|| "the answer is empty".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(first: f64, png: &str) -> Vec<u8> {
        let classes = format!(r#"{{"index":5,"probability":{first}}},{{"index":1,"probability":0.25}}"#);
        format!(r#"{{"results":[{{"predictions":[{classes}],"explanations":[{{"png":"{png}"}}]}}]}}"#).into_bytes()
    }

    fn overlay(size: [u32; 2]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, size[0], size[1]);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&vec![7; (size[0] * size[1] * 3) as usize]).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn probabilities_are_right_within_the_tolerance() {
        let right = Expected::of(&document(0.75, ""), [4, 3]).unwrap();
        assert_eq!(right.check(Asked::Plain, &document(0.750_009, "")), Ok(()));
        assert!(right.check(Asked::Plain, &document(0.750_02, "")).unwrap_err().contains("instead of"));
        assert!(right.check(Asked::Plain, br#"{"results":[{"predictions":[]}]}"#).is_err());
        assert!(right.check(Asked::Plain, b"<html>").unwrap_err().contains("another format"));
    }

    #[test]
    fn an_overlay_is_whole_and_of_the_photos_size() {
        let right = Expected::of(&document(0.75, ""), [4, 3]).unwrap();
        let whole = overlay([4, 3]);
        assert_eq!(right.check(Asked::Png, &whole), Ok(()));
        assert_eq!(right.check(Asked::Map, &document(0.75, &STANDARD.encode(&whole))), Ok(()));
        assert!(right.check(Asked::Map, &document(0.75, "")).is_err());
        assert!(right.check(Asked::Png, &whole[..whole.len() - 20]).is_err());
        assert!(right.check(Asked::Png, &overlay([3, 4])).unwrap_err().contains("pixels"));
    }
}
