//! The integration tests, one crate: behaviour against references, real files and real processes.
#![allow(missing_docs, clippy::unwrap_used)] // a panic here is the report
mod gradcam_parity;
mod gradients;
mod large_jpeg;
mod layers;
mod parity;
mod pixels;
mod support;
