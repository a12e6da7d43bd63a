//! `predict`'s results as a table for people, JSON, JSON lines or CSV.
use super::bar::bar;
use super::json::{Document, Entry, Head, Line, Missed, SCHEMA};
use super::table::{Language, Words, class_name, percent, write_notice, write_rows};
use crate::predict::{Answer, Failure, Prediction, Run, Sink};
use crate::text::one_line;
use anyhow::Result;
use std::io::Write;

/// Cells of a bar at probability 1.
const BAR: usize = 24;
/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Table,
    Json,
    Jsonl,
    Csv,
}

/// Takes results and writes them to `out`: JSON lines and CSV as they come, tables and JSON at the end.
pub struct View<'o> {
    format: Format,
    language: Language,
    out: &'o mut dyn Write,
    answers: Vec<Answer>,
    entries: Vec<Entry>,
    missed: Vec<Missed>,
    failures: Vec<Failure>,
    started: bool,
}

impl<'o> View<'o> {
    /// A view that writes to `out`.
    pub fn new(format: Format, language: Language, out: &'o mut dyn Write) -> Self {
        Self {
            format,
            language,
            out,
            answers: Vec::new(),
            entries: Vec::new(),
            missed: Vec::new(),
            failures: Vec::new(),
            started: false,
        }
    }

    /// Writes what has to wait for the end, and gives the failures for the caller to list.
    pub fn finish(mut self, run: &Run) -> Result<Vec<Failure>> {
        match self.format {
            Format::Table => self.write_table(run)?,
            Format::Json => {
                let document = Document { head: Head::of(SCHEMA, run), results: &self.entries, errors: &self.missed };
                serde_json::to_writer_pretty(&mut *self.out, &document)?;
                writeln!(self.out)?;
            }
            Format::Csv => self.csv_head()?,
            Format::Jsonl => {}
        }
        self.out.flush()?;
        Ok(self.failures)
    }

    fn line(&mut self, line: &impl serde::Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.out.write_all(&text)?;
        self.out.flush()?; // whatever happens next, this line is there
        Ok(())
    }

    fn csv_head(&mut self) -> Result<()> {
        if !self.started {
            self.started = true;
            writeln!(self.out, "image,rank,index,label,probability")?;
        }
        Ok(())
    }

    fn csv_rows(&mut self, answer: &Answer) -> Result<()> {
        self.csv_head()?;
        let mut rows = csv::Writer::from_writer(&mut *self.out);
        for (rank, p) in answer.predictions.iter().enumerate() {
            rows.write_record([
                &answer.image,
                &(rank + 1).to_string(),
                &p.index.to_string(),
                &p.label,
                &p.probability.to_string(),
            ])?;
        }
        rows.flush()?;
        Ok(())
    }

    fn write_table(&mut self, run: &Run) -> Result<()> {
        let language = self.language;
        let words = Words::of(language);
        match self.answers.as_slice() {
            [] => return Ok(()),
            [only] => {
                writeln!(self.out, "{}  {}", one_line(&only.image), only.size)?;
                let row = |p: &Prediction| {
                    vec![class_name(language, &run.card, p), percent(p.probability), bar(p.probability, BAR)]
                };
                write_rows(self.out, only.predictions.iter().map(row), [1].as_slice())?;
                if only.low_confidence {
                    writeln!(self.out, "{}", words.uncertain(run.threshold))?;
                }
            }
            several => {
                let row = |a: &Answer| {
                    let best = a.predictions.first();
                    let name = best.map_or_else(String::new, |p| class_name(language, &run.card, p));
                    let share = best.map_or(0.0, |p| p.probability);
                    let mark = if a.low_confidence { words.uncertain_mark } else { "" };
                    vec![one_line(&a.image).into_owned(), name, percent(share), bar(share, BAR / 2), mark.to_owned()]
                };
                write_rows(self.out, several.iter().map(row), [2].as_slice())?;
            }
        }
        write_notice(self.out, language, run)
    }
}

impl Sink for View<'_> {
    fn answer(&mut self, run: &Run, answer: Answer) -> Result<()> {
        match self.format {
            Format::Table => self.answers.push(answer),
            Format::Json => self.entries.push(answer.into()),
            Format::Jsonl => self.line(&Line { head: Head::of(SCHEMA, run), entry: Entry::from(answer) })?,
            Format::Csv => self.csv_rows(&answer)?,
        }
        Ok(())
    }

    fn failure(&mut self, run: &Run, failure: Failure) -> Result<()> {
        self.failures.push(failure.clone());
        match self.format {
            Format::Json => self.missed.push(failure.into()),
            Format::Jsonl => self.line(&Line { head: Head::of(SCHEMA, run), entry: Missed::from(failure) })?,
            Format::Table | Format::Csv => {}
        }
        Ok(())
    }
}
