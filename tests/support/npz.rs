//! NumPy's `.npz` archives: arrays of numbers through `ndarray-npy`, and its text arrays (`<U…`), which that crate does not read.
use ndarray::ArrayD;
use ndarray_npy::{ReadNpyExt, ReadableElement};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zip::ZipArchive;

/// An open archive.
pub struct Npz {
    zip: ZipArchive<File>,
    name: String,
}

impl Npz {
    pub fn open(path: &Path) -> Self {
        let name = path.display().to_string();
        let file = File::open(path).unwrap_or_else(|e| panic!("`{name}`: {e}"));
        Self { zip: ZipArchive::new(file).unwrap_or_else(|e| panic!("`{name}`: {e}")), name }
    }

    /// Names of the arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.zip.file_names().map(|n| n.strip_suffix(".npy").unwrap_or(n).to_owned()).collect();
        names.sort();
        names
    }

    pub fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(&format!("{name}.npy")).is_some()
    }

    /// An array of numbers.
    pub fn array<T: ReadableElement>(&mut self, name: &str) -> ArrayD<T> {
        let member =
            self.zip.by_name(&format!("{name}.npy")).unwrap_or_else(|e| panic!("`{}`: `{name}`: {e}", self.name));
        ArrayD::read_npy(member).unwrap_or_else(|e| panic!("`{}`: `{name}`: {e}", self.name))
    }

    /// A list of texts, `<U…`: each takes the same number of UTF-32 characters, filled up with zeros.
    pub fn texts(&mut self, name: &str) -> Vec<String> {
        let mut bytes = Vec::new();
        let mut member =
            self.zip.by_name(&format!("{name}.npy")).unwrap_or_else(|e| panic!("`{}`: `{name}`: {e}", self.name));
        member.read_to_end(&mut bytes).unwrap_or_else(|e| panic!("`{}`: `{name}`: {e}", self.name));
        parse_texts(&bytes).unwrap_or_else(|| panic!("`{}`: `{name}` is not a list of texts", self.name))
    }
}

/// The format: magic, version, length of the header, a Python dictionary, data (numpy.lib.format).
fn parse_texts(npy: &[u8]) -> Option<Vec<String>> {
    let rest = npy.strip_prefix(b"\x93NUMPY\x01\x00")?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (header, data) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    let header = std::str::from_utf8(header).ok()?;
    let characters: usize = header.split("'<U").nth(1)?.split('\'').next()?.parse().ok()?;
    let text = |cell: &[u8]| {
        let codes = cell.as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(*c));
        codes.take_while(|c| *c != 0).map(char::from_u32).collect::<Option<String>>()
    };
    data.chunks_exact(characters * 4).map(text).collect()
}
