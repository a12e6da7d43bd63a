//! Rows that the table for people and the one in Markdown share: cells of plain text, a head first.
use super::words::percent;
use crate::memcheck::{Change, Checked, Choice, Comparison, Floor, StagePeak};
use crate::report::table::{NONE, time};
use crate::units::{Bytes, Difference};

/// Columns of [`options`] that hold numbers.
pub const OPTION_NUMBERS: [usize; 6] = [1, 2, 3, 6, 7, 8];
/// Columns of [`changes`] that hold numbers.
pub const CHANGE_NUMBERS: [usize; 3] = [1, 2, 3];

/// Stages: name, peak, anonymous part, file part, time.
pub fn stages(checked: &Checked) -> impl Iterator<Item = Vec<String>> + '_ {
    let row = |stage: &StagePeak| {
        let StagePeak { name, peak, anon, file, elapsed, .. } = stage;
        vec![name.clone(), peak.to_string(), anon.to_string(), file.to_string(), time(*elapsed)]
    };
    head(&["stage", "peak", "anonymous", "file", "time"]).chain(checked.stages.iter().map(row))
}

/// Limits and the time at each.
pub fn floor(floor: &Floor) -> impl Iterator<Item = Vec<String>> + '_ {
    let took = |(limit, took): &(Bytes, Option<_>)| {
        vec![limit.to_string(), took.map_or_else(|| "killed or too slow".to_owned(), time)]
    };
    head(&["limit", "time"]).chain(floor.curve.iter().map(took))
}

/// What could be deployed.
pub fn options(checked: &Checked) -> impl Iterator<Item = Vec<String>> + '_ {
    let row = |choice: &Choice| {
        let none = || NONE.to_owned();
        vec![
            choice.name.clone(),
            choice.memory.to_string(),
            choice.cpus.map_or_else(none, |cpus| cpus.to_string()),
            choice.peak.to_string(),
            if choice.measured { "measured" } else { "estimate" }.to_owned(),
            if choice.fits { "yes" } else { "NO" }.to_owned(),
            choice.first_answer.map_or_else(none, time),
            choice.accuracy_change.map_or_else(none, |points| format!("{points:+.1}")),
            choice.price.map_or_else(none, |price| format!("{price:.2}")),
        ]
    };
    head(&["option", "memory", "CPU", "peak", "known by", "fits", "1st answer", "accuracy", "USD"])
        .chain(checked.options.iter().map(row))
}

/// Figures then and now.
pub fn changes(comparison: &Comparison) -> impl Iterator<Item = Vec<String>> + '_ {
    let size = |bytes: Option<Bytes>| bytes.map_or_else(|| NONE.to_owned(), |bytes| bytes.to_string());
    let row = move |change: &Change| {
        let difference = match (change.before, change.now) {
            (Some(before), Some(now)) => {
                let more = now.0.cast_signed().saturating_sub(before.0.cast_signed());
                let part = percent(Bytes(more.unsigned_abs()), before);
                format!("{} ({}{part})", Difference(more), if more < 0 { '-' } else { '+' })
            }
            (None, Some(_)) => "new".to_owned(),
            (Some(_), None) => "gone".to_owned(),
            (None, None) => NONE.to_owned(),
        };
        let mark = if change.grew { "▲ grew" } else { "" };
        vec![change.name.clone(), size(change.before), size(change.now), difference, mark.to_owned()]
    };
    head(&["stage", "then", "now", "change", ""]).chain(comparison.changes.iter().map(row))
}

fn head(names: &[&str]) -> impl Iterator<Item = Vec<String>> + use<> {
    std::iter::once(names.iter().map(|&name| name.to_owned()).collect())
}
