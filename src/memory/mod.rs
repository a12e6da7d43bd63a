//! What the kernel grants this process.
//!
//! Invariant: every kernel file is read below a root path, so that tests use a made-up tree.
mod cgroup;

pub use cgroup::{Grant, granted};
