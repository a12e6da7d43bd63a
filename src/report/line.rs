//! Text from outside on one line of a terminal.
use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with its control characters spelled out: a file's name may hold line breaks, or codes that would recolour a terminal.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        // Writing to a string cannot fail.
        let _ = if c.is_control() { write!(line, "{}", c.escape_default()) } else { line.write_char(c) };
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(super::one_line("a\nb\u{1b}[31m\u{9b}\t"), "a\\nb\\u{1b}[31m\\u{9b}\\t");
        assert_eq!(super::one_line("mắt 目.jpg"), "mắt 目.jpg");
    }
}
