//! The integration tests, one crate: behaviour against references, real files and real processes.
#![allow(missing_docs)]
mod large_jpeg;
mod layers;
mod parity;
mod pixels;
mod support;
