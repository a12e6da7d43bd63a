//! What `soak` and the benches of `serve` share: servers as children, pictures with their right answers, and an HTTP client that can misbehave.

mod answer;
mod http;
mod latency;
mod picture;
mod server;

pub use answer::{Asked, Expected};
pub use http::{Broken, Connection, Reply, head};
pub use latency::{corrected, percentile};
pub use picture::Picture;
pub use server::{Limit, PYTHON, Server, dermai, python, resident};
