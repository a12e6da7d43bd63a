//! ONNX files: what a graph takes and gives, and the same graph with its weights left in the file.
//!
//! Invariants: the file is mapped, weights are never parsed or copied; nothing here knows a runtime.
mod facts;
mod file;
mod proto;
mod skeleton;
mod wire;

pub use facts::{Dim, ElementType, Facts, Tensor};
pub use file::ModelFile;
