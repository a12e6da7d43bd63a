//! `cargo xtask test`: the runtime that the tests need, then all tests.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::{setup, workspace};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Passed on to `cargo test`, for example `-- predict` or `-- predict -- --nocapture`
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

/// Brings the runtime, then runs `cargo test --workspace --locked` and passes its exit status on.
pub fn run(args: &Args) -> Result<ExitCode> {
    setup::run()?;
    let mut tests = workspace::cargo(["test", "--workspace", "--locked"]);
    workspace::run(tests.args(&args.rest)).map(workspace::pass_on)
}
