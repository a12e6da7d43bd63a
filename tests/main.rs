//! The integration tests, one crate: behaviour against references, real files and real processes.
#![allow(missing_docs, clippy::unwrap_used)] // a panic here is the report
mod gradcam_parity;
mod jobs;
mod large_jpeg;
mod layers;
mod models;
mod parity;
mod pixels;
mod predict;
mod refusals;
mod results;
mod streams;
mod support;
