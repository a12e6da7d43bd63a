//! Where results go: standard output, or a file that appears whole, or (JSON lines) grows from its first line on.
use super::pending::Pending;
use anyhow::{Result, bail};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// An open target.
pub struct Target {
    out: Out,
    /// What an error calls it.
    name: String,
}

enum Out {
    Stdout(BufWriter<io::Stdout>),
    /// Replaces what was there when it is complete.
    Whole(BufWriter<Pending>),
    /// Replaces what was there when it is first flushed, and grows from then on.
    Growing(BufWriter<Pending>),
}

impl Target {
    /// Opens before the long work starts, so that an impossible place is told at once; what stands at `path` is not touched yet.
    pub fn create(path: Option<&Path>, grows: bool) -> Result<Self> {
        let Some(path) = path else {
            let out = Out::Stdout(BufWriter::new(io::stdout()));
            return Ok(Self { out, name: "standard output".into() });
        };
        if path.is_dir() {
            bail!("`{}` is a folder; name a file", path.display());
        }
        let name = format!("`{}`", path.display());
        let file = Pending::create(path).map_err(|error| cannot_write(&name, &error))?;
        let file = BufWriter::new(file);
        Ok(Self { out: if grows { Out::Growing(file) } else { Out::Whole(file) }, name })
    }

    /// The results are complete: the file takes its name.
    pub fn keep(mut self) -> Result<()> {
        self.flush()?;
        match &mut self.out {
            Out::Stdout(_) => Ok(()),
            Out::Whole(file) | Out::Growing(file) => {
                file.get_mut().publish().map_err(|error| cannot_write(&self.name, &error).into())
            }
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = match &mut self.out {
            Out::Stdout(out) => out.write(bytes),
            Out::Whole(file) | Out::Growing(file) => file.write(bytes),
        };
        done.map_err(|error| cannot_write(&self.name, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = match &mut self.out {
            Out::Stdout(out) => out.flush(),
            Out::Whole(file) => file.flush(),
            Out::Growing(file) => file.flush().and_then(|()| file.get_mut().publish()),
        };
        done.map_err(|error| cannot_write(&self.name, &error))
    }
}

/// The same kind of error (a broken pipe stays one), with the place in its text.
fn cannot_write(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name} cannot be written: {error}"))
}
