//! Where a bundle is put: who else is at it, and what runs that were killed have left there.
//!
//! Locks are those of flock(2) on folders: they go with the process that holds them, however it ends, move with a folder that is renamed, and
//! leave no file behind. Where a file system has none, nothing that another run left is swept.
use crate::model::aside;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A bundle's place.
#[derive(Debug)]
pub struct Place {
    /// The bundle's folder, which may not be there.
    pub target: PathBuf,
    /// The folder that it lies in.
    parent: PathBuf,
    /// What the names of folders on their way to it begin with.
    prefix: String,
    _made: Made,
}

/// Folders that were made for a bundle, the innermost first: they go again where none comes.
#[derive(Debug)]
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for folder in &self.0 {
            let _ = fs::remove_dir(folder); // one that holds something stays
        }
    }
}

impl Place {
    /// The place that `named` leads to; the folder that it lies in is made.
    pub fn of(named: &Path) -> Result<Self> {
        // A link stays; the folder that it points to is replaced, or made.
        let linked = fs::read_link(named).map(|to| named.parent().unwrap_or(Path::new("")).join(to));
        let target = named.canonicalize().or(linked).unwrap_or_else(|_| named.to_owned());
        let target = std::path::absolute(&target).with_context(|| format!("`{}`", target.display()))?;
        let parts = target.parent().zip(target.file_name());
        let (parent, name) = parts.with_context(|| format!("`{}` cannot be a bundle", target.display()))?;
        let missing = parent.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
        let made = Made(missing);
        fs::create_dir_all(parent).with_context(|| format!("`{}` cannot be made", parent.display()))?;
        let (parent, prefix) = (parent.to_owned(), format!(".{}.dermai-", name.display()));
        Ok(Self { target, parent, prefix, _made: made })
    }

    /// Waits until no other run makes, puts or sweeps a folder here, and keeps them waiting as long as what it gives lives.
    pub fn alone(&self) -> Option<File> {
        let parent = File::open(&self.parent).ok()?;
        parent.lock().ok()?;
        Some(parent)
    }

    /// Completes or undoes what a killed run has left here.
    pub fn recover(&self) {
        let aside = self.aside();
        if !self.target.exists() && aside.is_dir() {
            let _ = fs::rename(&aside, &self.target);
        }
        for entry in fs::read_dir(&self.parent).into_iter().flatten().flatten() {
            let path = entry.path();
            // The only bundle that is left stays, even where it cannot be brought back.
            let is_spare = path != aside || self.target.exists();
            if entry.file_name().to_string_lossy().starts_with(&self.prefix) && is_spare && is_left(&path) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }

    /// An empty folder on the same file system, and the lock that says that it is in use.
    pub fn draft(&self) -> Result<(TempDir, Option<File>)> {
        let folder = tempfile::Builder::new().prefix(&self.prefix).tempdir_in(&self.parent);
        let folder = folder.with_context(|| {
            format!("`{}` cannot be made: nothing can be written to `{}`", self.target.display(), self.parent.display())
        })?;
        let lock = File::open(folder.path()).ok().filter(|open| open.lock().is_ok());
        Ok((folder, lock))
    }

    /// Where the old bundle waits, where two folders cannot be exchanged in one step.
    pub fn aside(&self) -> PathBuf {
        aside(&self.target)
    }

    /// Names in the parent folder are on the disk once it is; where a folder cannot be synced they are by themselves.
    pub fn sync(&self) {
        sync(&self.parent);
    }

    /// Fails unless a bundle, an empty folder or nothing stands there.
    pub fn may_be_taken(&self) -> Result<()> {
        let is_free = match fs::read_dir(&self.target) {
            Ok(mut entries) => is_bundle(&self.target) || entries.next().is_none(),
            Err(_) => !self.target.exists(),
        };
        ensure!(
            is_free,
            "`{}` is there and is no bundle: it is not replaced; name another folder, or remove it",
            self.target.display()
        );
        Ok(())
    }
}

/// A model that is no bundle has a card, too: it may be the very source.
fn is_bundle(folder: &Path) -> bool {
    let card = fs::read_to_string(folder.join("model.yaml"));
    card.is_ok_and(|text| crate::yaml::parse(&text).is_ok_and(|card| !card["bundle"].is_null()))
}

/// Whether no living process fills a folder.
fn is_left(folder: &Path) -> bool {
    File::open(folder).is_ok_and(|open| open.try_lock().is_ok())
}

/// A folder's names are on the disk once it is.
pub fn sync(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}
