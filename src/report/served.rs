//! What the server answers: the documents of `predict` and `gradcam`, for one picture, with the overlay inside.
use super::gradcam::{Reasoned, Shown};
use super::json::{Document, Entry, GRADCAM_SCHEMA, Head, SCHEMA};
use crate::predict::{Answer, Run};
use anyhow::Result;
use std::fmt::Display;
use std::io::Write;

/// Writes `dermai.predict/1` for one picture.
pub fn write_answer(out: &mut dyn Write, run: &Run, answer: Answer) -> Result<()> {
    let document = Document { head: Head::of(SCHEMA, run), results: &[Entry::from(answer)], errors: &[] };
    Ok(serde_json::to_writer(out, &document)?)
}

/// Writes `dermai.gradcam/1` for one picture; `png` is the first map's overlay in base64, which is asked for while it is written.
pub fn write_explained(
    out: &mut dyn Write,
    run: &Run,
    answer: Answer,
    shown: &[Shown],
    png: Option<&dyn Display>,
) -> Result<()> {
    let reasoned = Reasoned::of(answer, shown).with_png(png);
    let document = Document { head: Head::of(GRADCAM_SCHEMA, run), results: &[reasoned], errors: &[] };
    Ok(serde_json::to_writer(out, &document)?)
}
