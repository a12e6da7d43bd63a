//! Chores of the workspace, one file each: `cargo xtask <chore>`.
//!
//! A new chore is one variant of [`Chore`] and one file with a `run`.

mod bench;
mod ci;
mod demo;
mod fixtures;
mod load;
mod say;
mod setup;
mod soak;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::say::say;

/// Chores of the dermai workspace.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

/// What can be asked for.
#[derive(Subcommand)]
enum Chore {
    /// Bring ONNX Runtime into `.onnxruntime/` (checked by its sha256)
    Setup,
    /// Set up, build the release binary and classify a sample picture with it
    Demo,
    /// Set up and run all tests
    Test(test::Args),
    /// Measure time and memory of the release binary beside Python; exit status 1: a target was missed
    Bench(bench::Args),
    /// Load the release binary's server far beyond what it can answer, in a cgroup; exit status 1: it was killed, or one of its answers is wrong
    Soak(soak::Args),
    /// Draw the images of `fixtures/`, or compare them with what is committed
    Fixtures {
        /// Write nothing: fail when a committed file differs from what is drawn
        #[arg(long)]
        check: bool,
    },
    /// Run every check that a change must pass: fmt, clippy, test, doc
    Ci,
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Setup => setup::run(),
        Chore::Demo => demo::run(),
        Chore::Test(args) => test::run(&args),
        Chore::Bench(args) => bench::run(&args),
        Chore::Soak(args) => soak::run(&args),
        Chore::Fixtures { check } => fixtures::run(&workspace::root(), check).map(|()| ExitCode::SUCCESS),
        Chore::Ci => ci::run(),
    };
    done.unwrap_or_else(|err| {
        say(format_args!("error: {err:#}"));
        ExitCode::from(2)
    })
}
