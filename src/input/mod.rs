//! From an image file to the tensor that a network takes: open, check, decode by rows, resize as Pillow does, normalise.
//!
//! Invariants: nothing is allocated in proportion to a picture before its header passed [`Limits`]; a picture that can be decoded by
//! rows is never held whole; this module knows nothing about models, ONNX or the terminal.
mod decode;
mod drawn;
mod guard;
mod limits;
mod orientation;
mod placement;
mod resize;
mod source;
mod tensor;
mod upright;

pub use decode::{Format, Header};
pub use drawn::write_drawn_photo;
pub use guard::panics_are_errors;
pub use limits::{Limits, OverLimit};
pub use orientation::Orientation;
pub use placement::{Geometry, Sight};
pub use resize::{Axis, Filter, Order, Resizer};
pub use source::{FileReader, SharedBytes, Source, Stream, expand, sha256_of};
pub use tensor::{Color, Layout, Picture, Preprocessing, Resize};
pub use upright::UprightRows;
