//! What `soak` and the benches of `serve` share: servers as children, pictures with their right answers, and an HTTP client that can misbehave.

mod answer;
mod command;
mod http;
mod latency;
mod picture;
mod server;

pub use answer::{Asked, Expected};
pub use command::{PYTHON, dermai, python};
pub use http::{Broken, Connection, Reply, head};
pub use latency::{corrected, percentile};
pub use picture::Picture;
pub use server::{Limit, Server, resident};
