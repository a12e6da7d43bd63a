//! How the two servers are started.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::bench::python::{Packages, Python};
use crate::bench::sides::CLASSIFY;
use crate::workspace;

/// Python's side: what one would write with `FastAPI`.
const SCRIPT: (&str, &str) = ("serve_app.py", include_str!("../bench/python/serve_app.py"));
/// What it needs.
pub const PYTHON: Packages = Packages {
    wanted: &[
        "fastapi==0.165.0",
        "uvicorn==0.54.0",
        "uvloop",
        "httptools",
        "python-multipart",
        "onnxruntime==1.28.0",
        "pillow==13.0.0",
        "numpy",
        "pyyaml",
    ],
    imports: "import fastapi, httptools, multipart, numpy, onnxruntime, PIL, uvicorn, uvloop, yaml",
};
/// What a user may have set for servers, and what would change this one.
const SETTINGS: [&str; 5] = ["PORT", "HOST", "DERMAI_MODEL", "DERMAI_MODELS", "ENABLE_GRADCAM"];

/// Our server with this model and so many threads for the network.
pub fn dermai(binary: &Path, model: &Path, threads: usize) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(workspace::root());
    for name in SETTINGS {
        command.env_remove(name);
    }
    command.args(["serve", "--host", "127.0.0.1", "--port", "0", "--threads", &threads.to_string(), "--model"]);
    command.arg(model);
    command
}

/// Python's server with the same.
pub fn python(python: &Python, model: &Path, threads: usize) -> Result<Command> {
    python.script(CLASSIFY)?; // imported by the other
    let mut command = python.script(SCRIPT)?;
    command.current_dir(workspace::root()).arg(model).arg(threads.to_string());
    Ok(command)
}
