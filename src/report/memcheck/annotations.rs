//! Workflow commands, by which a job on GitHub marks a pull request (its documentation: "Workflow commands for GitHub Actions").
use super::words;
use crate::deploy::{Finding, Origin, Severity};
use crate::memcheck::Checked;
use crate::text::one_line;
use anyhow::Result;
use std::io::Write;
use std::path::Path;

/// Writes a command for each finding, and one for a verdict that is no. `blueprint` is the file that findings of the lint are in, from the
/// root of the repository.
pub fn write_annotations(out: &mut dyn Write, checked: &Checked, blueprint: Option<&Path>) -> Result<()> {
    if !checked.verdict.fits {
        let mut lines = vec![words::verdict(checked)];
        lines.extend(words::ending(checked));
        lines.extend(checked.verdict.advice.iter().cloned());
        write_command(out, "error", None, "memcheck", &lines)?;
    }
    annotate(out, &checked.findings, blueprint)
}

/// Writes a command for each finding.
pub fn annotate(out: &mut dyn Write, findings: &[Finding], blueprint: Option<&Path>) -> Result<()> {
    for finding in findings {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let at = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
        let mut lines = vec![format!("{at}{}", finding.message)];
        lines.extend((!finding.fix.is_empty()).then(|| format!("fix: {}", finding.fix)));
        let file = blueprint.filter(|_| finding.origin == Origin::Blueprint);
        write_command(out, command, file, &format!("memcheck {}", finding.rule), &lines)?;
    }
    out.flush()?;
    Ok(())
}

fn write_command(out: &mut dyn Write, command: &str, file: Option<&Path>, title: &str, lines: &[String]) -> Result<()> {
    let file =
        file.map(|file| format!("file={},", property(&one_line(&file.display().to_string())))).unwrap_or_default();
    // Control characters are spelled out first: a log shows them as colours, and a line break would begin a command.
    let lines: Vec<_> = lines.iter().map(|line| one_line(line)).collect();
    writeln!(out, "::{command} {file}title={}::{}", property(title), message(&lines.join("\n")))?;
    Ok(())
}

/// A command's message, escaped.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a command's property, escaped.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_ends_a_command_is_escaped() {
        assert_eq!(super::message("50 %\r\n::error::x, y"), "50 %25%0D%0A::error::x, y");
        assert_eq!(super::property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
    }
}
