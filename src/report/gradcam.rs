//! `gradcam`'s results: a table for people, `dermai.gradcam/1` for machines, the list of layers.
use super::bar::bar;
use super::json::{Class, Document, Entry, GRADCAM_SCHEMA, Head, Missed};
use super::table::{Language, class_name, percent, write_notice, write_rows};
use crate::explain::{Explanation, Layer, Layers};
use crate::predict::{Answer, Failure, Prediction, Run};
use crate::text::one_line;
use anyhow::Result;
use serde::{Serialize, Serializer};
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Cells of a bar at probability 1.
const BAR: usize = 24;

/// The files that were written for a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The overlay.
    pub overlay: Option<PathBuf>,
    /// The raw map.
    pub npy: Option<PathBuf>,
    /// The normalised map as 16-bit grey.
    pub png16: Option<PathBuf>,
}

/// A map, where it was written, and why it was not painted, if it was not.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The map and what it explains.
    pub explanation: Explanation,
    /// Files.
    pub files: Files,
    /// Why there is no overlay: the map is zero or the same everywhere.
    pub flat: Option<String>,
}

/// Takes results and writes them to `out` at the end.
pub struct View<'o> {
    json: bool,
    language: Language,
    out: &'o mut dyn Write,
    answers: Vec<(Answer, Vec<Shown>)>,
    failures: Vec<Failure>,
}

impl<'o> View<'o> {
    /// A view that writes to `out`, a table or JSON.
    pub fn new(json: bool, language: Language, out: &'o mut dyn Write) -> Self {
        Self { json, language, out, answers: Vec::new(), failures: Vec::new() }
    }

    /// Takes an answer with its maps.
    pub fn add(&mut self, answer: Answer, shown: Vec<Shown>) {
        self.answers.push((answer, shown));
    }

    /// Takes a picture that failed.
    pub fn fail(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// Writes all, and gives the failures for the caller to list.
    pub fn finish(self, run: &Run) -> Result<Vec<Failure>> {
        if self.json {
            let results: Vec<_> =
                self.answers.into_iter().map(|(answer, shown)| Reasoned::of(answer, &shown)).collect();
            let errors: Vec<Missed> = self.failures.iter().cloned().map(Into::into).collect();
            let document = Document { head: Head::of(GRADCAM_SCHEMA, run), results: &results, errors: &errors };
            serde_json::to_writer_pretty(&mut *self.out, &document)?;
            writeln!(self.out)?;
        } else if !self.answers.is_empty() {
            match self.answers.as_slice() {
                [(answer, shown)] => write_one(self.out, self.language, run, answer, shown)?,
                several => write_several(self.out, self.language, run, several)?,
            }
            write_notice(self.out, self.language, run)?;
        }
        self.out.flush()?;
        Ok(self.failures)
    }
}

/// Classes with bars, and under them what was explained and where it lies.
fn write_one(out: &mut dyn Write, language: Language, run: &Run, answer: &Answer, shown: &[Shown]) -> Result<()> {
    writeln!(out, "{}  {}", one_line(&answer.image), answer.size)?;
    let row =
        |p: &Prediction| vec![class_name(language, &run.card, p), percent(p.probability), bar(p.probability, BAR)];
    write_rows(out, answer.predictions.iter().map(row), &[1])?;
    writeln!(out)?;
    for one in shown {
        let explanation = &one.explanation;
        let class = class_name(language, &run.card, &explanation.class);
        let where_to = places(one);
        let line = format!("{} of {class} at `{}`: {where_to}", explanation.method, explanation.layer);
        writeln!(out, "{}", one_line(&line))?;
    }
    Ok(())
}

/// A row for each map.
fn write_several(out: &mut dyn Write, language: Language, run: &Run, all: &[(Answer, Vec<Shown>)]) -> Result<()> {
    let rows =
        all.iter().flat_map(|(answer, shown)| shown.iter().map(move |one| (answer, one))).map(|(answer, one)| {
            let class = &one.explanation.class;
            vec![
                one_line(&answer.image).into_owned(),
                class_name(language, &run.card, class),
                percent(class.probability),
                one_line(&places(one)).into_owned(),
            ]
        });
    write_rows(out, rows, &[2])
}

fn places(one: &Shown) -> String {
    let files = [&one.files.overlay, &one.files.npy, &one.files.png16];
    let files: Vec<_> = files.into_iter().flatten().map(|path| path.display().to_string()).collect();
    let flat = one.flat.iter().map(|why| format!("not painted: {why}"));
    flat.chain(files).collect::<Vec<_>>().join(", ")
}

/// A classified picture with its maps.
#[derive(Serialize)]
pub struct Reasoned<'p> {
    #[serde(flatten)]
    entry: Entry,
    explanations: Vec<Reason<'p>>,
}

#[derive(Serialize)]
struct Reason<'p> {
    method: String,
    layer: String,
    score: &'static str,
    class: Class,
    map: Facts,
    /// Why there is no overlay.
    #[serde(skip_serializing_if = "Option::is_none")]
    flat: Option<String>,
    files: Places,
    /// The overlay in base64; written as it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    png: Option<AsText<'p>>,
}

/// What is written as it displays itself.
struct AsText<'p>(&'p dyn Display);

impl Serialize for AsText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

/// Of the raw map.
#[derive(Debug, Serialize)]
struct Facts {
    height: usize,
    width: usize,
    min: f32,
    max: f32,
    zero: bool,
}

#[derive(Debug, Serialize)]
struct Places {
    overlay: Option<String>,
    npy: Option<String>,
    png16: Option<String>,
}

impl<'p> Reasoned<'p> {
    /// A picture and its maps.
    pub fn of(answer: Answer, shown: &[Shown]) -> Self {
        Self { entry: answer.into(), explanations: shown.iter().map(Reason::of).collect() }
    }

    /// With the overlay of the first map.
    #[must_use]
    pub fn with_png(mut self, png: Option<&'p dyn Display>) -> Self {
        if let Some(first) = self.explanations.first_mut() {
            first.png = png.map(AsText);
        }
        self
    }
}

impl Reason<'_> {
    fn of(shown: &Shown) -> Self {
        let Explanation { method, layer, score, class, map, .. } = &shown.explanation;
        let path = |path: &Option<PathBuf>| path.as_deref().map(|path: &Path| path.display().to_string());
        let (least, most) = (f32::INFINITY, f32::NEG_INFINITY);
        let max = map.iter().copied().fold(most, f32::max);
        Self {
            method: method.to_string(),
            layer: layer.clone(),
            score: score.name(),
            class: class.clone().into(),
            map: Facts {
                height: map.nrows(),
                width: map.ncols(),
                min: map.iter().copied().fold(least, f32::min),
                max,
                zero: max <= 0.0,
            },
            files: Places {
                overlay: path(&shown.files.overlay),
                npy: path(&shown.files.npy),
                png16: path(&shown.files.png16),
            },
            flat: shown.flat.clone(),
            png: None,
        }
    }
}

/// Writes the layers as a table: name, operator, shape, and whether each can be explained.
pub fn write_layers(out: &mut dyn Write, layers: &Layers) -> Result<()> {
    let row = |(at, layer): (usize, &Layer)| {
        let shape = layer.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        let note = match (layer.on_path, &layer.obstacle) {
            (false, _) => "not on the path to the classes".to_owned(),
            (true, Some(obstacle)) => format!("no backward rule for {obstacle}"),
            (true, None) if layers.default == Some(at) => "default".to_owned(),
            (true, None) => String::new(),
        };
        vec![one_line(&layer.name).into_owned(), layer.op.clone(), shape, one_line(&note).into_owned()]
    };
    write_rows(out, layers.all.iter().enumerate().map(row), &[])?;
    out.flush()?;
    Ok(())
}
