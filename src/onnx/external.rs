//! A tensor's bytes, wherever they lie: in the graph's file, or in one beside it (onnx/docs/ExternalData.md).
use super::proto::TensorProto;
use anyhow::{Context, Result, ensure};
use memmap2::Mmap;
use prost::bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

/// The files beside a graph, each mapped once.
#[derive(Debug)]
pub struct External {
    folder: PathBuf,
    maps: HashMap<String, Bytes>,
}

impl External {
    /// Of a graph that lies in `folder`.
    pub fn beside(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), maps: HashMap::new() }
    }

    /// The tensor's values, little-endian, without a copy.
    ///
    /// # Errors
    /// When they lie outside the folder, the file is missing, or shorter than the graph says; and for a tensor that keeps its values in
    /// integer fields, as only small constants do.
    pub fn bytes(&mut self, tensor: &TensorProto) -> Result<Bytes> {
        let named = || format!("weight `{}`", tensor.name);
        if tensor.data_location == 0 {
            let inside = if tensor.raw_data.is_empty() { &tensor.float_data } else { &tensor.raw_data };
            let is_elsewhere = !tensor.int32_data.is_empty() || !tensor.int64_data.is_empty();
            ensure!(!inside.is_empty() || !is_elsewhere, "weight `{}` keeps its values in integer fields", tensor.name);
            return Ok(inside.clone());
        }
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &*entry.value);
        let location = entry("location").with_context(named).context("it says no `location` of its data")?;
        let number = |key: &str| entry(key).map(str::parse::<usize>).transpose().with_context(named);
        let map = self.map(location).with_context(named)?;
        let offset = number("offset")?.unwrap_or_default();
        let length = number("length")?.unwrap_or_else(|| map.len().saturating_sub(offset));
        let end = offset.checked_add(length).filter(|&end| end <= map.len());
        let end = end.with_context(|| {
            format!(
                "weight `{}` lies at {offset} to {offset} + {length} of `{location}`, which has {} bytes: the file is cut short, or belongs to another model",
                tensor.name,
                map.len()
            )
        })?;
        Ok(map.slice(offset..end))
    }

    fn map(&mut self, location: &str) -> Result<Bytes> {
        if let Some(map) = self.maps.get(location) {
            return Ok(map.clone());
        }
        let is_below =
            Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        ensure!(is_below, "`{location}` lies outside the model's folder, where nothing is read");
        let path = self.folder.join(location);
        let named =
            || format!("`{}`: the model's external data cannot be read; it belongs beside the .onnx", path.display());
        let file = File::open(&path).with_context(named)?;
        let map = if file.metadata().with_context(named)?.len() == 0 {
            Bytes::new()
        } else {
            // SAFETY: as for a model file (`ModelFile::open`).
            Bytes::from_owner(unsafe { Mmap::map(&file) }.with_context(named)?)
        };
        self.maps.insert(location.to_owned(), map.clone());
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::StringStringEntryProto;

    fn outside(entries: &[(&str, &str)]) -> TensorProto {
        let entry = |&(key, value): &(&str, &str)| StringStringEntryProto { key: key.into(), value: value.into() };
        TensorProto {
            name: "w".into(),
            data_location: 1,
            external_data: entries.iter().map(entry).collect(),
            ..TensorProto::default()
        }
    }

    #[test]
    fn values_are_found_inside_and_beside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w.bin"), [1, 2, 3, 4, 5, 6]).unwrap();
        let mut external = External::beside(folder.path());
        let inside = TensorProto { raw_data: Bytes::from_static(&[9]), ..TensorProto::default() };
        assert_eq!(external.bytes(&inside).unwrap(), [9][..]);
        let part = outside(&[("location", "w.bin"), ("offset", "2"), ("length", "3")]);
        assert_eq!(external.bytes(&part).unwrap(), [3, 4, 5][..]);
        assert_eq!(external.bytes(&outside(&[("location", "w.bin")])).unwrap().len(), 6);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w.bin"), [1, 2, 3]).unwrap();
        let mut external = External::beside(folder.path());
        for (entries, expected) in [
            (&[("location", "gone.bin")][..], "gone.bin"),
            (&[("location", "../w.bin")], "outside the model's folder"),
            (&[("location", "/etc/passwd")], "outside the model's folder"),
            (&[("location", "w.bin"), ("offset", "2"), ("length", "2")], "has 3 bytes"),
            (&[("location", "w.bin"), ("offset", "2"), ("length", "18446744073709551615")], "has 3 bytes"),
            (&[("location", "w.bin"), ("offset", "x")], "invalid digit"),
            (&[("offset", "1")], "no `location`"),
        ] {
            let error = format!("{:#}", external.bytes(&outside(entries)).unwrap_err());
            assert!(error.contains(expected) && error.contains("`w`"), "{error}");
        }
    }
}
