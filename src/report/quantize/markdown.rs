//! Markdown for a CI server's summary of a job (`$GITHUB_STEP_SUMMARY`).
use super::record::{LAYER_NUMBERS, counts, listing, recipe};
use super::rows::{self, FIGURE_NUMBERS, GATE_NUMBERS};
use crate::quantize::Made;
use crate::report::markdown::{prose, write_table};
use anyhow::Result;
use std::io::Write;

/// Columns of a row of layers.
const WIDTH: usize = 120;

/// Writes what was measured and what came of the gates.
pub fn write_markdown(out: &mut dyn Write, made: &Made) -> Result<()> {
    writeln!(out, "## Quantization: {}\n", if made.passed() { "PASSED" } else { "FAILED" })?;
    let lines: Vec<_> = std::iter::once(rows::headline(made)).chain(rows::circumstances(made)).collect();
    writeln!(out, "{}.", prose(&lines.join("; ")))?;
    write_table(out, "Figures", rows::figures(made).into_iter(), &FIGURE_NUMBERS)?;
    let how: Vec<_> = recipe(made).into_iter().chain(made.record.as_ref().map(counts)).collect();
    if !how.is_empty() {
        writeln!(out, "\n{}.", prose(&how.join("; ")))?;
    }
    if let Some(listing) = made.record.as_ref().and_then(|record| listing(record, WIDTH)) {
        write_table(out, listing.title, listing.rows.into_iter(), &LAYER_NUMBERS)?;
        if let Some(more) = listing.more {
            writeln!(out, "\n{}.", prose(&more))?;
        }
    }
    if !made.gates.is_empty() {
        let head = ["", "gate", "value", "limit", ""].map(str::to_owned).to_vec();
        write_table(out, "Gates", std::iter::once(head).chain(rows::gates(made)), &GATE_NUMBERS)?;
    }
    let advice = rows::advice(made);
    if !advice.is_empty() {
        writeln!(out)?;
        advice.iter().try_for_each(|line| writeln!(out, "- {}", prose(line)))?;
    }
    out.flush()?;
    Ok(())
}
