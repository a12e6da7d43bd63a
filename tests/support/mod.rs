//! What the tests share.
#[cfg(unix)]
pub mod browser;
pub mod checked;
pub mod figures;
pub mod jpegs;
#[cfg(target_os = "linux")]
pub mod memory;
pub mod models;
#[cfg(target_os = "linux")]
pub mod nobody;
pub mod npz;
pub mod pictures;
pub mod program;
pub mod rng;
pub mod server;
pub mod shared;
#[cfg(unix)]
pub mod terminal;
#[cfg(target_os = "linux")]
pub mod traced;
pub mod watched;
