//! Rows and sentences about how layers were quantized: the table for people, the one in Markdown and the picture share them.
use super::rows::decimal;
use crate::quantize::{Layer, Made, Reason, Record, Share, State};
use crate::report::table::{NONE, lines, widest};
use crate::text::{one_line, shortened};

/// Layers that are shown; of more, the rest is counted.
const MOST: usize = 20;
/// Columns of [`Listing::rows`] that hold numbers.
pub const LAYER_NUMBERS: [usize; 1] = [4];
/// Shortest name: less would tell no layer from another.
const SHORTEST: usize = 12;

/// What it was calibrated with and how, and how near the answers are on these pictures. None, where it was not.
pub fn recipe(made: &Made) -> Option<String> {
    let pictures = made.calibrated.as_ref()?.pictures;
    let with = format!("calibrated with {pictures} picture{}", if pictures == 1 { "" } else { "s" });
    let Some(record) = &made.record else { return Some(with) };
    let channels = if record.is_equalised { "channels equalised" } else { "channels as they are" };
    let agreement = match record.agreement {
        Some((share, of)) => format!(", {} agreement on {of} of them", Share(share)),
        None => String::new(),
    };
    Some(format!("{with}, range {}, {channels}{agreement}", record.method))
}

/// How many layers compute in int8, and why the others do not.
pub fn counts(record: &Record) -> String {
    let float = |layer: &&Layer| layer.state != State::Int8;
    let (all, in_float) = (record.layers.len(), record.layers.iter().filter(float).count());
    let start = format!("{} of {all} layers compute in int8", all - in_float);
    if in_float == 0 {
        return start;
    }
    let weights = |layers: &mut dyn Iterator<Item = &Layer>| layers.map(Layer::parameters).sum::<usize>() as f64;
    let share = weights(&mut record.layers.iter().filter(float)) / weights(&mut record.layers.iter()).max(1.0);
    let reasons = [
        (Reason::Unsupported, "of an unsupported operator"),
        (Reason::Narrow, "narrow and first"),
        (Reason::Sensitive, "sensitive"),
    ];
    let reasons = reasons.map(|(reason, words)| {
        let state = State::Float(reason);
        (record.layers.iter().filter(|layer| layer.state == state).count(), words)
    });
    let reasons = reasons.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}"));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    format!("{start}; {in_float} stayed in float, with {} of the weights: {reasons}", Share(share))
}

/// Layers with what is known of each.
pub struct Listing {
    /// What they are, and in what order.
    pub title: &'static str,
    /// Layer, operator, shape of its weights, how it computes, sensitivity; the first row is the head.
    pub rows: Vec<Vec<String>>,
    /// How many are not shown.
    pub more: Option<String>,
}

/// The layers that are worth a look: by sensitivity where that was measured, otherwise those whose operator has no int8 form. None, where there
/// are none. Names are shortened so that no row of the table is longer than `width` columns, if that can be.
pub fn listing(record: &Record, width: usize) -> Option<Listing> {
    let is_unsupported = |layer: &&Layer| layer.state == State::Float(Reason::Unsupported);
    let is_measured = record.layers.iter().any(|layer| layer.sensitivity.is_some());
    let (title, all) = if is_measured {
        ("Layers by sensitivity: divergence of the answers when one alone computes in int8", by_sensitivity(record))
    } else {
        ("Layers of an unsupported operator, left in float", record.layers.iter().filter(is_unsupported).collect())
    };
    let (first, rest) = all.split_at(all.len().min(MOST));
    // However little is known of them, these are told.
    let others: Vec<_> = rest.iter().copied().filter(is_unsupported).take(if is_measured { MOST } else { 0 }).collect();
    let more = rest.len() - others.len();
    let shown: Vec<_> = first.iter().copied().chain(others).collect();
    if shown.is_empty() {
        return None;
    }
    let head = ["layer", "operator", "weights", "computes in", "nats"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    rows.extend(shown.iter().map(|layer| row(layer)));
    if !is_measured {
        for row in &mut rows {
            row.truncate(LAYER_NUMBERS[0]);
        }
    }
    // Of one letter, so that the column is there.
    let nameless = rows.iter().map(|row| std::iter::once("-".to_owned()).chain(row[1..].to_vec()).collect());
    let taken = widest(&lines(nameless, &LAYER_NUMBERS)) - 1;
    let room = width.saturating_sub(taken).max(SHORTEST);
    for row in &mut rows {
        row[0] = shortened(&row[0], room);
    }
    Some(Listing { title, rows, more: (more > 0).then(|| format!("and {more} more: `--json` has all of them")) })
}

/// All layers, the most sensitive one first; where that was not measured, in the network's order behind them.
pub fn by_sensitivity(record: &Record) -> Vec<&Layer> {
    let mut layers: Vec<_> = record.layers.iter().collect();
    let nats = |layer: &Layer| layer.sensitivity.unwrap_or(f64::NEG_INFINITY);
    layers.sort_by(|a, b| nats(b).total_cmp(&nats(a)));
    layers
}

/// Its weights as people write a shape.
pub fn shape(layer: &Layer) -> String {
    let sides: Vec<_> = layer.shape.iter().map(ToString::to_string).collect();
    sides.join("x")
}

fn row(layer: &Layer) -> Vec<String> {
    let sensitivity = layer.sensitivity.map_or_else(|| NONE.to_owned(), decimal);
    let [name, op] = [&layer.name, &layer.op].map(|text| one_line(text).into_owned());
    vec![name, op, shape(layer), layer.state.to_string(), sensitivity]
}
