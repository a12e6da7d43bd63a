//! Rows and sentences that the table for people and the one in Markdown share.
use crate::quantize::{Accuracy, Figure, Gate, Made, Pair, Ratio, Share};
use crate::report::table::{NONE, time};
use crate::units::Bytes;
use std::fmt::Display;

/// Columns of [`figures`] and of [`gates`] that hold numbers.
pub const FIGURE_NUMBERS: [usize; 3] = [1, 2, 3];
pub const GATE_NUMBERS: [usize; 2] = [2, 3];

/// What was made, or that nothing was, in one sentence.
pub fn headline(made: &Made) -> String {
    let (mode, source, output) = (made.mode, &made.source, made.output.display());
    match made.gates.iter().filter(|gate| !gate.passed).count() {
        0 => format!("{mode} of `{source}` in `{output}`"),
        failed => {
            let gates = made.gates.len();
            format!("{mode} of `{source}`: {failed} of {gates} gates failed, and `{output}` is as it was")
        }
    }
}

/// What it was measured on and with, if it was.
pub fn circumstances(made: &Made) -> Option<String> {
    let measured = &made.measured;
    if measured.answers.is_none() && measured.peaks.is_none() && measured.latency.is_none() {
        return None;
    }
    let answers = measured.answers.as_ref();
    let images = answers.map(|answers| format!("{} images, ", answers.images)).unwrap_or_default();
    let labels = match answers.map(|answers| answers.accuracy.is_some()) {
        Some(false) => "no labels, ",
        _ => "",
    };
    Some(format!("measured on {}, with {images}{labels}1 thread, ONNX Runtime {}", made.cpu, made.runtime))
}

/// What was measured: figure, before, after, change.
pub fn figures(made: &Made) -> Vec<Vec<String>> {
    let measured = &made.measured;
    let mut rows = vec![row("", [&"before", &"after", &"change"])];
    rows.push(sizes("files", Pair { before: made.before, after: made.after }));
    rows.extend(measured.peaks.map(|peaks| sizes("peak memory", peaks)));
    rows.extend(measured.latency.map(|latency| {
        let Pair { before, after } = latency.median;
        row("time", [&time(before), &time(after), &Ratio(latency.ratio)])
    }));
    let Some(answers) = &measured.answers else { return rows };
    if let Some(pair) = &answers.accuracy {
        rows.push(shares("top-1", pair.before.top1(), pair.after.top1()));
        rows.extend(changed_recall(pair));
        let shift = pair.after.ece - pair.before.ece;
        rows.push(row(
            "calibration error",
            [&decimal(pair.before.ece), &decimal(pair.after.ece), &format!("{shift:+.4}")],
        ));
    }
    rows.push(row("agreement", [&NONE, &Share(answers.agreement()), &NONE]));
    rows.push(row("divergence, nats", [&NONE, &decimal(answers.kl), &NONE]));
    if let Some(maps) = &measured.maps {
        rows.push(row("map correlation", [&NONE, &decimal(maps.mean), &NONE]));
        rows.push(row(&format!("least of {} maps", maps.images), [&NONE, &decimal(maps.least), &NONE]));
    }
    rows
}

/// Recall of the classes where it is another one.
fn changed_recall(pair: &Pair<Accuracy>) -> impl Iterator<Item = Vec<String>> {
    let both = pair.before.recall.iter().zip(&pair.after.recall);
    both.filter(|(before, after)| before.found != after.found)
        .map(|(before, after)| shares(&format!("recall {}", before.label), before.share(), after.share()))
}

fn row(name: &str, cells: [&dyn Display; 3]) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(cells.map(ToString::to_string)).collect()
}

fn sizes(name: &str, pair: Pair<Bytes>) -> Vec<String> {
    row(name, [&pair.before, &pair.after, &Ratio(pair.after.0 as f64 / pair.before.0.max(1) as f64)])
}

fn shares(name: &str, before: f64, after: f64) -> Vec<String> {
    let sign = if after > before { "+" } else { "" };
    row(name, [&Share(before), &Share(after), &format!("{sign}{}", Share(after - before))])
}

/// Four digits, and of what would read as nothing its size.
pub fn decimal(value: f64) -> String {
    if value != 0.0 && value.abs() < 5e-4 { format!("{value:.1e}") } else { format!("{value:.4}") }
}

/// Gates: mark, name, value, limit, and by how much it is missed.
pub fn gates(made: &Made) -> impl Iterator<Item = Vec<String>> + '_ {
    made.gates.iter().map(|gate| {
        let mark = if gate.passed { "✓" } else { "✗" };
        let missed = if gate.passed { String::new() } else { format!("missed by {}", missed(gate)) };
        vec![mark.to_owned(), gate.name.to_owned(), gate.value.to_string(), limit(gate), missed]
    })
}

fn limit(gate: &Gate) -> String {
    format!("{} {}", if gate.is_least() { "at least" } else { "at most" }, gate.limit)
}

/// So little that it would read as nothing is told with its digits.
fn missed(gate: &Gate) -> String {
    match gate.value.apart(gate.limit) {
        Figure::Ratio(ratio) if ratio < 0.005 => format!("{ratio:.1e}x"),
        Figure::Share(share) if share < 5e-5 => format!("{:.1e} points", share * 100.0),
        // A difference of percentages.
        Figure::Share(share) => Share(share).to_string().replace('%', "points"),
        apart => apart.to_string(),
    }
}

/// What to try, once for each advice.
pub fn advice(made: &Made) -> Vec<String> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for gate in made.gates.iter().filter(|gate| !gate.passed) {
        match all.iter_mut().find(|(advice, _)| *advice == gate.advice) {
            Some((_, names)) => names.push(gate.name),
            None => all.push((gate.advice, vec![gate.name])),
        }
    }
    all.into_iter().map(|(advice, names)| format!("{}: {advice}", names.join(", "))).collect()
}
