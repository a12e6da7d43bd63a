//! Markdown for a CI server's summary of a job (`$GITHUB_STEP_SUMMARY`): verdict, stages, options, findings, checklist.
use super::{rows, words};
use crate::memcheck::{Checked, Point};
use crate::report::markdown::{code, prose, write_table};
use anyhow::Result;
use std::io::Write;

/// Writes the result in GitHub's Markdown; `prices_as_of` is the date of the list prices.
pub fn write_markdown(out: &mut dyn Write, checked: &Checked, prices_as_of: Option<&str>) -> Result<()> {
    writeln!(out, "## Memory: {}\n", words::answer(checked))?;
    writeln!(out, "**{}**\n", prose(&words::verdict(checked)))?;
    if let Some(ending) = words::ending(checked) {
        writeln!(out, "Under the budget the program {}.\n", prose(&ending))?;
    }
    writeln!(out, "- checked: {}", prose(&words::subject(&checked.subject)))?;
    writeln!(out, "- budget: {}", prose(&words::budget(checked)))?;
    writeln!(out, "- enforced: {}", prose(&words::enforced(checked)))?;
    if let Some(requests) = &checked.requests {
        writeln!(out, "- requests: {}", prose(&words::requests(requests)))?;
    }
    if let Some(served) = &checked.served {
        writeln!(out, "- serve: {}", prose(&words::served(served)))?;
    }
    if let Some(cpu) = &checked.cpu {
        writeln!(out, "- cpu: {}", prose(&words::cpu(cpu)))?;
    }
    if let Some(floor) = &checked.floor {
        writeln!(out, "- floor: {} is the least that it survives", floor.bytes)?;
    }
    for advice in &checked.verdict.advice {
        writeln!(out, "- advice: {}", prose(advice))?;
    }
    let budget = checked.budget.memory;
    let shares = checked.stages.iter().map(|stage| words::percent(stage.peak, budget));
    let shares = std::iter::once("of the budget".to_owned()).chain(shares);
    let stages = rows::stages(checked).zip(shares).map(|(mut row, share)| {
        row.insert(2, share);
        row
    });
    write_table(out, "Stages", stages, &[1, 2, 3, 4, 5])?;
    if let Some(floor) = checked.floor.as_ref().filter(|floor| !floor.curve.is_empty()) {
        write_table(out, "Floor", rows::floor(floor), &[0, 1])?;
    }
    if !checked.options.is_empty() {
        write_table(out, "Options", rows::options(checked), &rows::OPTION_NUMBERS)?;
        let notes = words::notes(checked, prices_as_of);
        if !notes.is_empty() {
            writeln!(out, "\n{}", prose(&notes.join(" ")))?;
        }
    }
    if !checked.findings.is_empty() {
        write_table(out, "Findings", findings(checked), &[])?;
    }
    if let Some(comparison) = &checked.comparison {
        let title = format!("Compared with {}", code(&comparison.path.display().to_string()));
        write_table(out, &title, rows::changes(comparison), &rows::CHANGE_NUMBERS)?;
    }
    if !checked.checklist.is_empty() {
        writeln!(out, "\n### Deployment checklist\n")?;
        checked.checklist.iter().try_for_each(|point| write_point(out, point))?;
    }
    out.flush()?;
    Ok(())
}

fn findings(checked: &Checked) -> impl Iterator<Item = Vec<String>> + '_ {
    let head = ["severity", "rule", "where", "what", "fix"].map(str::to_owned).to_vec();
    let row = |finding: &crate::deploy::Finding| {
        let severity = words::severity(finding.severity).to_owned();
        vec![severity, finding.rule.to_owned(), finding.path.clone(), finding.message.clone(), finding.fix.clone()]
    };
    std::iter::once(head).chain(checked.findings.iter().map(row))
}

/// A ticked box is what holds; what only a person can tell is an empty one that says so.
fn write_point(out: &mut dyn Write, point: &Point) -> Result<()> {
    let (mark, by_hand) = match point.holds {
        Some(true) => ("x", ""),
        Some(false) => (" ", "**does not hold:** "),
        None => (" ", "*by hand:* "),
    };
    let evidence = if point.evidence.is_empty() { String::new() } else { format!(" ({})", prose(&point.evidence)) };
    writeln!(out, "- [{mark}] {by_hand}{}{evidence}", prose(&point.text))?;
    Ok(())
}
