//! What a file must be: its sha256 and its size.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sha2::Digest as _;

use super::plan::OWN_LIBRARY;

/// A sha256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Reads 64 lower-case hexadecimal digits. Meant for constants: anything else does not compile.
    pub const fn from_hex(text: &str) -> Self {
        const fn digit(c: u8) -> u8 {
            match c {
                b'0'..=b'9' => c - b'0',
                b'a'..=b'f' => c - b'a' + 10,
                _ => panic!("a sha256 has hexadecimal digits"),
            }
        }
        let text = text.as_bytes();
        assert!(text.len() == 64, "a sha256 has 64 digits");
        let mut bytes = [0; 32];
        let mut i = 0;
        while i < 32 {
            bytes[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
            i += 1;
        }
        Self(bytes)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A file's identity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Size in bytes.
    pub bytes: u64,
    /// Hash of the content.
    pub sha256: Sha256,
}

impl Pin {
    /// A pin as a table holds it.
    pub const fn new(bytes: u64, hex: &str) -> Self {
        Self { bytes, sha256: Sha256::from_hex(hex) }
    }

    /// The identity of a file on disk, which is read to its end.
    pub fn of(path: &Path) -> Result<Self> {
        let failed = || format!("cannot read `{}`", path.display());
        let mut hasher = sha2::Sha256::new();
        let mut file = File::open(path).with_context(failed)?;
        let mut part = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            let read = file.read(&mut part).with_context(failed)?;
            if read == 0 {
                break;
            }
            hasher.update(&part[..read]);
            bytes += read as u64;
        }
        Ok(Self { bytes, sha256: Sha256(hasher.finalize().into()) })
    }

    /// An error that names the file, what was expected and what was got, unless the file is the pinned one.
    pub fn require(self, path: &Path) -> Result<()> {
        let found = Self::of(path)?;
        if found != self {
            let name = path.file_name().unwrap_or(path.as_os_str()).display();
            bail!(
                "`{name}` is not the pinned file: expected {self}, got {found}; it was removed and nothing was \
                 installed: try again, or set {OWN_LIBRARY} to a library that you trust"
            );
        }
        Ok(())
    }

    /// Whether the file at `path` is the pinned one; one that is missing or cannot be read is not.
    pub fn matches(self, path: &Path) -> bool {
        path.metadata().is_ok_and(|data| data.len() == self.bytes) && Self::of(path).is_ok_and(|found| found == self)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256 {} ({} bytes)", self.sha256, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_published_test_vector_of_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let pin = Pin::new(3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(pin.matches(&path));
        assert_eq!(pin.to_string(), format!("sha256 {} (3 bytes)", pin.sha256));
        std::fs::write(&path, "abd").unwrap();
        assert!(!pin.matches(&path));
        assert!(!pin.matches(&folder.path().join("missing")));
    }
}
