//! What tables for people have in common: rows without lines, class names in the reader's language, the notice under them.
use crate::model::{Card, Label};
use crate::predict::{Prediction, Run};
use crate::text::one_line;
use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::io::Write;
use std::time::Duration;

/// A cell without a value.
pub const NONE: &str = "-";

/// Longest class name in a table: ImageNet's run to a hundred letters of synonyms.
const NAME: usize = 48;

/// Language of labels and notices in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Language {
    English,
    Vietnamese,
}

/// The notice and who answered.
pub fn write_notice(out: &mut dyn Write, language: Language, run: &Run) -> Result<()> {
    let words = Words::of(language);
    let notice = if run.card.about.notice == words.plain_notice { words.notice } else { &run.card.about.notice };
    let by = run.identity.as_ref().map(|who| format!("{}, ONNX Runtime {}", who.name, who.runtime)).unwrap_or_default();
    writeln!(out, "\n{}", one_line(&format!("{notice}  ({by})")))?;
    Ok(())
}

/// A class's name in the reader's language, its id where the card has none.
pub fn class_name(language: Language, card: &Card, p: &Prediction) -> String {
    let of = |label: &Label| match language {
        Language::English => label.en.clone(),
        Language::Vietnamese => label.vi.clone().or_else(|| label.en.clone()),
    };
    let name = card.labels.get(p.index).and_then(of).unwrap_or_else(|| p.label.clone());
    let name = one_line(&name);
    if name.chars().count() <= NAME { name.into_owned() } else { name.chars().take(NAME - 1).chain(['…']).collect() }
}

/// A probability as people read it.
pub fn percent(probability: f32) -> String {
    format!("{:.1} %", probability * 100.0)
}

/// A time with three digits that count.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.0095 => format!("{:.1} ms", s * 1e3),
        s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
        s if s < 9.995 && s.fract() > 0.0 => format!("{s:.2} s"),
        s if s.fract() == 0.0 => format!("{s} s"),
        s => format!("{s:.1} s"),
    }
}

/// A table without lines; columns in `numbers` are set to the right.
pub fn write_rows(out: &mut dyn Write, rows: impl Iterator<Item = Vec<String>>, numbers: &[usize]) -> Result<()> {
    write_out(out, &lines(rows, numbers))
}

/// The same, but where it would be wider than `width` columns each row is told in words: its first cell, then the others behind what the first
/// row calls them.
pub fn write_rows_within(out: &mut dyn Write, rows: Vec<Vec<String>>, numbers: &[usize], width: u16) -> Result<()> {
    let table = lines(rows.iter().cloned(), numbers);
    if widest(&table) <= usize::from(width) {
        return write_out(out, &table);
    }
    let mut rows = rows.into_iter();
    let head = rows.next().unwrap_or_default();
    let told = rows.map(|row| {
        let cells = head.iter().zip(&row).skip(1).filter(|(_, cell)| !cell.is_empty() && *cell != NONE);
        let cells: Vec<_> = cells.map(|(head, cell)| format!("{head} {cell}").trim_start().to_owned()).collect();
        vec![row.into_iter().next().unwrap_or_default(), cells.join(", ")]
    });
    write_wrapped(out, told, width)
}

/// Columns that the widest line takes.
pub fn widest(lines: &[String]) -> usize {
    lines.iter().map(|line| line.chars().count()).max().unwrap_or_default()
}

/// Lines of a table without rules.
pub fn lines(rows: impl Iterator<Item = Vec<String>>, numbers: &[usize]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        table.add_row(row);
    }
    for &number in numbers {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    trimmed(&table)
}

/// Columns of the terminal that standard output is, or of the one that `COLUMNS` tells of; none where there is neither.
pub fn columns() -> Option<u16> {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    told.or_else(|| Table::new().width())
}

/// A table without lines whose last column wraps so that no line is longer than `width` columns.
pub fn write_wrapped(out: &mut dyn Write, rows: impl Iterator<Item = Vec<String>>, width: u16) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    for row in rows {
        table.add_row(row);
    }
    write_out(out, &trimmed(&table))
}

fn trimmed(table: &Table) -> Vec<String> {
    table.lines().map(|line| tame(line.trim_end())).collect()
}

/// A line of a wrapped text may begin anywhere in it; in a workflow's log one that begins with two colons is a command.
fn tame(line: &str) -> String {
    let text = line.trim_start();
    match text.strip_prefix("::") {
        Some(rest) => format!("{}∷{rest}", &line[..line.len() - text.len()]),
        None => line.to_owned(),
    }
}

fn write_out(out: &mut dyn Write, lines: &[String]) -> Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}").map_err(Into::into))
}

/// The few words of a table.
pub struct Words {
    /// The notice of a card that does not say it otherwise.
    plain_notice: &'static str,
    notice: &'static str,
    /// Behind an uncertain answer in a list.
    pub uncertain_mark: &'static str,
    uncertain: &'static str,
}

impl Words {
    /// The words of a language.
    pub fn of(language: Language) -> Self {
        let plain_notice = "not a diagnosis";
        match language {
            Language::English => Self {
                plain_notice,
                notice: "Not a diagnosis.",
                uncertain_mark: "uncertain",
                uncertain: "uncertain: the best probability is below",
            },
            Language::Vietnamese => Self {
                plain_notice,
                notice: "Không phải là chẩn đoán.",
                uncertain_mark: "không chắc chắn",
                uncertain: "không chắc chắn: xác suất cao nhất dưới",
            },
        }
    }

    /// The sentence under an uncertain answer.
    pub fn uncertain(&self, threshold: Option<f64>) -> String {
        // As many digits as were typed: 37.5 % must not read as 38 %.
        let percent = (threshold.unwrap_or_default() * 1e6).round() / 1e4;
        format!("{} {percent} %", self.uncertain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_the_digits_that_count() {
        for (micros, text) in [
            (0, "0.0 ms"),
            (9_400, "9.4 ms"),
            (9_600, "10 ms"),
            (999_400, "999 ms"),
            (999_600, "1.00 s"),
            (9_994_000, "9.99 s"),
            (5_000_000, "5 s"),
            (61_500_000, "61.5 s"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), text);
        }
    }
}
