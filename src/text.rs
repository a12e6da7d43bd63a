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

/// Text on one line that XML can hold: no control characters, and none of the two that are no characters at all.
pub fn xml_line(text: &str) -> String {
    one_line(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// At most `most` characters of a name; what is left out of its middle shows as `…`: a layer's beginning and end tell it from its neighbours.
pub fn shortened(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.to_owned();
    }
    let kept = most.saturating_sub(1);
    let end = kept.div_ceil(2);
    name.chars().take(kept - end).chain(['…']).chain(name.chars().skip(count - end)).collect()
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
    fn a_long_name_keeps_both_ends() {
        for (name, most, short) in [
            ("conv", 4, "conv"),
            ("/stage/conv", 8, "/st…conv"),
            ("/stage/conv", 7, "/st…onv"),
            ("môđun/lớp", 6, "mô…lớp"),
            ("conv", 2, "…v"),
            ("conv", 1, "…"),
            ("conv", 0, "…"),
        ] {
            assert_eq!(super::shortened(name, most), short, "{name} {most}");
        }
    }

    #[test]
    fn control_characters_and_direction_marks_are_spelled_out() {
        assert_eq!(super::one_line("a\nb\u{1b}[31m\u{9b}\t"), "a\\nb\\u{1b}[31m\\u{9b}\\t");
        assert_eq!(super::one_line("a\u{202e}b\u{2067}\u{2028}"), "a\\u{202e}b\\u{2067}\\u{2028}");
        assert_eq!(super::one_line("mắt 目.jpg"), "mắt 目.jpg");
    }
}
