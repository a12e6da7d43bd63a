//! Markdown for a CI server's summary of a job (`$GITHUB_STEP_SUMMARY`): verdict, stages, options, findings, checklist.
use super::{rows, words};
use crate::memcheck::{Checked, Point};
use crate::text::one_line;
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

/// A table under a title, which is Markdown already; cells are plain text.
fn write_table(
    out: &mut dyn Write,
    title: &str,
    mut rows: impl Iterator<Item = Vec<String>>,
    numbers: &[usize],
) -> Result<()> {
    let Some(head) = rows.next() else { return Ok(()) };
    writeln!(out, "\n### {title}\n")?;
    write_row(out, &head)?;
    let rule = (0..head.len()).map(|at| if numbers.contains(&at) { "---:" } else { "---" });
    writeln!(out, "| {} |", rule.collect::<Vec<_>>().join(" | "))?;
    rows.try_for_each(|row| write_row(out, &row))
}

fn write_row(out: &mut dyn Write, cells: &[String]) -> Result<()> {
    let cells: Vec<_> = cells.iter().map(|cell| prose(cell)).collect();
    writeln!(out, "| {} |", cells.join(" | "))?;
    Ok(())
}

/// Text in which names stand between backticks. They become elements, which no backtick in a name can end.
fn prose(text: &str) -> String {
    let parts: Vec<_> = text.split('`').collect();
    if parts.len() % 2 == 0 {
        return escape(text); // one without its fellow
    }
    let part = |(at, part): (usize, &&str)| if at % 2 == 1 { code(part) } else { escape(part) };
    parts.iter().enumerate().map(part).collect()
}

fn code(name: &str) -> String {
    format!("<code>{}</code>", escape(name))
}

/// Plain text as Markdown that shows just that text, on one line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in one_line(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // An entity, so that nobody is notified.
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_markdown_would_read_is_escaped() {
        assert_eq!(super::escape("a|b\n<i>*_"), r"a\|b\\n&lt;i&gt;\*\_");
        assert_eq!(super::prose("at `a</code>|` and"), r"at <code>a&lt;/code&gt;\|</code> and");
        assert_eq!(super::prose("a`b"), r"a\`b");
        assert_eq!(
            super::escape("512 MB, 0.1 CPU (render.yaml: plan free)"),
            "512 MB, 0.1 CPU (render.yaml: plan free)"
        );
    }
}
