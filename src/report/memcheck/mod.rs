//! `memcheck`'s result for people, programs, CI servers and eyes: one file a format.
//!
//! Invariants: nothing is computed but text and pixels; text from outside is escaped as each format asks, so that a name cannot break out of
//! its cell, its element or its line.
mod annotations;
mod earlier;
mod json;
mod junit;
mod markdown;
mod plot;
mod rows;
mod table;
mod words;

pub use annotations::{annotate, write_annotations};
pub use earlier::read_earlier;
pub use json::{SCHEMA, write_json};
pub use junit::write_junit;
pub use markdown::write_markdown;
pub use plot::write_plot;
pub use table::{write_findings, write_table};
