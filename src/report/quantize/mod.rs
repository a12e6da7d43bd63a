//! What `quantize` made and measured, for people, programs, CI servers and eyes: one file a format.
mod json;
mod markdown;
mod plot;
mod record;
mod rows;
mod table;

pub use json::{SCHEMA, write_json};
pub use markdown::write_markdown;
pub use plot::write_plot;
pub use table::write_table;
