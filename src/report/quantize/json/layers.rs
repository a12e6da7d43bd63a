//! How layers were quantized, as JSON.
use crate::quantize::{Layer, Method, Reason, Record, State};
use serde::Serialize;

#[derive(Serialize)]
pub struct Quantization<'a> {
    method: Method,
    equalised: bool,
    calibration: Calibrated<'a>,
    /// In the network's order.
    layers: Vec<Described<'a>>,
}

#[derive(Serialize)]
struct Calibrated<'a> {
    pictures: usize,
    sha256: &'a str,
    agreement: Option<f64>,
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
        let calibration = Calibrated {
            pictures: record.pictures,
            sha256: &record.sha256,
            agreement: record.agreement.map(|(share, _)| share),
        };
        let layers = record.layers.iter().map(Described::from).collect();
        Self { method: record.method, equalised: record.is_equalised, calibration, layers }
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
