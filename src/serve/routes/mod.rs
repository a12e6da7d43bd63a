//! What answers each path.
pub mod about;
pub mod health;
pub mod memory;
pub mod models;
pub mod page;
pub mod predict;
