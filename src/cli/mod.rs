//! The command line: one file a subcommand, each `Args` and `run`. Here arguments become configuration; the library never sees clap.
mod output;
mod predict;

use anyhow::Result;
use clap::{Parser, Subcommand};
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
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Done,
    /// Something failed; it has been said on standard error.
    Error,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Done => Self::SUCCESS,
            ExitStatus::Error => Self::from(2),
        }
    }
}

/// Runs what the user typed.
pub fn run(cli: Cli) -> Result<ExitStatus> {
    match cli.command {
        Command::Predict(args) => predict::run(args, cli.quiet),
    }
}
