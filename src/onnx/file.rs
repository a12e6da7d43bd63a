//! A model file, mapped.
use super::facts::Facts;
use super::graph::Graph;
use super::proto::ModelProto;
use super::skeleton::skeleton;
use crate::units;
use anyhow::{Context, Result, ensure};
use memmap2::Mmap;
use prost::Message;
use prost::bytes::Bytes;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An ONNX file: its bytes are mapped, so only the pages that are looked at take memory.
#[derive(Clone, Debug)]
pub struct ModelFile {
    path: PathBuf,
    /// Where it really lies: the runtime refuses weights that it reaches through a link.
    real: PathBuf,
    file: Arc<File>,
    bytes: Bytes,
    facts: Facts,
}

impl ModelFile {
    /// Maps the file and reads its graph's interface.
    pub fn open(path: &Path) -> Result<Self> {
        let named = || format!("`{}`", path.display());
        let file = File::open(path).with_context(|| format!("`{}`: the model cannot be opened", path.display()))?;
        let facts = file.metadata().with_context(named)?;
        ensure!(
            facts.is_file(),
            "`{}` is not a regular file: name an .onnx file or a folder with a `model.yaml`",
            path.display()
        );
        ensure!(facts.len() > 0, "`{}` is empty", path.display());
        // SAFETY: the map is read-only and private. A file cut short by another process while it is mapped raises SIGBUS, as for every
        // program that maps a model (ONNX Runtime maps it too); models are replaced by renaming, never written in place.
        let bytes = Bytes::from_owner(unsafe { Mmap::map(&file) }.with_context(named)?);
        let model = ModelProto::decode(bytes.clone()).with_context(|| {
            format!(
                "`{}` is not an ONNX model, or is cut short; models/README.md says how to export one",
                path.display()
            )
        })?;
        let facts = Facts::of(model).with_context(|| format!("`{}` is not an ONNX model", path.display()))?;
        let real = path.canonicalize().with_context(named)?;
        Ok(Self { path: path.to_owned(), real, file: Arc::new(file), bytes, facts })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file: whatever takes its place on disk, it stays the one that is mapped.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Whether it still stands where it was found.
    pub fn stands(&self) -> bool {
        stands_at(&self.file, &self.real)
    }

    /// Its length.
    pub fn size(&self) -> units::Bytes {
        units::Bytes(self.bytes.len() as u64)
    }

    /// What its graph takes and gives.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The folder that [`ModelFile::skeleton`] has to be loaded with as the place of external data.
    pub fn folder(&self) -> &Path {
        self.real.parent().unwrap_or(Path::new("."))
    }

    /// Its graph, with weights as ranges of the mapped file.
    pub fn graph(&self) -> Result<Graph> {
        let model = ModelProto::decode(self.bytes.clone()).with_context(|| format!("`{}`", self.path.display()))?;
        Graph::of(model).with_context(|| format!("`{}`", self.path.display()))
    }

    /// The model without its weights, which stay ranges of the file's own name.
    pub fn skeleton(&self) -> Result<Vec<u8>> {
        let name = self.real.file_name().and_then(|name| name.to_str());
        let name =
            name.with_context(|| format!("`{}`: the file's name is not valid UTF-8; rename it", self.path.display()))?;
        skeleton(&self.bytes, name).with_context(|| format!("`{}`", self.path.display()))
    }
}

/// Whether `file`, or folder, is what `path` leads to now. Where the system gives files no numbers, it is as long as something is there.
///
/// While it is open no other file gets its number, so another one in its place is never taken for it.
pub fn stands_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    #[cfg(unix)]
    let is_same = {
        use std::os::unix::fs::MetadataExt;
        (open.dev(), open.ino()) == (there.dev(), there.ino())
    };
    #[cfg(not(unix))]
    let is_same = open.file_type() == there.file_type();
    is_same
}
