//! `cargo xtask ci`: every check that a change must pass, in the order in which they fail soonest.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::say::say;
use crate::workspace;

/// One check.
struct Step {
    name: &'static str,
    command: Command,
}

/// Runs the checks; the first that fails ends it with exit status 1 and the command to run again.
pub fn run() -> Result<ExitCode> {
    for Step { name, mut command } in steps() {
        let start = Instant::now();
        let status = workspace::run(&mut command)?;
        let time = start.elapsed();
        if !status.success() {
            say(format_args!("ci: {name} failed after {time:.1?}; run it again: {}", workspace::typed(&command)));
            return Ok(ExitCode::FAILURE);
        }
        say(format_args!("ci: {name} passed in {time:.1?}"));
    }
    say("ci: all checks passed");
    Ok(ExitCode::SUCCESS)
}

/// The checks in their order.
fn steps() -> [Step; 4] {
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    let mut doc = workspace::cargo(["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    [
        Step { name: "fmt", command: workspace::cargo(["fmt", "--all", "--check"]) },
        Step { name: "clippy", command: workspace::cargo(clippy) },
        Step { name: "test", command: workspace::cargo(["xtask", "test"]) },
        Step { name: "doc", command: doc },
    ]
}
