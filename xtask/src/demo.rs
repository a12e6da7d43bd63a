//! `cargo xtask demo`: from a fresh clone to a first answer.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{setup, workspace};

/// The picture that is classified: drawn by `cargo xtask fixtures`, no one's photo.
const PICTURE: &str = "fixtures/images/lesion.jpg";

/// Brings the runtime, builds the release binary and runs its `predict` on a sample picture from the workspace root.
pub fn run() -> Result<ExitCode> {
    setup::run()?;
    let built = workspace::run(&mut workspace::cargo(["build", "--release", "--locked", "--package", "dermai"]))?;
    if !built.success() {
        return Ok(workspace::pass_on(built));
    }
    let mut predict = Command::new(workspace::release_binary("dermai")?);
    predict.args(["predict", PICTURE]).current_dir(workspace::root());
    workspace::run(&mut predict).map(workspace::pass_on)
}
