//! Smaller forms of a model, as a bundle: a folder with graphs over one file of weights, and its card.
//!
//! Invariants: nothing stands at the output path until all of it is written; the same input gives the same bytes; the runtime, and never code
//! of our own, decides what a graph computes.
mod bundle;
mod forms;
mod publish;
mod storage;

pub use bundle::{Config, Made, make};
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
}

impl Mode {
    /// How weights are stored.
    pub fn storage(self) -> Storage {
        match self {
            Self::Prepare => Storage::Exact,
            Self::Fp16 => Storage::Half,
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
        })
    }
}
