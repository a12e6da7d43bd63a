//! The network that every mode starts from: what the runtime can fold is folded, its operators are ONNX's own.
use crate::model::{Level, Prepared};
use anyhow::Result;
use std::path::Path;

/// Has the runtime fold what can be folded; the graph is written to `folder`, which has to stay. Whoever leads back through a layer finds its weights
/// as the layer takes them then, so that they are not stored twice.
///
/// # Errors
/// When the runtime refuses the model.
pub fn folded(model: &Prepared, folder: &Path) -> Result<Prepared> {
    let path = folder.join("float.onnx");
    model.optimise(None, Level::Basic, &path)?;
    model.clone().over(&path)
}
