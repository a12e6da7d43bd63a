//! A file without a name until it is worth one: however a run ends, even killed, it leaves nothing half-written behind.
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// A file on its way to `path`.
#[derive(Debug)]
pub struct Pending {
    file: File,
    path: PathBuf,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In no folder; the kernel frees it when the process ends.
    Nameless,
    /// Under a made-up name, where the kernel or the file system cannot do without.
    Hidden(TempPath),
    /// At its place.
    Published,
}

impl Pending {
    /// Opens a file that can become `path`, with the permissions of the file that it will replace.
    pub fn create(path: &Path) -> io::Result<Self> {
        // A link stays; the file that it points to is replaced.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (file, state) = match nameless(folder_of(&path)) {
            Ok(file) => (file, State::Nameless),
            Err(first) => {
                let hidden = hidden().tempfile_in(folder_of(&path)).map_err(|then| {
                    // The first error is the plain one, unless it only says that there is no such thing here.
                    if first.kind() == io::ErrorKind::Unsupported { then } else { first }
                })?;
                let (file, name) = hidden.into_parts();
                (file, State::Hidden(name))
            }
        };
        if let Ok(before) = fs::metadata(&path) {
            file.set_permissions(before.permissions())?;
        }
        Ok(Self { file, path, state })
    }

    /// Gives the file its name, in place of what stood there; what is written later is seen there at once.
    pub fn publish(&mut self) -> io::Result<()> {
        let name = match std::mem::replace(&mut self.state, State::Published) {
            State::Published => return Ok(()),
            State::Hidden(name) => name,
            State::Nameless => match hidden().make_in(folder_of(&self.path), |name| link(&self.file, name)) {
                Ok(linked) => linked.into_temp_path(),
                Err(_) => self.copy()?, // no /proc
            },
        };
        self.file.sync_data()?;
        name.persist(&self.path).map_err(|error| error.error)
    }

    /// Goes on in a copy that has a name.
    fn copy(&mut self) -> io::Result<TempPath> {
        let mut copy = hidden().tempfile_in(folder_of(&self.path))?;
        self.file.rewind()?;
        io::copy(&mut self.file, &mut copy)?;
        copy.as_file().set_permissions(self.file.metadata()?.permissions())?;
        let (file, name) = copy.into_parts();
        self.file = file;
        Ok(name)
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Made-up names, with the permissions that a new file gets.
fn hidden() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".dermai-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask
    builder
}

/// A file in no folder (open(2), `O_TMPFILE`); not every file system has such a thing.
#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).mode(0o666).custom_flags(libc::O_TMPFILE);
    options.open(folder)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_folder: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives a nameless file a name that is not taken.
#[cfg(target_os = "linux")]
fn link(file: &File, name: &Path) -> io::Result<()> {
    use std::ffi::CString;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    let from = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let to = CString::new(name.as_os_str().as_bytes())?;
    // SAFETY: both are strings that end in NUL and live until the call returns; linkat keeps neither.
    let done =
        unsafe { libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn link(_file: &File, _name: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_a_name_keeps_what_was_written_and_what_is_written_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let (linked, copied, renamed) =
            (folder.path().join("linked"), folder.path().join("copied"), folder.path().join("renamed"));
        for path in [&linked, &copied, &renamed] {
            fs::write(path, "what stood there").expect("a file");
            let mut file = Pending::create(path).expect("a pending file");
            if path == &renamed {
                let (hidden, name) = hidden().tempfile_in(folder.path()).expect("a file").into_parts();
                (file.file, file.state) = (hidden, State::Hidden(name));
            }
            file.write_all(b"before, ").expect("a write");
            assert_eq!(fs::read_to_string(path).expect("a file"), "what stood there");
            if path == &copied {
                let name = file.copy().expect("a copy");
                file.state = State::Hidden(name);
            }
            file.publish().expect("a name");
            file.publish().expect("once is enough");
            file.write_all(b"after").expect("a write");
            assert_eq!(fs::read_to_string(path).expect("a file"), "before, after");
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3, "something is left over");
    }
}
