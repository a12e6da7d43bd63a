//! Lines for the person at the terminal, all on stderr: stdout belongs to the programs that a chore runs.

use std::fmt::Display;
#[cfg(not(test))]
use std::io::Write as _;
use std::io::{IsTerminal as _, stderr};

/// Writes one line to stderr. A closed stderr is no reason to stop a chore, so its error is dropped.
#[cfg(not(test))]
pub fn say(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// In tests the harness keeps the line, and shows it where a test fails.
#[cfg(test)]
#[allow(clippy::print_stderr, reason = "only the macro's output is captured")]
pub fn say(line: impl Display) {
    eprintln!("{line}");
}

/// Whether someone watches, so that a progress bar makes sense.
pub fn watched() -> bool {
    !cfg!(test) && stderr().is_terminal()
}

/// Bytes as a person reads them: `MB` is 2^20 bytes, as everywhere in this project.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::megabytes;

    #[test]
    fn a_megabyte_is_two_to_the_twenty() {
        assert_eq!(megabytes(1 << 20), "1.0 MB");
        assert_eq!(megabytes(19_214_257), "18.3 MB");
    }
}
