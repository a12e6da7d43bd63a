//! `cargo xtask demo`: from a fresh clone to a first answer and a first heatmap.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{setup, workspace};

/// The picture that is classified: drawn by `cargo xtask fixtures`, no one's photo.
const PICTURE: &str = "fixtures/images/lesion.jpg";

/// Where the heatmap goes, from the workspace root.
const HEATMAP: &str = "target/demo-heat.png";

/// Brings the runtime, builds the release binary and runs its `predict` and `gradcam` on a sample picture from the workspace root.
pub fn run() -> Result<ExitCode> {
    setup::run()?;
    let built = workspace::run(&mut workspace::cargo(["build", "--release", "--locked", "--package", "dermai"]))?;
    if !built.success() {
        return Ok(workspace::pass_on(built));
    }
    let binary = workspace::release_binary("dermai")?;
    std::fs::create_dir_all(workspace::root().join("target")).context("cannot create `target`")?;
    let heatmap: &[&str] = &["gradcam", PICTURE, "-o", HEATMAP, "--side-by-side", "--contour"];
    for arguments in [&["predict", PICTURE], heatmap] {
        let status = workspace::run(Command::new(&binary).args(arguments).current_dir(workspace::root()))?;
        if !status.success() {
            return Ok(workspace::pass_on(status));
        }
    }
    Ok(ExitCode::SUCCESS)
}
