//! Chores of the workspace, one file each: `cargo xtask <chore>`.

mod fixtures;

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    fixtures::run(root, std::env::args().any(|arg| arg == "--check"))
}
