//! The `dermai` program: parses, runs, and turns the outcome into an exit status.
use clap::Parser;
use dermai::cli::{self, Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    // SAFETY: this is the first statement of the program, so no other thread reads or writes the environment.
    // The pinned ONNX Runtime has no telemetry; a newer one that a user brings reads this when it is loaded.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    cli::main(Cli::parse())
}
