//! Where results go: standard output, or a file that appears whole, or (JSON lines) grows from its first line on, or is added to.
use super::pending::Pending;
use anyhow::{Result, bail};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

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
    /// Comes behind what stands in the file when it is complete.
    Added {
        text: Vec<u8>,
        file: Pending,
        path: PathBuf,
    },
    /// A pipe or a device: nothing stands there that could be lost.
    Through(BufWriter<File>),
}

impl Target {
    /// Opens before the long work starts, so that an impossible place is told at once; what stands at `path` is not touched yet.
    pub fn create(path: Option<&Path>, grows: bool) -> Result<Self> {
        let Some(path) = path else {
            let out = Out::Stdout(BufWriter::new(io::stdout()));
            return Ok(Self { out, name: "standard output".into() });
        };
        let name = named(path)?;
        let file = Pending::create(path).map_err(|error| cannot_write(&name, &error))?;
        let file = BufWriter::new(file);
        Ok(Self { out: if grows { Out::Growing(file) } else { Out::Whole(file) }, name })
    }

    /// Opens a file that is added to. What stands there is read only when the results are complete, so that what others write meanwhile stays.
    pub fn append(path: &Path) -> Result<Self> {
        let name = named(path)?;
        let open = || {
            if path.exists() && !path.is_file() {
                return Ok(Out::Through(BufWriter::new(OpenOptions::new().append(true).open(path)?)));
            }
            before(path)?; // told now if it cannot be read
            Ok(Out::Added { text: Vec::new(), file: Pending::create(path)?, path: path.to_owned() })
        };
        let out = open().map_err(|error| cannot_write(&name, &error))?;
        Ok(Self { out, name })
    }

    /// The results are complete: the file takes its name.
    pub fn keep(mut self) -> Result<()> {
        self.flush()?;
        let done = match &mut self.out {
            Out::Stdout(_) | Out::Through(_) => Ok(()),
            Out::Whole(file) | Out::Growing(file) => file.get_mut().publish(),
            Out::Added { text, file, path } => add(text, file, path),
        };
        Ok(done.map_err(|error| cannot_write(&self.name, &error))?)
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = match &mut self.out {
            Out::Stdout(out) => out.write(bytes),
            Out::Whole(file) | Out::Growing(file) => file.write(bytes),
            Out::Added { text, .. } => text.write(bytes),
            Out::Through(file) => file.write(bytes),
        };
        done.map_err(|error| cannot_write(&self.name, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = match &mut self.out {
            Out::Stdout(out) => out.flush(),
            Out::Whole(file) => file.flush(),
            Out::Growing(file) => file.flush().and_then(|()| file.get_mut().publish()),
            Out::Added { .. } => Ok(()),
            Out::Through(file) => file.flush(),
        };
        done.map_err(|error| cannot_write(&self.name, &error))
    }
}

/// What an error calls a file.
fn named(path: &Path) -> Result<String> {
    if path.is_dir() {
        bail!("`{}` is a folder; name a file", path.display());
    }
    Ok(format!("`{}`", path.display()))
}

/// What stands in a file that may not be there.
fn before(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The old text and the new one take the file's place together.
fn add(text: &[u8], file: &mut Pending, path: &Path) -> io::Result<()> {
    let mut old = Vec::new();
    if let Some(mut before) = before(path)? {
        before.read_to_end(&mut old)?;
    }
    // What was there may lack its last line break.
    if old.last().is_some_and(|last| *last != b'\n') {
        old.push(b'\n');
    }
    file.write_all(&old)?;
    file.write_all(text)?;
    file.publish()
}

/// The same kind of error (a broken pipe stays one), with the place in its text.
fn cannot_write(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name} cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_added_comes_behind_what_stands_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("summary.md");
        let add = |text: &str, meanwhile: Option<&str>| {
            let mut target = Target::append(&path).expect("a target");
            target.write_all(text.as_bytes()).expect("a write");
            if let Some(text) = meanwhile {
                fs::write(&path, text).expect("a file");
            }
            target.keep().expect("kept");
            fs::read_to_string(&path).expect("a file")
        };
        assert_eq!(add("one\n", None), "one\n");
        assert_eq!(add("two\n", None), "one\ntwo\n");
        assert_eq!(add("three\n", Some("of others")), "of others\nthree\n");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "something is left over");
    }

    #[test]
    fn what_was_not_kept_was_not_added() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("summary.md");
        fs::write(&path, "old").expect("a file");
        let mut target = Target::append(&path).expect("a target");
        target.write_all(b"half of").expect("a write");
        drop(target);
        assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
        assert!(Target::append(folder.path()).is_err() && Target::append(&path.join("below")).is_err());
    }
}
