//! What a network was calibrated with and how its layers were quantized, as JSON.
use crate::quantize::{Calibrated, Layer, Method, Reason, Record, State};
use serde::Serialize;

#[derive(Serialize)]
pub struct Quantization<'a> {
    method: Method,
    equalised: bool,
    /// On the calibration pictures, where it was measured.
    agreement: Option<f64>,
    /// In the network's order.
    layers: Vec<Described<'a>>,
}

#[derive(Serialize)]
pub struct Calibration<'a> {
    pictures: usize,
    sha256: &'a str,
}

impl<'a> From<&'a Calibrated> for Calibration<'a> {
    fn from(calibrated: &'a Calibrated) -> Self {
        Self { pictures: calibrated.pictures, sha256: &calibrated.sha256 }
    }
}

#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    op: &'a str,
    shape: &'a [usize],
    parameters: usize,
    state: &'static str,
    reason: Option<&'static str>,
    sensitivity: Option<f64>,
}

impl<'a> From<&'a Record> for Quantization<'a> {
    fn from(record: &'a Record) -> Self {
        let agreement = record.agreement.map(|(share, _)| share);
        let layers = record.layers.iter().map(Described::from).collect();
        Self { method: record.method, equalised: record.is_equalised, agreement, layers }
    }
}

impl<'a> From<&'a Layer> for Described<'a> {
    fn from(layer: &'a Layer) -> Self {
        let (state, reason) = match layer.state {
            State::Int8 => ("int8", None),
            State::Float(Reason::Narrow) => ("float", Some("narrow")),
            State::Float(Reason::Unsupported) => ("float", Some("unsupported")),
            State::Float(Reason::Sensitive) => ("float", Some("sensitive")),
        };
        let Layer { name, op, shape, sensitivity, .. } = layer;
        Self { name, op, shape, parameters: layer.parameters(), state, reason, sensitivity: *sensitivity }
    }
}
