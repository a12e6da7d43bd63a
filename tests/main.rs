//! t
#![allow(missing_docs)]
mod large_jpeg;
mod parity;
mod pixels;
mod support;
