//! A folder takes the place of another in one step, so that whoever reads sees the old one or the new one, and a file that a process has
//! mapped is never cut short.
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder on its way to its place; it is gone if it does not get there.
#[derive(Debug)]
pub struct Draft {
    folder: TempDir,
    target: PathBuf,
}

impl Draft {
    /// A folder beside `target`, on the same file system.
    ///
    /// # Errors
    /// When something else than a bundle, or an empty folder, stands at `target`; when nothing can be written there.
    pub fn beside(target: &Path) -> Result<Self> {
        // A link stays; the folder that it points to is replaced.
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        let target = std::path::absolute(&target).with_context(|| format!("`{}`", target.display()))?;
        ensure!(
            may_be_replaced(&target),
            "`{}` is there and is no bundle: it is not replaced; name another folder, or remove it",
            target.display()
        );
        let parent = target.parent().with_context(|| format!("`{}` cannot be a bundle", target.display()))?;
        fs::create_dir_all(parent).with_context(|| format!("`{}` cannot be made", parent.display()))?;
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = tempfile::Builder::new().prefix(&format!(".{name}.")).tempdir_in(parent);
        let folder = folder.with_context(|| format!("nothing can be written to `{}`", parent.display()))?;
        Ok(Self { folder, target })
    }

    /// Where it is filled.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the folder at its place, and removes the one that stood there.
    pub fn publish(self) -> Result<()> {
        let named = || format!("`{}` cannot be written", self.target.display());
        for entry in fs::read_dir(self.path()).with_context(named)? {
            File::open(entry.with_context(named)?.path()).and_then(|file| file.sync_all()).with_context(named)?;
        }
        sync(self.path());
        set_usual_permissions(self.path()).with_context(named)?;
        let Self { folder, target } = self;
        if target.is_dir() {
            exchange(folder.path(), &target).with_context(|| format!("`{}` cannot be replaced", target.display()))?;
            // What is left in the draft's place is the old one, and goes with it.
        } else {
            let path = folder.keep();
            fs::rename(&path, &target)
                .inspect_err(|_| drop(fs::remove_dir_all(&path)))
                .with_context(|| format!("`{}` cannot be written", target.display()))?;
        }
        if let Some(parent) = target.parent() {
            sync(parent);
        }
        Ok(())
    }
}

/// A bundle, an empty folder, or nothing.
fn may_be_replaced(target: &Path) -> bool {
    match fs::read_dir(target) {
        Ok(mut entries) => target.join("model.yaml").is_file() || entries.next().is_none(),
        Err(_) => !target.exists(),
    }
}

/// Names are on the disk once their folder is; where a folder cannot be synced it is by itself.
fn sync(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
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

/// Two folders change places in one step (renameat2(2), `RENAME_EXCHANGE`); elsewhere in two, with the old one at its place again if the second
/// fails.
fn exchange(one: &Path, other: &Path) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::ffi::CString;
        use std::os::unix::ffi::OsStrExt;
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(std::io::Error::from);
        let (a, b) = (text(one)?, text(other)?);
        // SAFETY: takes two strings that end with a zero, and integers.
        let done =
            unsafe { libc::renameat2(libc::AT_FDCWD, a.as_ptr(), libc::AT_FDCWD, b.as_ptr(), libc::RENAME_EXCHANGE) };
        if done == 0 {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        if !matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) {
            return Err(error);
        }
    }
    let aside = one.with_extension("old");
    fs::rename(other, &aside)?;
    if let Err(error) = fs::rename(one, other) {
        fs::rename(&aside, other)?;
        return Err(error);
    }
    fs::rename(&aside, one)
}
