//! Limits of gates: which there are, and how their shares, ratios and sizes are written.
use super::Pictures;
use crate::units::Bytes;
use anyhow::{bail, ensure};
use std::fmt;
use std::str::FromStr;

/// Limits; none: it is no gate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gates {
    /// Of the top-1 accuracy that is lost.
    pub max_drop: Option<Share>,
    /// Of the pictures that are answered as before.
    pub min_agreement: Option<Share>,
    /// Of the files.
    pub max_size: Option<Size>,
    /// Of the resident memory of a process that predicts.
    pub max_rss: Option<Bytes>,
    /// Of the network's time, by the source's.
    pub max_latency: Option<Ratio>,
}

impl Gates {
    /// Whether what the gates need will be there.
    ///
    /// # Errors
    /// When one needs pictures, or labels, that are not named.
    pub fn check(&self, evaluation: Option<&Pictures>) -> anyhow::Result<()> {
        let of_pictures = [(MAX_DROP, self.max_drop.is_some()), (MIN_AGREEMENT, self.min_agreement.is_some())];
        let Some(set) = evaluation else {
            if let Some((name, _)) = of_pictures.into_iter().find(|(_, is_set)| *is_set) {
                bail!("`--{name}` needs pictures to evaluate on: add `--eval labels.csv`, or `--eval FOLDER`");
            }
            return Ok(());
        };
        ensure!(
            self.max_drop.is_none() || set.is_labelled(),
            "`--{MAX_DROP}` needs labels, and `{}` has none: name a `labels.csv`, or use `--{MIN_AGREEMENT}`",
            set.place().display()
        );
        Ok(())
    }
}

/// Names of gates: those of their flags.
pub const MAX_DROP: &str = "max-drop";
pub const MIN_AGREEMENT: &str = "min-agreement";
pub const MAX_SIZE: &str = "max-size";
pub const MAX_RSS: &str = "max-rss";
pub const MAX_LATENCY: &str = "max-latency";

/// A share, 0 to 1; written `1%` or `0.01`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(pub f64);

/// Two quotients of the same numbers may differ in their last digit.
pub const ROUNDING: f64 = 1e-9;

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a share: expected `1%` or `0.01`");
        let text = text.trim();
        let (number, of) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), 100.0),
            None => (text, 1.0),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        if of == 1.0 && (1.0..=100.0).contains(&number) {
            return Err(format!("`{text}` may be per cent or the whole: did you mean `{text}%`?"));
        }
        Some(Self(number / of)).filter(|share| (0.0..=1.0).contains(&share.0)).ok_or_else(wrong)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As many digits as say something, at most two: one picture in 1,000 is 0.1 %.
        let percent = (self.0 * 1e4).round() / 1e2 + 0.0;
        f.pad(&format!("{percent} %"))
    }
}

/// A ratio to the source; written `0.75x`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Ratio(pub f64);

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().strip_suffix(['x', 'X']).and_then(|number| number.trim_end().parse().ok());
        let ratio = number.filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0).map(Self);
        ratio.ok_or_else(|| format!("`{text}` is not a ratio to the source: expected one such as `0.75x`"))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2}x", self.0))
    }
}

/// A size, or a ratio to the source's; written `4MB` or `0.5x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// So many bytes.
    Bytes(Bytes),
    /// So much of the source.
    Ratio(Ratio),
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().ends_with(['x', 'X']) {
            return text.parse().map(Self::Ratio);
        }
        let bytes = text.parse().map(Self::Bytes);
        bytes.map_err(|error| format!("{error}; or a ratio to the source, such as `0.5x`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_per_cent_or_fractions_and_never_either() {
        for (text, share) in [("1%", 0.01), ("0.01", 0.01), ("97 %", 0.97), ("0", 0.0), ("0%", 0.0), ("100%", 1.0)] {
            assert_eq!(text.parse(), Ok(Share(share)), "{text}");
        }
        for (text, hint) in [
            ("97", "`97%`"),
            ("1", "`1%`"),
            ("1.5", "`1.5%`"),
            ("101%", "`1%` or `0.01`"),
            ("-1%", "`1%`"),
            ("x", "`1%`"),
        ] {
            let error = text.parse::<Share>().expect_err(text);
            assert!(error.contains(hint), "{text}: {error}");
        }
        assert_eq!(
            [0.01, 0.9719, 1.0, -0.0001, 0.0].map(|s| Share(s).to_string()),
            ["1 %", "97.19 %", "100 %", "-0.01 %", "0 %"]
        );
    }

    #[test]
    fn ratios_have_their_mark() {
        assert_eq!("0.75x".parse(), Ok(Ratio(0.75)));
        for text in ["0.75", "x", "-1x", "0x", "infx", "NaNx", "1y"] {
            assert!(text.parse::<Ratio>().expect_err(text).contains("`0.75x`"));
        }
        assert_eq!(Ratio(0.754).to_string(), "0.75x");
    }

    #[test]
    fn sizes_are_bytes_or_ratios() {
        assert_eq!("4MB".parse(), Ok(Size::Bytes(Bytes::mb(4))));
        assert_eq!("0.5x".parse(), Ok(Size::Ratio(Ratio(0.5))));
        let error = "much".parse::<Size>().expect_err("no size");
        assert!(error.contains("512MB") && error.contains("0.5x"), "{error}");
    }
}
