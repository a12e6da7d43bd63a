//! What the kernel grants this process, and giving back to it what is no longer needed.
//!
//! Invariant: every kernel file is read below a root path, so that tests use a made-up tree.
mod cgroup;
mod malloc;

pub use cgroup::{Grant, granted};
pub use malloc::{Phase, tune_malloc};
