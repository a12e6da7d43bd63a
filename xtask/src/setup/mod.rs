//! `cargo xtask setup`: brings ONNX Runtime into `.onnxruntime/<version>/<platform>/`, checked by its sha256.
//!
//! The library is taken out of the Python wheel (`pip download`) or, without pip, out of the npm package. Nothing
//! reaches its place unless archive and library are the pinned ones, and then by one rename.

mod archive;
mod child;
mod digest;
mod fetch;
mod pins;
mod place;
mod plan;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use anyhow::Result;

use crate::say::say;
use plan::Plan;

/// Brings the runtime, unless it is there, and says in one line which one it is.
pub fn run() -> Result<ExitCode> {
    say(Plan::of_this_machine().carry_out()?);
    Ok(ExitCode::SUCCESS)
}
