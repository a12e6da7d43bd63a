//! From a model to a bundle at its place.
use super::Mode;
use super::forms::{self, WEIGHTS};
use super::publish::Draft;
use crate::model::{Bundle, Prepared, Weights};
use crate::units::{Bytes, Progress};
use crate::yaml::{self, Value};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// The card's name in a bundle.
const CARD: &str = "model.yaml";

/// What is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is done to the model.
    pub mode: Mode,
    /// Where the bundle is put.
    pub output: PathBuf,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The bundle's folder.
    pub output: PathBuf,
    /// What was done.
    pub mode: Mode,
    /// Name of the model.
    pub source: String,
    /// SHA-256 of the model that it was made from.
    pub source_sha256: String,
    /// Bytes of all files that the model had: graph and weights.
    pub before: Bytes,
    /// Bytes of all files of the bundle.
    pub after: Bytes,
    /// What should be known, one sentence each.
    pub warnings: Vec<String>,
}

/// Makes a bundle of a model.
///
/// # Errors
/// When the model is a bundle already, the runtime refuses it, or nothing can be written; what stood at the output path then stands there still.
pub fn make(model: &Prepared, config: &Config, progress: &mut dyn Progress) -> Result<Made> {
    ensure!(
        !model.is_form(),
        "`{}` is a bundle already: name the .onnx that it was made from",
        model.place().display()
    );
    let (source_sha256, _) = model.hashes()?;
    let draft = Draft::beside(&config.output)?;
    let written = forms::write(model, config.mode.storage(), draft.path(), progress)?;
    let bundle = Bundle {
        mode: config.mode.to_string(),
        source_sha256: Some(source_sha256.clone()),
        calibration_sha256: None,
        weights: Weights { file: WEIGHTS.into(), bytes: written.weights.bytes.0, sha256: Some(written.weights.sha256) },
        forms: written.graphs,
    };
    let card = draft.path().join(CARD);
    fs::write(&card, card_of(model, &bundle)?).with_context(|| format!("`{}` cannot be written", card.display()))?;
    let after = size_of(&files_in(draft.path())?)?;
    draft.publish()?;
    Ok(Made {
        output: config.output.clone(),
        mode: config.mode,
        source: model.card.name.clone(),
        source_sha256,
        before: size_of(&model.weight_files()?)?,
        after,
        warnings: written.warnings,
    })
}

/// The model's card, with the bundle in place of its file.
fn card_of(model: &Prepared, bundle: &Bundle) -> Result<String> {
    let mut card = yaml::parse(&model.card_text()?)?;
    let Value::Mapping(map) = &mut card else { anyhow::bail!("the card is no block") };
    map.remove("model");
    // A graph that explains gives more than the classes.
    let (_, output) = model.ports()?;
    if let Some(Value::Mapping(block)) = map.get_mut("output") {
        block.insert("name".into(), output.into());
    }
    map.insert("bundle".into(), yaml::value(bundle)?);
    yaml::write(&card)
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let named = || format!("`{}` cannot be read", folder.display());
    fs::read_dir(folder).with_context(named)?.map(|entry| Ok(entry.with_context(named)?.path())).collect()
}

fn size_of(files: &[PathBuf]) -> Result<Bytes> {
    let size = |path: &PathBuf| Ok(fs::metadata(path).with_context(|| format!("`{}`", path.display()))?.len());
    files.iter().map(size).sum::<Result<u64>>().map(Bytes)
}
