//! The table for people.
use super::record::{LAYER_NUMBERS, counts, listing, recipe};
use super::rows::{self, FIGURE_NUMBERS, GATE_NUMBERS};
use crate::quantize::Made;
use crate::report::table::{write_rows, write_rows_within, write_wrapped};
use crate::text::one_line;
use anyhow::Result;
use std::io::Write;

/// Columns of the whole, where the terminal does not say.
const WIDTH: u16 = 100;

/// Writes what was made, what was measured, and what came of the gates; `columns` is what the terminal has, if it is one.
pub fn write_table(out: &mut dyn Write, made: &Made, columns: Option<u16>) -> Result<()> {
    let width = columns.unwrap_or(WIDTH).clamp(WIDTH / 2, WIDTH);
    let lines = std::iter::once(rows::headline(made)).chain(rows::circumstances(made));
    write_wrapped(out, lines.map(|line| vec![one_line(&line).into_owned()]), width)?;
    writeln!(out)?;
    let figures = rows::figures(made).into_iter().map(|row| row.iter().map(|cell| one_line(cell).into()).collect());
    write_rows(out, figures, &FIGURE_NUMBERS)?;
    write_how(out, made, width)?;
    if !made.gates.is_empty() {
        writeln!(out)?;
        write_rows(out, rows::gates(made), &GATE_NUMBERS)?;
    }
    let advice = rows::advice(made);
    if !advice.is_empty() {
        writeln!(out)?;
        write_wrapped(out, advice.into_iter().map(|line| vec![line]), width)?;
    }
    out.flush()?;
    Ok(())
}

/// What it was calibrated with, what became of the layers, and those that are worth a look.
fn write_how(out: &mut dyn Write, made: &Made, width: u16) -> Result<()> {
    let told = |out: &mut dyn Write, line: String| write_wrapped(out, std::iter::once(vec![line]), width);
    let how: Vec<_> = recipe(made).into_iter().chain(made.record.as_ref().map(counts)).collect();
    if how.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    told(out, how.join("; "))?;
    let Some(listing) = made.record.as_ref().and_then(|record| listing(record, usize::from(width))) else {
        return Ok(());
    };
    writeln!(out)?;
    told(out, listing.title.to_owned())?;
    write_rows_within(out, listing.rows, &LAYER_NUMBERS, width)?;
    listing.more.map_or(Ok(()), |more| told(out, more))
}
