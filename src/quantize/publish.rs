//! A folder takes the place of another in one step, so that whoever reads sees the old one or the new one, and a file that a process has
//! mapped is never cut short.
use super::exchange::put;
use super::place::{Place, sync};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::Path;
use tempfile::TempDir;

/// A folder on its way to its place; it is gone if it does not get there. A run that is killed leaves it, and the next one sweeps it.
#[derive(Debug)]
pub struct Draft {
    folder: TempDir,
    place: Place,
    /// Keeps others from sweeping it.
    _lock: Option<File>,
}

impl Draft {
    /// A folder beside `target`, on the same file system. What earlier runs have left there is removed, or put back.
    ///
    /// # Errors
    /// When something else than a bundle, or an empty folder, stands at `target`; when nothing can be written there.
    pub fn beside(target: &Path) -> Result<Self> {
        let place = Place::of(target)?;
        let _alone = place.alone();
        place.recover();
        place.may_be_taken()?;
        let (folder, lock) = place.draft()?;
        Ok(Self { folder, place, _lock: lock })
    }

    /// Where it is filled.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the folder at its place, and removes the one that stood there.
    pub fn publish(self) -> Result<()> {
        let target = &self.place.target;
        let named = || format!("`{}` cannot be written", target.display());
        for entry in fs::read_dir(self.path()).with_context(named)? {
            File::open(entry.with_context(named)?.path()).and_then(|file| file.sync_all()).with_context(named)?;
        }
        set_usual_permissions(self.path()).with_context(named)?;
        sync(self.path());
        let alone = self.place.alone();
        // Another run may have put something there meanwhile.
        self.place.may_be_taken()?;
        let aside = self.place.aside();
        put(self.path(), target, &aside).with_context(|| format!("`{}` cannot be replaced", target.display()))?;
        self.place.sync();
        drop(alone);
        // What is left at either place is the old one; that it cannot be removed does not undo what was done, and the next run tries again.
        let _ = fs::remove_dir_all(&aside);
        Ok(())
    }
}

/// Temporary folders are their owner's only; a bundle is read by whoever may read what is made here.
fn set_usual_permissions(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What `mkdir` gives here: the process's mask cannot be read without setting it.
        let probe = folder.join("probe");
        fs::create_dir(&probe)?;
        let mode = fs::metadata(&probe)?.permissions().mode();
        fs::remove_dir(&probe)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
