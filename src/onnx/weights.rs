//! Weights of several graphs in one file, which the runtime maps: large ones begin on a page, and equal ones lie there once.
use super::proto::{StringStringEntryProto, TensorProto};
use crate::text::hex;
use crate::units;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Write;

/// Where weights begin: pages of 4 KB, and what an accelerator wants at most.
const PAGE: u64 = 4096;
/// Smaller tensors than [`WIDE`] begin on a line of the cache: with 2 KB lost before each, a small model would take a tenth more.
const LINE: u64 = 64;
/// Tensors from this size on begin on a page.
const WIDE: usize = 256 << 10;
/// Smaller tensors stay in a skeleton, where shape inference reads them, and keep their type.
pub const SMALLEST: usize = 4096;

/// Writes a file of weights.
#[derive(Debug)]
pub struct WeightsWriter<W> {
    out: W,
    /// The file's name, which graphs beside it call it by.
    location: String,
    length: u64,
    whole: Sha256,
    /// Where the tensors with a hash lie.
    known: HashMap<[u8; 32], u64>,
}

/// A file of weights that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenWeights {
    /// Its length.
    pub bytes: units::Bytes,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl<W: Write> WeightsWriter<W> {
    /// Writes to `out`, a file called `location`.
    pub fn new(out: W, location: &str) -> Self {
        Self { out, location: location.to_owned(), length: 0, whole: Sha256::new(), known: HashMap::new() }
    }

    /// Puts a tensor's values, little-endian, into the file, unless equal ones are there already. Gives the tensor that a graph holds in their
    /// place; `tensor` says name, type and shape.
    pub fn put(&mut self, tensor: &TensorProto, values: &[u8]) -> Result<TensorProto> {
        let hash = hash_of(values);
        let offset = if let Some(&offset) = self.known.get(&hash) {
            offset
        } else {
            let offset = self.append(values)?;
            self.known.insert(hash, offset);
            offset
        };
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
        Ok(TensorProto {
            name: tensor.name.clone(),
            dims: tensor.dims.clone(),
            data_type: tensor.data_type,
            data_location: 1,
            external_data: vec![
                entry("location", self.location.clone()),
                entry("offset", offset.to_string()),
                entry("length", values.len().to_string()),
            ],
            ..TensorProto::default()
        })
    }

    /// Whether equal values are in the file.
    pub fn holds(&self, values: &[u8]) -> bool {
        self.known.contains_key(&hash_of(values))
    }

    fn append(&mut self, values: &[u8]) -> Result<u64> {
        let offset = self.length.next_multiple_of(if values.len() < WIDE { LINE } else { PAGE });
        self.write(&vec![0; (offset - self.length) as usize])?;
        self.write(values)?;
        Ok(offset)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).with_context(|| format!("`{}` cannot be written", self.location))?;
        self.whole.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<WrittenWeights> {
        // A file without a byte cannot be mapped.
        if self.length == 0 {
            self.write(&[0; PAGE as usize])?;
        }
        self.out.flush().with_context(|| format!("`{}` cannot be written", self.location))?;
        Ok(WrittenWeights { bytes: units::Bytes(self.length), sha256: hex(&self.whole.finalize()) })
    }
}

fn hash_of(values: &[u8]) -> [u8; 32] {
    Sha256::digest(values).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_begins_on_a_page_or_a_line_and_equal_ones_lie_there_once() {
        let mut file = Vec::new();
        let mut writer = WeightsWriter::new(&mut file, "weights.bin");
        let tensor = |name: &str| TensorProto { name: name.into(), dims: vec![5], data_type: 2, ..Default::default() };
        let put = |writer: &mut WeightsWriter<_>, name: &str, values: &[u8]| {
            let put = writer.put(&tensor(name), values).unwrap();
            assert_eq!(
                (put.name.as_str(), put.dims.as_slice(), put.data_type, put.data_location),
                (name, &[5][..], 2, 1)
            );
            put.external_data.into_iter().map(|entry| entry.value).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(put(&mut writer, "a", &[1; 5]), "weights.bin 0 5");
        assert_eq!(put(&mut writer, "b", &[2; 5]), "weights.bin 64 5");
        assert_eq!(put(&mut writer, "c", &[1; 5]), "weights.bin 0 5");
        assert_eq!(put(&mut writer, "d", &vec![3; WIDE]), "weights.bin 4096 262144");
        assert!(writer.holds(&[2; 5]) && !writer.holds(&[2; 4]));
        let written = writer.finish().unwrap();
        assert_eq!((written.bytes, file.len(), file[4096]), (units::Bytes(266_240), 266_240, 3));
        assert_eq!(written.sha256, crate::input::sha256_of(&mut std::io::Cursor::new(&file)).unwrap());
    }

    #[test]
    fn a_file_without_weights_can_be_mapped() {
        let mut file = Vec::new();
        WeightsWriter::new(&mut file, "weights.bin").finish().unwrap();
        assert_eq!(file.len(), 4096);
    }
}
