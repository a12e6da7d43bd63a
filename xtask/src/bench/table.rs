//! A table of its own below the figures, for a topic that measures more than is held to a target.

use serde::Serialize;

/// Words in rows under a head.
#[derive(Debug, Serialize)]
pub struct Table {
    /// What it shows, one sentence.
    about: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No rows yet.
    pub fn new(about: impl Into<String>, head: &[&'static str]) -> Self {
        Self { about: about.into(), head: head.to_vec(), rows: Vec::new() }
    }

    /// One more row, with as many cells as the head.
    pub fn add(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.head.len(), "{row:?}");
        self.rows.push(row);
    }

    /// Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = &str>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
        let head = line(&mut self.head.iter().copied());
        let rows: String = self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str))).collect();
        format!("{}\n\n{head}|{}\n{rows}", self.about, "---|".repeat(self.head.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_head_a_rule_and_a_line_a_row() {
        let mut table = Table::new("Two things.", &["a", "b"]);
        table.add(vec!["1".into(), "2".into()]);
        assert_eq!(table.markdown(), "Two things.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n");
    }
}
