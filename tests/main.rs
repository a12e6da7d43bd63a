//! t
#![allow(missing_docs)]
mod parity;
mod pixels;
mod support;
