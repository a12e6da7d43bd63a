//! The verdict: whether it fits, in which band the predicted peak lies, and what to do.
use super::{Budget, StagePeak};
use crate::memory::Outcome;
use crate::units::Bytes;
use serde::Serialize;
use std::fmt;

/// Part of the budget that the predicted peak takes (DESIGN.md, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    /// Below 70 %.
    Healthy,
    /// 70 to 85 %.
    Warning,
    /// 85 to 95 %.
    Danger,
    /// Above 95 %.
    Critical,
}

impl Band {
    /// The band of a peak.
    pub fn of(peak: Bytes, budget: Bytes) -> Self {
        match peak.0 as f64 / (budget.0.max(1)) as f64 {
            part if part < 0.70 => Self::Healthy,
            part if part < 0.85 => Self::Warning,
            part if part <= 0.95 => Self::Danger,
            _ => Self::Critical,
        }
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Danger => "danger",
            Self::Critical => "critical",
        })
    }
}

/// The verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Where the peak lies.
    pub band: Band,
    /// Survived under the enforced limit, and the predicted peak is within the budget.
    pub fits: bool,
    /// The predicted peak: what the kernel would charge at most, from a cold cache.
    pub peak: Bytes,
    /// The stage that it lies in.
    pub peak_stage: String,
    /// The anonymous part of that stage.
    pub anon: Bytes,
    /// Budget less peak, in bytes; negative when over.
    pub headroom: i64,
    /// What takes most of it, and what to do; one sentence each.
    pub advice: Vec<String>,
}

impl Verdict {
    /// From the stage with the highest peak, which `allowance` is added to, and from how the run under the budget ended.
    pub fn of(highest: &StagePeak, allowance: Bytes, budget: &Budget, outcome: &Outcome) -> Self {
        let peak = Bytes(highest.peak.0 + allowance.0);
        let band = if outcome.survived() { Band::of(peak, budget.memory) } else { Band::Critical };
        Self {
            band,
            fits: outcome.survived() && peak <= budget.memory,
            peak,
            peak_stage: highest.name.clone(),
            anon: highest.anon,
            headroom: budget.memory.0 as i64 - peak.0 as i64,
            advice: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_parts_of_the_budget() {
        let band = |mb| Band::of(Bytes::mb(mb), Bytes::mb(100));
        assert_eq!([0, 69, 70, 84, 85, 95].map(band), {
            use Band::{Danger, Healthy, Warning};
            [Healthy, Healthy, Warning, Warning, Danger, Danger]
        });
        assert_eq!(band(96), Band::Critical);
        assert_eq!(Band::of(Bytes(1), Bytes(0)), Band::Critical);
    }
}
