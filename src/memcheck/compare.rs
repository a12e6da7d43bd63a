//! A report beside an earlier one.
use super::{Change, Checked, Comparison};
use crate::units::Bytes;
use std::path::Path;

/// Less than this is noise whatever the size: what ten runs of one stage differ by.
const LEAST: Bytes = Bytes(512 << 10);
/// The line of the verdict's peak.
const PREDICTED: &str = "predicted peak";

/// Peaks of an earlier report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Stages and their peaks.
    pub stages: Vec<(String, Bytes)>,
    /// The verdict's peak.
    pub peak: Bytes,
}

/// Compares; growth beyond `band` (a part, such as 0.02) of the earlier value and [`LEAST`] counts.
pub fn compare(checked: &Checked, earlier: &Earlier, path: &Path, band: f64) -> Comparison {
    let change = |name: &str, before: Option<Bytes>, now: Option<Bytes>| {
        let grew = match (before, now) {
            (Some(before), Some(now)) => now.0.saturating_sub(before.0) > LEAST.0.max((before.0 as f64 * band) as u64),
            _ => false,
        };
        Change { name: name.to_owned(), before, now, grew }
    };
    let before = |name: &str| earlier.stages.iter().find(|(known, _)| known == name).map(|(_, peak)| *peak);
    let mut changes: Vec<_> =
        checked.stages.iter().map(|stage| change(&stage.name, before(&stage.name), Some(stage.peak))).collect();
    let is_gone = |name: &str| checked.stages.iter().all(|stage| stage.name != name);
    changes.extend(
        earlier.stages.iter().filter(|(name, _)| is_gone(name)).map(|(name, peak)| change(name, Some(*peak), None)),
    );
    changes.push(change(PREDICTED, Some(earlier.peak), Some(checked.verdict.peak)));
    Comparison { path: path.to_owned(), band, changes }
}
