//! A user without rights: a folder of his own with what the program needs, and a file system that he cannot write to.
use super::program::fixture;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::{fs, io, ptr};
use tempfile::TempDir;

/// His number, as a user and as a group.
pub const NOBODY: u32 = 65534;

/// Whether this process may become another user.
pub fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// What `dermai` needs, in a folder of its own: others cannot enter every checkout.
pub fn belongings() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &str| {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap_or_else(|e| panic!("`{}`: {e}", from.display()));
    };
    copy(Path::new(env!("CARGO_BIN_EXE_dermai")), "dermai");
    copy(&dermai::model::find_runtime().unwrap(), "libonnxruntime.so");
    for name in ["model.onnx", "model.yaml"] {
        copy(&fixture("../models/default").join(name), &format!("models/default/{name}"));
    }
    copy(&fixture("images/lesion.jpg"), "lesion.jpg");
    folder
}

/// A folder and all in it are his.
pub fn give_to_nobody(folder: &Path) {
    chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give_to_nobody(&path);
        } else {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

/// Runs a process as nobody, with all that is mounted read-only for it alone (`mount_setattr(2)`, Linux 5.12). Where the system refuses that,
/// starting it fails, see [`is_refused`].
pub fn confine(command: &mut Command) {
    let read_only = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: these are system calls that allocate nothing; what they are given lives as long as the closure, and is only read.
    unsafe {
        command.pre_exec(move || {
            let attributes = &raw const read_only;
            let size = size_of_val(&read_only);
            let root = c"/".as_ptr();
            // Mounts first: nobody may not change them.
            let done = libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, root, libc::AT_RECURSIVE, attributes, size)
                    == 0
                && libc::setgroups(0, ptr::null()) == 0
                && libc::setgid(NOBODY) == 0
                && libc::setuid(NOBODY) == 0;
            if done { Ok(()) } else { Err(io::Error::last_os_error()) }
        });
    }
}

/// Whether a process could not be confined: not allowed in a container, not known to an older kernel, or `/` is none of its mounts.
pub fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS | libc::EINVAL))
}
