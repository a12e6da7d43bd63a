//! Smaller forms of a model, as a bundle: a folder with graphs over one file of weights, and its card.
//!
//! Invariants: nothing stands at the output path until all of it is written and every gate holds; the same input gives the same bytes; the runtime, and never code
//! of our own, decides what a graph computes.
mod blocked;
mod bundle;
mod calibrate;
mod channels;
mod config;
mod evaluate;
mod exchange;
mod folded;
mod forms;
mod gate;
mod int8;
mod limits;
mod listing;
mod pictures;
mod place;
mod publish;
mod small;
mod storage;

pub use bundle::{Made, make};
pub use calibrate::{Calibrated, Method};
pub use config::Config;
pub use evaluate::{Accuracy, Answers, Latency, Maps, Measured, Pair, Recall};
pub use gate::{Figure, Gate};
pub use int8::{Bound, Calibration, Effort, Layer, Reason, Record, State};
pub use limits::{Gates, Ratio, Share, Size};
pub use pictures::{Entry, Pictures, Unreadable};
pub use storage::Storage;

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is done to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing is lost: the graph is optimised ahead of time.
    Prepare,
    /// Weights as half floats, computed in float32.
    Fp16,
    /// Weights as 8-bit integers, computed in float32.
    Int8Weights,
    /// Weights and activations as 8-bit integers, computed in integers.
    Int8,
}

impl Mode {
    /// How weights are stored.
    pub fn storage(self) -> Storage {
        match self {
            Self::Prepare => Storage::Exact,
            // What int8 leaves in float.
            Self::Fp16 | Self::Int8 => Storage::Half,
            Self::Int8Weights => Storage::Int8,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prepare => "prepare",
            Self::Fp16 => "fp16",
            Self::Int8Weights => "int8-weights",
            Self::Int8 => "int8",
        })
    }
}
