//! `dermai serve`: a small HTTP server that answers within the memory that it is granted.
//!
//! One thread speaks HTTP; pictures are read, answered and painted by a few worker threads, and the network runs one picture at a time. What a
//! request takes is measured in a child before the first one is let in ([`Cost`]), and [`Admission`] lets in what fits.
//!
//! Invariants: what does not fit is refused at once, before it is read; `/health` waits for nothing; nothing of a picture is written or
//! logged; no connection is made to anywhere.
mod admission;
mod allowance;
mod answer;
mod app;
mod body;
mod catalogue;
mod channel;
mod config;
mod cost;
mod desk;
mod extra;
mod linger;
mod listen;
mod measuring;
mod metrics;
mod oip;
mod overlay;
mod problem;
mod room;
mod router;
mod routes;
mod shutdown;
mod special;
mod start;

pub use config::{Config, Named, named};
pub use cost::{Cost, Work, measure};
pub use start::{Ended, run};

use admission::Admission;
