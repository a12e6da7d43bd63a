//! A look at a TIFF's first directory before the `tiff` crate reads it (TIFF 6.0, section 2; `BigTIFF`).
//!
//! `tiff` 0.11 reads the directory with limits of its own, which cannot be set before: it makes room for as many values as a tag announces,
//! 256 MB for a file of a hundred bytes.
use super::{Reader, own_words};
use crate::input::limits::Limits;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Seek, SeekFrom};

/// Tags that the crate reads: whatever else a directory names, such as an ICC profile, may be long.
const READ: [u16; 21] =
    [256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 347, 530];
/// What the crate holds for a value, however small: its own enumeration, and a plain list made of it.
const PER_VALUE: u64 = 48;

/// Checks that the values of the first directory lie in the file and are not more than `limits` allow, and rewinds.
pub fn check(reader: &mut Reader, limits: &Limits) -> Result<()> {
    let length = reader.seek(SeekFrom::End(0)).context("cannot be read")?;
    reader.rewind().context("cannot be read")?;
    let mut fields = Fields { reader, big_endian: false };
    let values = fields.values(length).map_err(own_words)?;
    limits.check_decode(values.announced.saturating_mul(PER_VALUE), "a TIFF of so many strips or tiles")?;
    ensure!(!values.outside, "it is cut short");
    reader.rewind().context("cannot be read")
}

/// What a directory announces.
struct Values {
    announced: u64,
    /// Whether some of them would lie behind the file's end.
    outside: bool,
}

/// Numbers in the file's byte order.
struct Fields<'r> {
    reader: &'r mut Reader,
    big_endian: bool,
}

impl Fields<'_> {
    fn values(&mut self, length: u64) -> std::io::Result<Values> {
        let mut order = [0; 2];
        self.reader.read_exact(&mut order)?;
        self.big_endian = order == *b"MM";
        // BigTIFF counts and points with 8 bytes, and says so once more behind its mark.
        let word = if self.number(2)? == 43 { 8 } else { 4 };
        if word == 8 {
            self.number(4)?;
        }
        let directory = self.number(word)?;
        self.reader.seek(SeekFrom::Start(directory))?;
        let entries = self.number(if word == 8 { 8 } else { 2 })?;
        let mut values = Values { announced: 0, outside: false };
        for _ in 0..entries {
            let (tag, kind) = (self.number(2)?, self.number(2)?);
            let (count, place) = (self.number(word)?, self.number(word)?);
            if READ.iter().any(|read| u64::from(*read) == tag) {
                let bytes = count.saturating_mul(size_of_type(kind));
                values.announced = values.announced.saturating_add(count);
                // What fits stands in the entry itself.
                values.outside |= bytes > word as u64 && place.saturating_add(bytes) > length;
            }
        }
        Ok(values)
    }

    /// An unsigned number of `bytes` bytes.
    fn number(&mut self, bytes: usize) -> std::io::Result<u64> {
        let mut buffer = [0; 8];
        let read = &mut buffer[..bytes];
        self.reader.read_exact(read)?;
        if self.big_endian {
            read.reverse();
        }
        Ok(u64::from_le_bytes(buffer))
    }
}

/// Bytes of a value; types that are not known count as bytes.
fn size_of_type(kind: u64) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}
