//! Where results go: standard output, or a file that appears whole or not at all.
use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// An open target.
pub enum Target {
    /// Standard output.
    Stdout(BufWriter<io::Stdout>),
    /// A temporary file beside `path`, renamed to it by [`Target::keep`].
    New { file: BufWriter<NamedTempFile>, path: PathBuf },
    /// An existing file that is continued in place.
    Continued(BufWriter<File>),
}

impl Target {
    /// Opens before the long work starts, so that an impossible place is told at once.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::Stdout(BufWriter::new(io::stdout()))) };
        if path.is_dir() {
            bail!("`{}` is a folder; name a file", path.display());
        }
        let file = beside(path)?;
        Ok(Self::New { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// Continues `path` after `kept`: the file is first replaced as a whole by what is kept of it, and then grows line by line.
    pub fn resume(path: &Path, kept: &str) -> Result<Self> {
        let mut file = beside(path)?;
        file.write_all(kept.as_bytes()).and_then(|()| file.as_file().sync_all()).with_context(|| cannot_write(path))?;
        file.persist(path).with_context(|| cannot_write(path))?;
        let file = OpenOptions::new().append(true).open(path).with_context(|| cannot_write(path))?;
        Ok(Self::Continued(BufWriter::new(file)))
    }

    /// The results are complete: the file takes its name.
    pub fn keep(self) -> Result<()> {
        match self {
            Self::Stdout(mut out) => out.flush().context("standard output cannot be written"),
            Self::Continued(mut file) => file.flush().context("the results cannot be written"),
            Self::New { file, path } => {
                let file =
                    file.into_inner().map_err(io::IntoInnerError::into_error).with_context(|| cannot_write(&path))?;
                file.persist(&path).with_context(|| cannot_write(&path))?;
                Ok(())
            }
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::New { file, .. } => file.write(bytes),
            Self::Continued(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::New { file, .. } => file.flush(),
            Self::Continued(file) => file.flush(),
        }
    }
}

/// A temporary file in the folder of `path`, with the permissions that a new file gets.
fn beside(path: &Path) -> Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".dermai-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask
    builder.tempfile_in(folder).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("`{}` cannot be written", path.display())
}
