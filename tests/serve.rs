//! `dermai serve`: a real process that is talked to over real connections.
#![cfg(unix)]
mod admission;
mod answers;
mod described;
mod endings;
mod protocol;

use crate::support::program::{fixture, serve_in};
use crate::support::server::Server;
use std::fs;

/// A server of the default model that takes requests.
fn server(arguments: &[&str]) -> Server {
    Server::ready(serve_in(&fixture(""), arguments))
}

fn lesion() -> Vec<u8> {
    fs::read(fixture("images/lesion.jpg")).unwrap()
}
