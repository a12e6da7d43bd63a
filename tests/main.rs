//! The integration tests, one crate: behaviour against references, real files and real processes.
#![allow(missing_docs, clippy::unwrap_used)] // a panic here is the report
mod blueprints;
mod bundles;
mod cam_methods;
mod cards;
mod damaged;
mod faithfulness;
mod gradcam;
mod gradcam_parity;
mod gradients;
mod jobs;
mod large_jpeg;
mod layers;
mod memcheck_formats;
mod memcheck_report;
mod models;
mod overlay;
mod parity;
mod pixels;
mod planted;
mod predict;
mod refusals;
mod results;
mod sockets;
mod streams;
mod support;
mod tiny_graphs;
