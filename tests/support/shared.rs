//! The folder `shared` beside the checkout: trained models, labelled images and reference networks, too large for the repository.
use std::path::{Path, PathBuf};

/// The workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `shared` beside the checkout or a folder above it (a worktree lies deeper); none: the tests that need it say so and pass.
pub fn shared() -> Option<PathBuf> {
    let found =
        root().ancestors().skip(1).map(|folder| folder.join("shared")).find(|folder| folder.join("models").is_dir());
    if found.is_none() {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: no folder `shared` with models beside the checkout");
        }
    }
    found
}
