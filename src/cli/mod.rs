//! The command line: one file a subcommand, each `Args` and `run`. Here arguments become configuration; the library never sees clap.
mod claims;
mod common;
mod gradcam;
mod memcheck;
mod output;
mod pending;
mod predict;
mod quantize;
mod serve;

use crate::input::panics_are_errors;
use crate::text::one_line;
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;

/// Image classification from an ONNX file in a small, known amount of memory.
///
/// Exit status: 0 done, 1 the answer is no (over budget, gate failed), 2 error. Results go to standard output, everything else to standard
/// error. Not a diagnosis tool.
#[derive(Debug, Parser)]
#[command(version, about, long_about, max_term_width = 110, after_help = "`dermai <command> --help` shows examples.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// No progress bar and no warnings; errors are still printed.
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Predict(predict::Args),
    Gradcam(gradcam::Args),
    Quantize(quantize::Args),
    Memcheck(memcheck::Args),
    Serve(serve::Args),
    /// What `serve` measures.
    #[command(name = serve::CHILD, hide = true)]
    ServeChild(serve::ChildArgs),
    /// What `memcheck` measures.
    #[command(name = memcheck::CHILD, hide = true)]
    MemcheckChild(memcheck::ChildArgs),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Done,
    /// Done, and the answer is no: over budget, gate failed.
    No,
    /// Something failed; it has been said on standard error.
    Error,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Done => Self::SUCCESS,
            ExitStatus::No => Self::FAILURE,
            ExitStatus::Error => Self::from(2),
        }
    }
}

/// A line on standard error; when nobody reads it, the exit status still tells.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", one_line(line));
}

/// Runs what the user typed, and tells the error that it ended with.
pub fn main(cli: Cli) -> ExitCode {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panics_are_errors() {
            usual(panic);
        }
    }));
    match run(cli) {
        Ok(status) => status.into(),
        // `dermai … | head` is not an error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitStatus::Error.into()
        }
    }
}

/// Whoever was to read has gone, which is no error: what was decided stands.
fn unless_closed(done: Result<()>) -> Result<()> {
    done.or_else(|error| if is_broken_pipe(&error) { Ok(()) } else { Err(error) })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(is)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|e| e.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
    })
}

/// Runs what the user typed.
pub fn run(cli: Cli) -> Result<ExitStatus> {
    match cli.command {
        Command::Predict(args) => predict::run(args, cli.quiet),
        Command::Gradcam(args) => gradcam::run(args, cli.quiet),
        Command::Quantize(args) => quantize::run(&args, cli.quiet),
        Command::Serve(args) => serve::run(&args, cli.quiet),
        Command::ServeChild(args) => serve::run_child(&args),
        Command::Memcheck(args) => memcheck::run(&args, cli.quiet),
        Command::MemcheckChild(args) => memcheck::run_child(&args),
    }
}
