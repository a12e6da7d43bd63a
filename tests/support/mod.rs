//! What the tests share.
pub mod figures;
pub mod jpegs;
pub mod npz;
pub mod pictures;
pub mod rng;
pub mod shared;
