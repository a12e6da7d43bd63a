//! Results for people and machines. Only this module formats, and it never computes.
//!
//! Invariant: comfy-table, indicatif, csv, quick-junit and plotters are named here only; data goes where the caller says, never to the terminal by itself.
mod bar;
pub mod check;
pub mod gradcam;
pub mod json;
pub mod memcheck;
pub mod predict;
mod progress;
pub mod quantize;
pub mod resume;
mod table;

pub use predict::{Format, View};
pub use progress::Terminal;
pub use table::{Language, class_name, columns};
