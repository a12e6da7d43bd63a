//! Gates: what a bundle has to hold before it is put at its place.
use super::Mode;
use super::evaluate::{Measured, Pair};
use super::limits::{Gates, MAX_DROP, MAX_LATENCY, MAX_RSS, MAX_SIZE, MIN_AGREEMENT, ROUNDING, Ratio, Share, Size};
use crate::units::Bytes;
use anyhow::{Context, Result};
use std::fmt;

/// What came of a gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// Its flag without the dashes.
    pub name: &'static str,
    /// What is allowed.
    pub limit: Figure,
    /// What was measured.
    pub value: Figure,
    /// Whether it holds.
    pub passed: bool,
    /// What to try where it does not.
    pub advice: &'static str,
}

/// What a gate compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// A share, as of pictures; a loss may be negative.
    Share(f64),
    /// Bytes.
    Bytes(Bytes),
    /// A ratio to the source.
    Ratio(f64),
}

impl Figure {
    /// As a number: a fraction, bytes, or a ratio.
    pub fn number(self) -> f64 {
        match self {
            Self::Share(number) | Self::Ratio(number) => number,
            Self::Bytes(bytes) => bytes.0 as f64,
        }
    }

    /// How far it is from another, without a sign.
    #[must_use]
    pub fn apart(self, other: Self) -> Self {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => Self::Bytes(Bytes(a.0.abs_diff(b.0))),
            (Self::Ratio(a), b) => Self::Ratio((a - b.number()).abs()),
            (a, b) => Self::Share((a.number() - b.number()).abs()),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => Share(*share).fmt(f),
            Self::Bytes(bytes) => bytes.fmt(f),
            Self::Ratio(ratio) => Ratio(*ratio).fmt(f),
        }
    }
}

impl Gate {
    fn at_most(name: &'static str, limit: Figure, value: Figure, mode: Mode) -> Self {
        let passed = value.number() <= limit.number() + ROUNDING;
        Self { name, limit, value, passed, advice: advice(name, mode) }
    }

    fn at_least(name: &'static str, limit: Figure, value: Figure, mode: Mode) -> Self {
        let passed = value.number() >= limit.number() - ROUNDING;
        Self { name, limit, value, passed, advice: advice(name, mode) }
    }

    /// Whether the limit is the least that is allowed, instead of the most.
    pub fn is_least(&self) -> bool {
        self.name == MIN_AGREEMENT
    }
}

/// Holds what was measured against the limits; `files` are the bytes on disk.
///
/// # Errors
/// When a gate's figure was not measured.
pub fn judge(wanted: &Gates, measured: &Measured, files: Pair<Bytes>, mode: Mode) -> Result<Vec<Gate>> {
    let missing = |name: &str| format!("`--{name}`: nothing was measured that it could be held against");
    let mut gates = Vec::new();
    if let Some(limit) = wanted.max_drop {
        let accuracy = measured.answers.as_ref().and_then(|answers| answers.accuracy.as_ref());
        let Pair { before, after } = accuracy.with_context(|| missing(MAX_DROP))?;
        let lost = (before.correct as f64 - after.correct as f64) / before.of.max(1) as f64;
        gates.push(Gate::at_most(MAX_DROP, Figure::Share(limit.0), Figure::Share(lost), mode));
    }
    if let Some(limit) = wanted.min_agreement {
        let answers = measured.answers.as_ref().with_context(|| missing(MIN_AGREEMENT))?;
        let value = Figure::Share(answers.agreement());
        gates.push(Gate::at_least(MIN_AGREEMENT, Figure::Share(limit.0), value, mode));
    }
    if let Some(limit) = wanted.max_size {
        let (limit, value) = match limit {
            Size::Bytes(limit) => (Figure::Bytes(limit), Figure::Bytes(files.after)),
            Size::Ratio(limit) => {
                (Figure::Ratio(limit.0), Figure::Ratio(files.after.0 as f64 / files.before.0.max(1) as f64))
            }
        };
        gates.push(Gate::at_most(MAX_SIZE, limit, value, mode));
    }
    if let Some(limit) = wanted.max_rss {
        let peaks = measured.peaks.with_context(|| missing(MAX_RSS))?;
        gates.push(Gate::at_most(MAX_RSS, Figure::Bytes(limit), Figure::Bytes(peaks.after), mode));
    }
    if let Some(limit) = wanted.max_latency {
        let latency = measured.latency.with_context(|| missing(MAX_LATENCY))?;
        gates.push(Gate::at_most(MAX_LATENCY, Figure::Ratio(limit.0), Figure::Ratio(latency.ratio), mode));
    }
    Ok(gates)
}

/// What to try where a gate does not hold.
fn advice(name: &str, mode: Mode) -> &'static str {
    match (name, mode) {
        (MAX_DROP | MIN_AGREEMENT, Mode::Prepare) => "this mode loses nothing: look at the pictures and their labels",
        (MAX_DROP | MIN_AGREEMENT, Mode::Fp16) => "try `--mode prepare`, which loses nothing",
        (MAX_DROP | MIN_AGREEMENT, Mode::Int8) => {
            "calibrate with more pictures of what it will see, try `--auto`, or `--mode int8-weights`"
        }
        (MAX_LATENCY, Mode::Int8) => "fewer layers in float are faster: try without `--auto`, or another CPU",
        (MAX_DROP | MIN_AGREEMENT, Mode::Int8Weights) => {
            "calibrate it with pictures of what it will see, or try `--mode fp16`, which is nearer to the source"
        }
        (MAX_LATENCY, Mode::Prepare) => "this mode computes what the source computes: try a smaller network",
        (MAX_LATENCY, Mode::Fp16 | Mode::Int8Weights) => {
            "try `--mode prepare`, which does not turn weights into float32 at each run"
        }
        (_, Mode::Prepare) => "try `--mode fp16` or `--mode int8-weights`, whose weights are smaller",
        (_, Mode::Fp16) => "try `--mode int8-weights`, whose weights are half of these",
        (_, Mode::Int8Weights) => "try `--mode int8`, which computes in 8 bits, too",
        (_, Mode::Int8) => "there is no smaller mode: try a smaller network",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::evaluate::{Accuracy, Answers};

    fn answered(before: usize, after: usize, same: usize, of: usize) -> Measured {
        let accuracy = |correct| Accuracy { correct, of, recall: Vec::new(), ece: 0.0 };
        let accuracy = Some(Pair { before: accuracy(before), after: accuracy(after) });
        Measured { answers: Some(Answers { images: of, same, kl: 0.0, accuracy }), ..Measured::default() }
    }

    const FILES: Pair<Bytes> = Pair { before: Bytes::mb(8), after: Bytes::mb(4) };

    #[test]
    fn a_limit_itself_is_let_through() {
        let gates = Gates {
            max_drop: Some("0.7%".parse().unwrap()),
            min_agreement: Some("99.3%".parse().unwrap()),
            max_size: Some("4MB".parse().unwrap()),
            ..Gates::default()
        };
        let passed = |measured: &Measured, files| {
            let all = judge(&gates, measured, files, Mode::Fp16).unwrap();
            all.iter().map(|gate| gate.passed).collect::<Vec<_>>()
        };
        assert_eq!(passed(&answered(900, 893, 993, 1000), FILES), [true, true, true]);
        assert_eq!(passed(&answered(900, 892, 992, 1000), FILES), [false, false, true]);
        // Better than the source is no loss.
        assert_eq!(
            passed(&answered(900, 950, 993, 1000), Pair { after: Bytes(FILES.after.0 + 1), ..FILES }),
            [true, true, false]
        );
    }

    #[test]
    fn a_size_may_be_a_ratio() {
        let judged = |limit: &str| {
            let gates = Gates { max_size: Some(limit.parse().unwrap()), ..Gates::default() };
            judge(&gates, &Measured::default(), FILES, Mode::Prepare).unwrap()[0]
        };
        assert!(judged("0.5x").passed && !judged("0.49x").passed);
        let gate = judged("3MB");
        assert_eq!(gate.value.apart(gate.limit), Figure::Bytes(Bytes::mb(1)));
    }

    #[test]
    fn what_was_not_measured_is_no_pass() {
        let gates = Gates { max_rss: Some(Bytes::mb(64)), ..Gates::default() };
        let error = judge(&gates, &Measured::default(), FILES, Mode::Prepare).unwrap_err().to_string();
        assert!(error.contains("`--max-rss`"), "{error}");
    }
}
