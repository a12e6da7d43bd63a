//! What was measured, as a Markdown table on standard output and as plain data in a JSON file.

use std::fs::File;
use std::io::{self, BufWriter, Write as _, stdout};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::figure::{Figure, Verdict};
use super::machine::Machine;
use super::table::Table;
use crate::say::say;

/// Everything that was measured. Keys are only ever added.
#[derive(Serialize)]
pub struct Record {
    schema: &'static str,
    machine: Machine,
    runs: usize,
    figures: Vec<Row>,
    tables: Vec<Below>,
    skipped: Vec<Skipped>,
}

/// A topic's own table.
#[derive(Serialize)]
struct Below {
    topic: &'static str,
    #[serde(flatten)]
    table: Table,
}

/// One figure.
#[derive(Debug, Serialize)]
struct Row {
    topic: &'static str,
    name: String,
    ours: Option<f64>,
    beside: Option<f64>,
    /// What `beside` is: `Python`, or a command of ours.
    against: &'static str,
    ratio: Option<f64>,
    /// A quarter of the pairs' ratios lie below the first, a quarter above the second.
    ratio_quartiles: Option<[f64; 2]>,
    unit: String,
    target: Option<String>,
    met: Option<bool>,
    /// Met only in that the noise is larger than what is missing.
    within_noise: bool,
}

/// A topic that was not measured.
#[derive(Serialize)]
struct Skipped {
    topic: &'static str,
    reason: String,
}

impl Record {
    /// Nothing yet.
    pub fn new(machine: Machine, runs: usize) -> Self {
        Self { schema: "dermai.bench/1", machine, runs, figures: Vec::new(), tables: Vec::new(), skipped: Vec::new() }
    }

    /// The machine and the table's head.
    pub fn print_head(&self) -> Result<()> {
        print(format_args!(
            "{}. Medians of {} pairs, of memory the worst; the ratio is the median of the pairs' ratios, in brackets its middle half.\n\n\
             | measured | dermai | beside | dermai / beside | target | |\n|---|---|---|---|---|---|",
            self.machine, self.runs
        ))
    }

    /// A topic's figures, which are printed at once.
    pub fn add(&mut self, topic: &'static str, figures: &[Figure]) -> Result<()> {
        for figure in figures {
            print(markdown(figure))?;
            self.figures.push(Row::of(topic, figure));
        }
        Ok(())
    }

    /// A topic's own table, which is printed below the others' figures.
    pub fn add_table(&mut self, topic: &'static str, table: Table) {
        self.tables.push(Below { topic, table });
    }

    /// A topic that could not be measured here.
    pub fn skip(&mut self, topic: &'static str, reason: String) {
        say(format_args!("bench: {topic}: skipped: {reason}"));
        self.skipped.push(Skipped { topic, reason });
    }

    /// How many targets were missed by more than the noise.
    pub fn missed(&self) -> usize {
        self.figures.iter().filter(|row| row.met == Some(false) && !row.within_noise).count()
    }

    /// The topics' own tables, what was left out, and the verdict.
    pub fn print_end(&self) -> Result<()> {
        for Below { table, .. } in &self.tables {
            print(format_args!("\n{}", table.markdown().trim_end()))?;
        }
        for Skipped { topic, reason } in &self.skipped {
            print(format_args!("\nNot measured: `{topic}` ({reason})."))?;
        }
        let held = self.figures.iter().filter(|row| row.met.is_some()).count();
        say(match self.missed() {
            0 => format!("bench: {held} of {held} targets met"),
            missed => format!("bench: {missed} of {held} targets missed"),
        });
        Ok(())
    }

    /// All of it as JSON.
    pub fn write(&self, file: File) -> Result<()> {
        let mut file = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut file, self)?;
        writeln!(file).and_then(|()| file.flush()).context("cannot write the figures as JSON")
    }
}

impl Row {
    fn of(topic: &'static str, figure: &Figure) -> Self {
        // JSON has no NaN: what could not be measured is null.
        let number = |value: f64| Some(value).filter(|value| value.is_finite());
        let (ratio, verdict) = (figure.ratio(), figure.verdict());
        Self {
            topic,
            name: figure.name.clone(),
            ours: number(figure.ours()),
            beside: figure.theirs().and_then(number),
            against: figure.other(),
            ratio: ratio.and_then(|ratio| number(ratio.median)),
            ratio_quartiles: ratio.map(|ratio| [ratio.low, ratio.high]).filter(|at| at.iter().all(|v| v.is_finite())),
            unit: figure.unit.to_string(),
            target: figure.target.map(|target| target.show(figure.unit, figure.other())),
            met: verdict.map(|verdict| verdict == Verdict::Met),
            within_noise: verdict == Some(Verdict::WithinNoise),
        }
    }
}

/// One line of the table.
fn markdown(figure: &Figure) -> String {
    let unit = figure.unit;
    let beside = figure.theirs().map(|value| format!("{}: {}", figure.other(), unit.show(value))).unwrap_or_default();
    let ratio = figure.ratio().filter(|ratio| ratio.median.is_finite());
    let ratio = ratio.map(|r| format!("{} ({} to {})", two(r.median), two(r.low), two(r.high))).unwrap_or_default();
    let target = figure.target.map(|target| target.show(unit, figure.other())).unwrap_or_default();
    let verdict = figure.verdict().map_or("", |verdict| match verdict {
        Verdict::Met => "met",
        Verdict::WithinNoise => "not met, within the noise",
        Verdict::Missed => "**missed**",
    });
    format!("| {} | {} | {beside} | {ratio} | {target} | {verdict} |", figure.name, unit.show(figure.ours()))
}

/// Two decimal places, and never `-0.00`.
fn two(value: f64) -> String {
    format!("{:.2}", (value * 100.0).round() / 100.0 + 0.0)
}

/// The topics, one a line.
pub fn list<'a>(topics: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let topics: Vec<_> = topics.collect();
    let width = topics.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    topics.iter().try_for_each(|(name, about)| print(format_args!("{name:width$}  {about}")))
}

/// The table is this chore's product, so it goes to standard output.
fn print(line: impl std::fmt::Display) -> Result<()> {
    let written: io::Result<()> = writeln!(stdout(), "{line}").and_then(|()| stdout().flush());
    written.context("standard output cannot be written")
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Target, Unit};
    use super::*;

    #[test]
    fn a_line_says_both_sides_the_ratio_and_the_verdict() {
        let figure = Figure::new("inference", Unit::Milliseconds, vec![50.0]).beside(vec![100.0]);
        assert_eq!(
            markdown(&figure.clone().target(Target::RatioMost(1.0))),
            "| inference | 50.0 ms | Python: 100 ms | 0.50 (0.50 to 0.50) | at most 1.00 x Python | met |"
        );
        assert!(markdown(&figure.target(Target::Most(49.0))).ends_with("| at most 49 ms | **missed** |"));
    }

    #[test]
    fn a_ratio_that_rounds_to_nothing_has_no_sign() {
        assert_eq!([two(-0.001), two(-0.01), two(1.005e3)], ["0.00", "-0.01", "1005.00"]);
    }

    #[test]
    fn what_could_not_be_measured_is_null_and_missed() {
        let figure = Figure::new("peak", Unit::Megabytes, vec![f64::NAN]).target(Target::Most(48.0));
        let row = serde_json::to_value(Row::of("t", &figure)).unwrap();
        assert_eq!((&row["ours"], &row["met"]), (&serde_json::Value::Null, &serde_json::json!(false)));
    }
}
