//! Chores of the workspace, one file each: `cargo xtask <chore>`.
fn main() {}
