//! Two folders change places: in one step where the system can, else in two that the next run completes.
use std::fs;
use std::io;
use std::path::Path;

/// Puts the folder `new` where `target` is or would be. Whatever stood there is at `new` or at `aside` afterwards, to be removed.
///
/// # Errors
/// When it cannot be done: what stood at `target` then stands there still.
pub fn put(new: &Path, target: &Path, aside: &Path) -> io::Result<()> {
    if !target.is_dir() {
        return fs::rename(new, target);
    }
    match exchange(new, target) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => in_two_steps(new, target, aside),
        done => done,
    }
}

/// Between the two nothing stands at `target`. A run that is ended there leaves the old one at `aside`, and the next one brings it back.
fn in_two_steps(new: &Path, target: &Path, aside: &Path) -> io::Result<()> {
    // What an earlier run left there is older than what stands at its place.
    let _ = fs::remove_dir_all(aside);
    fs::rename(target, aside)?;
    fs::rename(new, target).inspect_err(|_| drop(fs::rename(aside, target)))
}

/// In one step (renameat2(2), `RENAME_EXCHANGE`). `Unsupported` where the kernel or the file system cannot.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
    let (a, b) = (text(one)?, text(other)?);
    // SAFETY: takes two strings that end with a zero, and integers.
    let done =
        unsafe { libc::renameat2(libc::AT_FDCWD, a.as_ptr(), libc::AT_FDCWD, b.as_ptr(), libc::RENAME_EXCHANGE) };
    if done == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    // A filter of system calls that does not know this one says `EPERM`; where it is meant, the second way says it again.
    let cannot = matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::EPERM));
    Err(if cannot { io::ErrorKind::Unsupported.into() } else { error })
}

#[cfg(not(target_os = "linux"))]
fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
