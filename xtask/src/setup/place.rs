//! The folder in which an archive arrives and is taken apart: on the file system of the goal, and always cleared.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::say::say;

/// How the name of a temporary folder begins.
const PREFIX: &str = "tmp-";

/// A temporary folder inside the runtimes' folder. One process at a time has one: a second waits, and then finds the
/// work done. Removed when dropped; what a killed process left is removed by the next.
pub struct Workshop {
    // Dropped before the lock, so that no one else sweeps it away half-used.
    folder: TempDir,
    _lock: File,
}

impl Workshop {
    /// Opens the one workshop of `parent`, which is created if need be.
    pub fn open(parent: &Path) -> Result<Self> {
        fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
        let lock = parent.join("lock");
        let failed = || format!("cannot lock `{}`", lock.display());
        let file = File::options().create(true).append(true).open(&lock).with_context(failed)?;
        let alone = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                say("another setup is running: waiting for it");
                file.lock().with_context(failed)?;
                true
            }
            // Some network file systems have no locks: then only renames keep two runs apart.
            Err(TryLockError::Error(_)) => false,
        };
        if alone {
            sweep(parent);
        }
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent);
        let folder = folder.with_context(|| format!("cannot create a temporary folder in `{}`", parent.display()))?;
        Ok(Self { folder, _lock: file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the temporary folders of processes that were killed. What resists is in no one's way.
fn sweep(parent: &Path) {
    let Ok(entries) = parent.read_dir() else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// The largest file below `folder` that it has now: of a download, the part that has arrived, which clients keep
/// in more than one copy.
pub fn largest_file(folder: &Path) -> u64 {
    let Ok(entries) = folder.read_dir() else { return 0 };
    let size = |path: PathBuf| match path.symlink_metadata() {
        Ok(data) if data.is_dir() => largest_file(&path),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.flatten().map(|entry| size(entry.path())).max().unwrap_or(0)
}
