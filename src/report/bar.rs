//! A horizontal bar of block characters.

/// Eighths of a cell, from empty to seven.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A bar for `share` (0 to 1) of `width` cells, to an eighth of a cell.
pub fn bar(share: f32, width: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * width as f32 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    #[test]
    fn bars_fill_by_eighths() {
        assert_eq!(super::bar(0.5, 4), "██");
        assert_eq!(super::bar(0.53125, 4), "██▏");
        assert_eq!(super::bar(7.0, 2), "██");
        assert_eq!(super::bar(0.0, 2), "");
    }
}
