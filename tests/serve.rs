//! `dermai serve`: a real process that is talked to over real connections.
#![cfg(unix)]
mod admission;
mod answers;
mod described;
mod endings;
#[cfg(target_os = "linux")]
mod places;
mod protocol;

use crate::support::program::{fixture, serve_in};
use crate::support::server::Server;
use std::fs;
use std::path::Path;

/// A server of the default model that takes requests.
fn server(arguments: &[&str]) -> Server {
    Server::ready(serve_in(&fixture(""), arguments))
}

fn lesion() -> Vec<u8> {
    fs::read(fixture("images/lesion.jpg")).unwrap()
}

/// Copies the model in the folder `from`.
fn put_model(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in ["model.onnx", "model.yaml"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}
