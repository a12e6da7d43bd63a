//! Results for people and machines. Only this module formats, and it never computes.
//!
//! Invariant: comfy-table, indicatif, quick-junit and plotters are named here only, and only here is CSV written; data goes where the caller says, never to the terminal by itself.
mod bar;
pub mod check;
pub mod gradcam;
pub mod json;
mod markdown;
pub mod memcheck;
mod plot;
pub mod predict;
mod progress;
pub mod quantize;
pub mod resume;
pub mod served;
mod table;

pub use plot::Picture;
pub use predict::{Format, View};
pub use progress::Terminal;
pub use table::{Language, class_name, columns};
