//! The table for people: a hundred columns, readable without colour.
use super::words::clip;
use super::{rows, words};
use crate::deploy::Finding;
use crate::memcheck::{Checked, Comparison, Floor};
use crate::report::bar::bar;
use crate::report::line::one_line;
use crate::report::table::{write_rows, write_wrapped};
use crate::units::Bytes;
use anyhow::Result;
use std::io::Write;

/// Columns of the whole.
const WIDTH: u16 = 100;
/// Longest name of a stage or an option.
const NAME: usize = 24;
/// Longest path in a title, and longest line of text before it is wrapped.
const PATH: usize = 50;
const LINE: usize = 600;
/// Cells of a bar at the budget.
const BAR: usize = 24;
/// Cells that a bar may run past it.
const OVER: usize = 6;

/// Writes the result as a table in English; `prices_as_of` is the date of the list prices.
pub fn write_table(out: &mut dyn Write, checked: &Checked, prices_as_of: Option<&str>) -> Result<()> {
    write_lines(out, &top(checked))?;
    writeln!(out)?;
    write_stages(out, checked)?;
    let measured = measured(checked);
    if !measured.is_empty() {
        writeln!(out)?;
        write_lines(out, &measured)?;
    }
    if let Some(floor) = &checked.floor {
        write_floor(out, floor)?;
    }
    writeln!(out)?;
    write_lines(out, &judged(checked))?;
    if !checked.options.is_empty() {
        writeln!(out, "\nOptions")?;
        write_named(out, rows::options(checked), &rows::OPTION_NUMBERS)?;
        writeln!(out, " {}", one_line(&words::prices(prices_as_of)))?;
        writeln!(out, " {}", words::NO_FORMS)?;
    }
    if !checked.findings.is_empty() {
        writeln!(out, "\nFindings")?;
        write_lines(out, &findings(checked))?;
    }
    if let Some(comparison) = &checked.comparison {
        write_comparison(out, comparison)?;
    }
    out.flush()?;
    Ok(())
}

/// Labels and what each says, line by line.
type Lines = Vec<(&'static str, Vec<String>)>;

fn says(label: &'static str, text: String) -> (&'static str, Vec<String>) {
    (label, vec![text])
}

fn top(checked: &Checked) -> Lines {
    let mut lines = vec![
        says("checked", words::subject(&checked.subject)),
        says("budget", words::budget(checked)),
        says("enforced", words::enforced(checked)),
    ];
    lines.extend(checked.enforced.passed_over.iter().map(|why| says("", format!("not by {why}"))));
    lines
}

fn measured(checked: &Checked) -> Lines {
    let requests = checked.requests.iter().map(|requests| says("requests", words::requests(requests)));
    let cpu = checked.cpu.iter().map(|cpu| says("cpu", words::cpu(cpu)));
    let floor =
        checked.floor.iter().map(|floor| says("floor", format!("{} is the least that it survives", floor.bytes)));
    requests.chain(cpu).chain(floor).collect()
}

fn judged(checked: &Checked) -> Lines {
    let mut lines = vec![says("verdict", words::verdict(checked))];
    lines.extend(words::ending(checked).map(|ending| says("ended", ending)));
    lines.extend(checked.verdict.advice.iter().map(|advice| says("advice", advice.clone())));
    lines
}

fn write_stages(out: &mut dyn Write, checked: &Checked) -> Result<()> {
    let budget = checked.budget.memory;
    let head = format!("{:>BAR$}│", format!("budget {budget} "));
    let bars = checked.stages.iter().map(|stage| bar_to(stage.peak, budget));
    let bars = std::iter::once(head).chain(bars);
    // The file part is left to the other views: here the bar needs the room.
    let rows = rows::stages(checked).zip(bars).map(|(mut row, bar)| {
        row.remove(3);
        row.push(bar);
        row
    });
    write_named(out, rows, &[1, 2, 3])
}

/// A bar with the budget as a mark in it; one that runs far past the mark is cut with a sign.
fn bar_to(peak: Bytes, budget: Bytes) -> String {
    let cells = peak.0 as f64 / budget.0.max(1) as f64 * BAR as f64;
    let within = bar((cells / BAR as f64) as f32, BAR);
    let over = cells - BAR as f64;
    let past = match over {
        over if over <= 0.0 => String::new(),
        over if over <= OVER as f64 => bar((over / OVER as f64) as f32, OVER),
        _ => format!("{}»", "█".repeat(OVER - 1)),
    };
    format!("{within:<BAR$}│{past}")
}

fn write_floor(out: &mut dyn Write, floor: &Floor) -> Result<()> {
    if !floor.curve.is_empty() {
        let rows = rows::floor(floor).map(|mut row| {
            row.insert(0, " ".repeat("enforced".len()));
            row
        });
        write_rows(out, rows, &[1, 2])?;
    }
    Ok(())
}

fn findings(checked: &Checked) -> Lines {
    let line = |finding: &Finding| {
        let at = if finding.path.is_empty() { String::new() } else { format!(" at `{}`", finding.path) };
        let mut lines = vec![format!("{}{at}", finding.rule), finding.message.clone()];
        lines.extend((!finding.fix.is_empty()).then(|| format!("fix: {}", finding.fix)));
        (words::severity(finding.severity), lines)
    };
    checked.findings.iter().map(line).collect()
}

fn write_comparison(out: &mut dyn Write, comparison: &Comparison) -> Result<()> {
    let band = comparison.band * 100.0;
    let path = comparison.path.display().to_string();
    writeln!(out, "\nCompared with {} (less than {band} % or 512 KB is noise)", clip(&one_line(&path), PATH))?;
    write_named(out, rows::changes(comparison), &rows::CHANGE_NUMBERS)
}

/// Rows with a name in front, which may come from outside and be long.
fn write_named(out: &mut dyn Write, rows: impl Iterator<Item = Vec<String>>, numbers: &[usize]) -> Result<()> {
    let rows = rows.map(|mut row| {
        row[0] = clip(&one_line(&row[0]), NAME);
        row
    });
    write_rows(out, rows, numbers)
}

fn write_lines(out: &mut dyn Write, lines: &Lines) -> Result<()> {
    // All labels take the same room, so that blocks of lines stand in line.
    let row = |(label, text): &(&'static str, Vec<String>)| {
        vec![format!("{label:<8}"), text.iter().map(|line| clip(&one_line(line), LINE)).collect::<Vec<_>>().join("\n")]
    };
    write_wrapped(out, lines.iter().map(row), WIDTH)
}
