//! Text from outside on one line of a terminal or a message, and bytes as text.
use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with its control characters and direction marks spelled out: a file's name may hold line breaks, codes that would recolour a terminal,
/// or marks that would reorder the line that it stands on.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_wild) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        // Writing to a string cannot fail.
        let _ = if is_wild(c) { write!(line, "{}", c.escape_default()) } else { line.write_char(c) };
    }
    Cow::Owned(line)
}

/// Bytes as lower-case hexadecimal digits, as hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // writing to a string cannot fail
    }
    text
}

/// Whether a character does something to its line instead of standing on it.
fn is_wild(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_and_direction_marks_are_spelled_out() {
        assert_eq!(super::one_line("a\nb\u{1b}[31m\u{9b}\t"), "a\\nb\\u{1b}[31m\\u{9b}\\t");
        assert_eq!(super::one_line("a\u{202e}b\u{2067}\u{2028}"), "a\\u{202e}b\\u{2067}\\u{2028}");
        assert_eq!(super::one_line("mắt 目.jpg"), "mắt 目.jpg");
    }
}
