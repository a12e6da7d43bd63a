//! The `dermai` program: parses, runs, and turns the outcome into an exit status.
use clap::Parser;
use dermai::cli::{Cli, run};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // SAFETY: this is the first statement of the program, so no other thread reads or writes the environment.
    // The pinned ONNX Runtime has no telemetry; a newer one that a user brings reads this when it is loaded.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    match run(Cli::parse()) {
        Ok(status) => status.into(),
        // `dermai … | head` is not an error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(is)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|e| e.io_error_kind() == Some(std::io::ErrorKind::BrokenPipe))
    })
}
