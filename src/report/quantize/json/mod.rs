//! The result as one JSON object. Stable: keys are added, and never renamed; what was not measured is null.
mod layers;

use crate::quantize::{Accuracy, Answers, Figure, Gate, Made, Recall};
use crate::units::Bytes;
use anyhow::Result;
use layers::{Calibration, Quantization};
use serde::{Serialize, Serializer};
use std::io::Write;
use std::time::Duration;

/// Name and version of the format.
pub const SCHEMA: &str = "dermai.quantize/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    dermai: &'static str,
    source: Source<'a>,
    output: String,
    mode: String,
    runtime: &'a str,
    /// Pictures that both answered.
    images: Option<usize>,
    before: Side<'a>,
    after: After<'a>,
    /// Of a mode that was calibrated.
    calibration: Option<Calibration<'a>>,
    /// Of `int8` only.
    quantization: Option<Quantization<'a>>,
    gates: Vec<Judged>,
    passed: bool,
    /// What should be known, one sentence each.
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Source<'a> {
    name: &'a str,
    sha256: &'a str,
}

#[derive(Serialize)]
struct Side<'a> {
    top1: Option<f64>,
    per_class_recall: Option<Recalls<'a>>,
    ece: Option<f64>,
    bytes: u64,
    peak_rss_bytes: Option<u64>,
    milliseconds: Option<f64>,
    cpu: &'static str,
}

#[derive(Serialize)]
struct After<'a> {
    #[serde(flatten)]
    side: Side<'a>,
    agreement: Option<f64>,
    kl: Option<f64>,
    ece_shift: Option<f64>,
    cam_correlation: Option<f64>,
    cam_correlation_least: Option<f64>,
    latency_ratio: Option<f64>,
}

#[derive(Serialize)]
struct Judged {
    name: &'static str,
    /// What limit and value are: `fraction`, `bytes` or `ratio` to the source.
    unit: &'static str,
    limit: Number,
    value: Number,
    passed: bool,
    /// What to try; null where it holds.
    advice: Option<&'static str>,
}

/// Bytes are whole.
#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Part(f64),
}

impl From<Figure> for Number {
    fn from(figure: Figure) -> Self {
        match figure {
            Figure::Bytes(bytes) => Self::Whole(bytes.0),
            Figure::Share(_) | Figure::Ratio(_) => Self::Part(figure.number()),
        }
    }
}

/// An object with an entry for each class that has pictures, in the card's order.
struct Recalls<'a>(&'a [Recall]);

impl Serialize for Recalls<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|recall| (&recall.label, recall.share())))
    }
}

impl From<&Gate> for Judged {
    fn from(gate: &Gate) -> Self {
        let unit = match gate.limit {
            Figure::Share(_) => "fraction",
            Figure::Bytes(_) => "bytes",
            Figure::Ratio(_) => "ratio",
        };
        let advice = (!gate.passed).then_some(gate.advice);
        Self { name: gate.name, unit, limit: gate.limit.into(), value: gate.value.into(), passed: gate.passed, advice }
    }
}

/// Writes what was made as JSON.
pub fn write_json(out: &mut dyn Write, made: &Made) -> Result<()> {
    let measured = &made.measured;
    let answers = measured.answers.as_ref();
    let accuracy = answers.and_then(|answers| answers.accuracy.as_ref());
    let (peaks, time) = (measured.peaks, measured.latency.map(|latency| latency.median));
    let before = side(accuracy.map(|pair| &pair.before), made.before, peaks.map(|pair| pair.before), made.cpu);
    let after = side(accuracy.map(|pair| &pair.after), made.after, peaks.map(|pair| pair.after), made.cpu);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let before = Side { milliseconds: time.map(|pair| milliseconds(pair.before)), ..before };
    let after = Side { milliseconds: time.map(|pair| milliseconds(pair.after)), ..after };
    let document = Document {
        schema: SCHEMA,
        dermai: env!("CARGO_PKG_VERSION"),
        source: Source { name: &made.source, sha256: &made.source_sha256 },
        output: made.output.display().to_string(),
        mode: made.mode.to_string(),
        runtime: &made.runtime,
        images: answers.map(|answers| answers.images),
        before,
        after: After {
            side: after,
            agreement: answers.map(Answers::agreement),
            kl: answers.map(|answers| answers.kl),
            ece_shift: accuracy.map(|pair| pair.after.ece - pair.before.ece),
            cam_correlation: measured.maps.map(|maps| maps.mean),
            cam_correlation_least: measured.maps.map(|maps| maps.least),
            latency_ratio: measured.latency.map(|latency| latency.ratio),
        },
        calibration: made.calibrated.as_ref().map(Calibration::from),
        quantization: made.record.as_ref().map(Quantization::from),
        gates: made.gates.iter().map(Judged::from).collect(),
        passed: made.passed(),
        warnings: &made.warnings,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// One side, but for its time.
fn side<'a>(accuracy: Option<&'a Accuracy>, files: Bytes, peak: Option<Bytes>, cpu: &'static str) -> Side<'a> {
    Side {
        top1: accuracy.map(Accuracy::top1),
        per_class_recall: accuracy.map(|accuracy| Recalls(&accuracy.recall)),
        ece: accuracy.map(|accuracy| accuracy.ece),
        bytes: files.0,
        peak_rss_bytes: peak.map(|peak| peak.0),
        milliseconds: None,
        cpu,
    }
}
