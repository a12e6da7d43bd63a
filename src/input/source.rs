//! Where a picture comes from: a file or standard input, opened without blocking and never larger than allowed; folders and globs spread out.
use super::limits::Limits;
use crate::text::hex;
use crate::units::Bytes;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Endings of the files that a folder gives; a file named on its own is judged by its content alone.
const ENDINGS: [&str; 10] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff"];

/// One picture to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    Path(PathBuf),
    /// Standard input, written `-`.
    Stdin,
}

impl Source {
    /// The name shown to the user and written to results. Bytes that are not UTF-8 become `\xff`, so that two such files keep two names.
    pub fn name(&self) -> String {
        let Self::Path(path) = self else { return "-".to_owned() };
        let mut name = String::new();
        for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
            name.push_str(chunk.valid());
            for byte in chunk.invalid() {
                let _ = write!(name, "\\x{byte:02x}"); // writing to a string cannot fail
            }
        }
        name
    }

    /// Opens the picture's bytes. Only regular files are read: a FIFO, a device or a folder is an error at once.
    pub fn open(&self, limits: &Limits) -> Result<Stream> {
        match self {
            Self::Path(path) => {
                // Looked at before it is opened, because a socket cannot be and some devices start to work when they are; and after it, in
                // case it was exchanged meanwhile.
                check_kind(&fs::metadata(path).context("cannot be opened")?)?;
                let file = open_without_blocking(path)?;
                let facts = file.metadata().context("cannot be examined")?;
                check_kind(&facts)?;
                limits.check_file(Bytes(facts.len()))?;
                Ok(Stream::File(FileReader::new(Arc::new(file))))
            }
            Self::Stdin => {
                let mut bytes = Vec::new();
                io::stdin()
                    .lock()
                    .take(limits.file.0.saturating_add(1))
                    .read_to_end(&mut bytes)
                    .context("cannot be read")?;
                limits.check_file(Bytes(bytes.len() as u64))?;
                Ok(Stream::Memory(Cursor::new(bytes)))
            }
        }
    }
}

/// Only regular files have a beginning and an end.
fn check_kind(facts: &fs::Metadata) -> Result<()> {
    if facts.is_dir() {
        bail!("is a folder, not an image file");
    }
    if !facts.is_file() {
        bail!("is not a regular file (a pipe, a socket or a device); give the image itself, or `-` for standard input");
    }
    Ok(())
}

/// A FIFO without a writer would block `open` for ever, so it is opened non-blocking and refused afterwards.
fn open_without_blocking(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_CLOEXEC);
    options.open(path).context("cannot be opened")
}

/// The bytes of a picture, readable from any place.
#[derive(Debug)]
pub enum Stream {
    /// Read from disk as needed.
    File(FileReader),
    /// Standard input, held.
    Memory(Cursor<Vec<u8>>),
    /// The same, held once for several streams.
    Shared(Cursor<SharedBytes>),
}

impl Stream {
    /// Another stream over the same bytes, at their start; neither moves the other, and nothing is copied. So standard input can be read twice.
    #[must_use]
    pub fn again(&mut self) -> Self {
        match self {
            Self::File(reader) => Self::File(FileReader::new(Arc::clone(&reader.file))),
            Self::Shared(bytes) => Self::Shared(Cursor::new(bytes.get_ref().clone())),
            Self::Memory(bytes) => {
                let shared = SharedBytes(Arc::new(std::mem::take(bytes.get_mut())));
                let mut same = Cursor::new(shared.clone());
                same.set_position(bytes.position());
                *self = Self::Shared(same);
                Self::Shared(Cursor::new(shared))
            }
        }
    }
}

/// An open file and a place in it of its own, so that several readers share one open file.
#[derive(Debug)]
pub struct FileReader {
    file: Arc<File>,
    at: u64,
}

impl FileReader {
    /// A reader at the file's start.
    pub fn new(file: Arc<File>) -> Self {
        Self { file, at: 0 }
    }
}

/// Bytes that are held once for several readers.
#[derive(Clone, Debug)]
pub struct SharedBytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let got = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.at)?;
        #[cfg(windows)]
        let got = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.file.metadata()?.len(), by),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "a place before the file's start");
        self.at = from.checked_add_signed(by).ok_or_else(before)?;
        Ok(self.at)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(bytes) => bytes.read(buffer),
            Self::Shared(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Memory(bytes) => bytes.seek(to),
            Self::Shared(bytes) => bytes.seek(to),
        }
    }
}

/// SHA-256 of everything in `stream` from its start, as lower-case hexadecimal; leaves the stream at its start.
pub fn sha256_of(stream: &mut (impl Read + Seek)) -> Result<String> {
    stream.rewind()?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer).context("cannot be read")? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    stream.rewind()?;
    Ok(hex(&hash.finalize()))
}

/// Spreads out what the user named: a folder gives the image files below it, a glob what it matches, both sorted; `-` is standard input.
///
/// A name that exists is taken as it is, even when it holds glob characters.
pub fn expand(names: &[PathBuf]) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for name in names {
        if name.as_os_str() == "-" {
            found.push(Source::Stdin);
        } else if name.is_dir() {
            let mut files = Vec::new();
            walk(name, &mut files)?;
            if files.is_empty() {
                bail!(
                    "`{}`: no image in this folder (looked for {})",
                    name.display(),
                    ENDINGS.map(|e| format!(".{e}")).join(" ")
                );
            }
            found.extend(files);
        } else if !name.exists() && name.to_string_lossy().contains(['*', '?', '[']) {
            found.extend(matches_of(name)?);
        } else {
            found.push(Source::Path(name.clone()));
        }
    }
    if found.iter().filter(|source| **source == Source::Stdin).count() > 1 {
        bail!("`-` is named twice: standard input holds one image");
    }
    Ok(found)
}

fn has_image_ending(path: &Path) -> bool {
    path.extension().is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Image files below `folder`, sorted by name within each folder; links to folders are not followed, so a loop cannot trap it.
fn walk(folder: &Path, found: &mut Vec<Source>) -> Result<()> {
    let unreadable = || format!("`{}`: the folder cannot be read", folder.display());
    let mut entries =
        fs::read_dir(folder).with_context(unreadable)?.collect::<io::Result<Vec<_>>>().with_context(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().with_context(unreadable)?;
        if kind.is_dir() {
            walk(&entry.path(), found)?;
        } else if has_image_ending(&entry.path()) {
            found.push(Source::Path(entry.path()));
        }
    }
    Ok(())
}

/// Files that match a glob which the shell left alone: quoted, or on a system whose shell does not spread it. Sorted.
fn matches_of(pattern: &Path) -> Result<Vec<Source>> {
    let named = || format!("`{}`", pattern.display());
    let matches = glob::glob(&pattern.to_string_lossy()).with_context(|| format!("{}: not a valid glob", named()))?;
    let mut found = Vec::new();
    for path in matches {
        let path = path.with_context(|| format!("{}: a folder cannot be read", named()))?;
        if has_image_ending(&path) && !path.is_dir() {
            found.push(Source::Path(path));
        }
    }
    if found.is_empty() {
        bail!("{}: no image matches", named());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn streams_over_the_same_bytes_do_not_move_each_other() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"0123456789").expect("written");
        for mut first in [
            Stream::File(FileReader { file: Arc::new(file), at: 0 }),
            Stream::Memory(Cursor::new(b"0123456789".to_vec())),
        ] {
            let mut two = [0; 2];
            first.read_exact(&mut two).expect("two bytes");
            let mut second = first.again();
            let mut third = second.again();
            second.seek(SeekFrom::End(-1)).expect("a place");
            for (of_third, expected) in [(false, b"23"), (true, b"01"), (false, b"45")] {
                let stream = if of_third { &mut third } else { &mut first };
                stream.read_exact(&mut two).expect("two bytes");
                assert_eq!(&two, expected);
            }
            assert_eq!(second.read(&mut two).expect("a byte"), 1);
            assert_eq!((two[0], second.stream_position().expect("a place")), (b'9', 10));
            second.seek(SeekFrom::Current(-11)).expect_err("a place before the start");
        }
    }
}
