//! GitHub's Markdown: text from outside made harmless, and tables.
use crate::text::one_line;
use anyhow::Result;
use std::io::Write;

/// A table under a title, which is Markdown already; cells are plain text.
pub fn write_table(
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
pub fn prose(text: &str) -> String {
    let parts: Vec<_> = text.split('`').collect();
    if parts.len() % 2 == 0 {
        return escape(text); // one without its fellow
    }
    let part = |(at, part): (usize, &&str)| if at % 2 == 1 { code(part) } else { escape(part) };
    parts.iter().enumerate().map(part).collect()
}

/// A name as an element.
pub fn code(name: &str) -> String {
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
