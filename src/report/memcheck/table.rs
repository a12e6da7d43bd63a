//! The table for people: a hundred columns or as many as the terminal has, readable without colour.
use super::words::clip;
use super::{rows, words};
use crate::deploy::Finding;
use crate::memcheck::{Checked, Comparison, Floor};
use crate::report::bar::bar;
use crate::report::table::{lines, widest, write_rows_within, write_wrapped};
use crate::text::one_line;
use crate::units::Bytes;
use anyhow::Result;
use std::io::Write;
use std::ops::RangeInclusive;

/// Columns of the whole, at least and at most: on a narrower terminal lines run over its edge, on a wider one they would be hard to read.
const LEAST: u16 = 60;
const WIDTH: u16 = 100;
/// Longest name of a stage or an option.
const NAME: usize = 24;
/// Longest path in a title, and longest line of text before it is wrapped.
const PATH: usize = 46;
const LINE: usize = 600;
/// Cells of a bar at the budget: as many as there is room for. Shorter ones tell nothing and are left out.
const BARS: RangeInclusive<usize> = 8..=24;

/// Writes the result as a table in English; `prices_as_of` is the date of the list prices, `columns` what the terminal has, if it is one.
pub fn write_table(
    out: &mut dyn Write,
    checked: &Checked,
    prices_as_of: Option<&str>,
    columns: Option<u16>,
) -> Result<()> {
    let width = columns.unwrap_or(WIDTH).clamp(LEAST, WIDTH);
    write_lines(out, &top(checked), width)?;
    writeln!(out)?;
    write_stages(out, checked, width)?;
    let measured = measured(checked);
    if !measured.is_empty() {
        writeln!(out)?;
        write_lines(out, &measured, width)?;
    }
    if let Some(floor) = &checked.floor {
        write_floor(out, floor, width)?;
    }
    writeln!(out)?;
    write_lines(out, &judged(checked), width)?;
    if !checked.options.is_empty() {
        writeln!(out, "\nOptions")?;
        write_named(out, rows::options(checked), &rows::OPTION_NUMBERS, width)?;
        let notes = words::notes(checked, prices_as_of);
        write_wrapped(out, notes.iter().map(|note| vec![one_line(note).into_owned()]), width)?;
    }
    if !checked.findings.is_empty() {
        writeln!(out, "\nFindings")?;
        write_lines(out, &findings(&checked.findings), width)?;
    }
    if let Some(comparison) = &checked.comparison {
        write_comparison(out, comparison, width)?;
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
    let served = checked.served.iter().map(|served| says("serve", words::served(served)));
    let cpu = checked.cpu.iter().map(|cpu| says("cpu", words::cpu(cpu)));
    let floor =
        checked.floor.iter().map(|floor| says("floor", format!("{} is the least that it survives", floor.bytes)));
    requests.chain(served).chain(cpu).chain(floor).collect()
}

fn judged(checked: &Checked) -> Lines {
    let mut lines = vec![says("verdict", words::verdict(checked))];
    lines.extend(words::ending(checked).map(|ending| says("ended", ending)));
    lines.extend(checked.verdict.advice.iter().map(|advice| says("advice", advice.clone())));
    lines
}

fn write_stages(out: &mut dyn Write, checked: &Checked, width: u16) -> Result<()> {
    // The file part is left to the other views: here the bar needs the room.
    let rows = rows::stages(checked).map(|mut row| {
        row.remove(3);
        named(row)
    });
    let mut rows: Vec<_> = rows.collect();
    let numbers = [1, 2, 3];
    let left = usize::from(width).saturating_sub(widest(&lines(rows.iter().cloned(), &numbers)));
    if let Some(cells) = BARS.rev().find(|cells| cells + 1 + over(*cells) + 2 <= left) {
        let budget = checked.budget.memory;
        let heads = [format!("budget {budget} "), format!("{budget} "), String::new()];
        let head = heads.into_iter().find(|head| head.len() <= cells).unwrap_or_default();
        let bars = checked.stages.iter().map(|stage| bar_to(stage.peak, budget, cells));
        let bars = std::iter::once(format!("{head:>cells$}│")).chain(bars);
        rows.iter_mut().zip(bars).for_each(|(row, bar)| row.push(bar));
    }
    write_rows_within(out, rows, &numbers, width)
}

/// Cells that a bar may run past the budget's mark.
fn over(cells: usize) -> usize {
    cells / 4
}

/// A bar with the budget as a mark behind `cells`; one that runs far past the mark is cut with a sign.
fn bar_to(peak: Bytes, budget: Bytes, cells: usize) -> String {
    let part = peak.0 as f64 / budget.0.max(1) as f64;
    let within = bar(part as f32, cells);
    let most = over(cells);
    let past = match (part - 1.0) * cells as f64 {
        past if past <= 0.0 => String::new(),
        past if past <= most as f64 => bar((past / most as f64) as f32, most),
        _ => format!("{}»", "█".repeat(most - 1)),
    };
    format!("{within:<cells$}│{past}")
}

fn write_floor(out: &mut dyn Write, floor: &Floor, width: u16) -> Result<()> {
    if floor.curve.is_empty() {
        return Ok(());
    }
    let rows = rows::floor(floor).map(|mut row| {
        row.insert(0, " ".repeat("enforced".len()));
        row
    });
    write_rows_within(out, rows.collect(), &[1, 2], width)
}

/// Writes findings of the lint, for a blueprint that gives no budget and so has no report.
pub fn write_findings(out: &mut dyn Write, all: &[Finding], columns: Option<u16>) -> Result<()> {
    write_lines(out, &findings(all), columns.unwrap_or(WIDTH).clamp(LEAST, WIDTH))?;
    out.flush()?;
    Ok(())
}

fn findings(all: &[Finding]) -> Lines {
    let line = |finding: &Finding| {
        let place = words::place(finding).map(|place| format!(" {place}")).unwrap_or_default();
        let mut lines = vec![format!("{}{place}", finding.rule), finding.message.clone()];
        lines.extend((!finding.fix.is_empty()).then(|| format!("fix: {}", finding.fix)));
        (words::severity(finding.severity), lines)
    };
    all.iter().map(line).collect()
}

fn write_comparison(out: &mut dyn Write, comparison: &Comparison, width: u16) -> Result<()> {
    let band = comparison.band * 100.0;
    let path = clip(&one_line(&comparison.path.display().to_string()), PATH);
    writeln!(out, "\nCompared with {path}")?;
    write_wrapped(out, [vec![format!("Less than {band} % or 512 KB is noise.")]].into_iter(), width)?;
    write_named(out, rows::changes(comparison), &rows::CHANGE_NUMBERS, width)
}

/// Rows with a name in front, which may come from outside and be long.
fn write_named(
    out: &mut dyn Write,
    rows: impl Iterator<Item = Vec<String>>,
    numbers: &[usize],
    width: u16,
) -> Result<()> {
    write_rows_within(out, rows.map(named).collect(), numbers, width)
}

fn named(mut row: Vec<String>) -> Vec<String> {
    row[0] = clip(&one_line(&row[0]), NAME);
    row
}

fn write_lines(out: &mut dyn Write, lines: &Lines, width: u16) -> Result<()> {
    // All labels take the same room, so that blocks of lines stand in line.
    let row = |(label, text): &(&'static str, Vec<String>)| {
        vec![format!("{label:<8}"), text.iter().map(|line| clip(&one_line(line), LINE)).collect::<Vec<_>>().join("\n")]
    };
    write_wrapped(out, lines.iter().map(row), width)
}
