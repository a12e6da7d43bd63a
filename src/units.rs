//! Quantities as types (bytes, image sizes) and the `Progress` that long work reports to.
use anyhow::Result;
use std::fmt;
use std::str::FromStr;

/// A number of bytes. Printed in MB of 2^20 bytes, as the kernel's and Render's limits are meant here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// `n` MB of 2^20 bytes.
    pub const fn mb(n: u64) -> Self {
        Self(n << 20)
    }

    /// The same quantity in MB of 2^20 bytes, for display only.
    pub fn as_mb(self) -> f64 {
        self.0 as f64 / f64::from(1 << 20)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            n if n < 1 << 10 => format!("{n} B"),
            n if n < 1 << 20 => format!("{:.1} KB", n as f64 / 1024.0),
            _ if self.as_mb().fract() == 0.0 => format!("{:.0} MB", self.as_mb()),
            _ => format!("{:.1} MB", self.as_mb()),
        };
        f.pad(&text)
    }
}

/// A difference of bytes, printed with its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference(pub i64);

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", if self.0 < 0 { '-' } else { '+' }, Bytes(self.0.unsigned_abs())))
    }
}

impl FromStr for Bytes {
    type Err = String;

    /// Reads `512MB`, `512 MiB`, `512M`, `1.5G`, `64k` or a plain number of bytes; every unit is a power of 2^10.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("`{text}` is not a size: expected a number and a unit, such as `512MB`, `1.5G` or `65536`");
        let text = text.trim();
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            _ => return Err(wrong()),
        };
        let bytes = number.parse::<f64>().map_err(|_| wrong())? * f64::from(1u32 << shift);
        if bytes.is_finite() && bytes < 2f64.powi(63) { Ok(Self(bytes.round() as u64)) } else { Err(wrong()) }
    }
}

/// Width and height of an image in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// Number of pixels; never overflows.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Width and height exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { width: self.height, height: self.width }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// What long work tells about itself. The unit type `()` stays silent; `report::progress` draws a bar.
pub trait Progress {
    /// `total` steps lie ahead, called `what` (plural noun).
    fn start(&mut self, what: &str, total: u64);
    /// One more step is done.
    ///
    /// # Errors
    /// When the user gives up: the work ends with it.
    fn step(&mut self) -> Result<()>;
    /// The work is over.
    fn finish(&mut self);
}

impl Progress for () {
    fn start(&mut self, _what: &str, _total: u64) {}
    fn step(&mut self) -> Result<()> {
        Ok(())
    }
    fn finish(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_two() {
        for (text, bytes) in [
            ("512MB", 512 << 20),
            ("512MiB", 512 << 20),
            ("512 m", 512 << 20),
            ("1.5G", 3 << 29),
            ("64k", 65536),
            ("7", 7),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn a_wrong_size_says_what_is_expected() {
        for text in ["", "MB", "12 parsecs", "-1", "1e99G", "99999999999999999G"] {
            let error = text.parse::<Bytes>().expect_err(text);
            assert!(error.contains("512MB"), "{error}");
        }
    }

    #[test]
    fn bytes_print_in_the_unit_that_reads_best() {
        for (bytes, text) in [(12, "12 B"), (2048, "2.0 KB"), (1 << 29, "512 MB"), (3 << 19, "1.5 MB")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!([Difference(-(3 << 19)), Difference(12)].map(|d| d.to_string()), ["-1.5 MB", "+12 B"]);
    }
}
