//! What is checked.
use super::Budget;
use super::pipeline::Work;
use crate::deploy::{Finding, WebService};
use crate::model::Prepared;
use crate::quantize::Pictures;
use crate::units::Bytes;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What is checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What each child does; its threads and requests are those of the run under the budget.
    pub work: Work,
    /// The model's name.
    pub model: String,
    /// What the pictures are called.
    pub pictures: Vec<String>,
    /// What may be used.
    pub budget: Budget,
    /// The blueprint's service, where the budget comes from one.
    pub service: Option<WebService>,
    /// What the lint found in the blueprint.
    pub findings: Vec<Finding>,
    /// How often the first pass is measured; the highest counts.
    pub runs: usize,
    /// Whether the smallest limit is looked for.
    pub floor: bool,
    /// Whether options are measured instead of estimated.
    pub measure_options: bool,
    /// What smaller forms of the model are made of; none: it is one.
    pub forms: Option<Forms>,
}

/// What forms are made of.
#[derive(Clone, Debug)]
pub struct Forms {
    /// The model, as `--model` takes it.
    pub model: PathBuf,
    /// As the user named it; none: it is the default one.
    pub named: Option<PathBuf>,
    /// Bytes of its graph and weights.
    pub bytes: Bytes,
    /// What `int8` and `int8-weights` are calibrated with; none: the one stays an estimate, the other does without.
    pub calibration: Option<Pictures>,
    /// Labelled pictures that show what accuracy a form costs; none: that is not known.
    pub evaluation: Option<Pictures>,
}

impl Forms {
    /// Of a model that is named so; none of a bundle, of which nothing can be made.
    ///
    /// # Errors
    /// When its files cannot be looked at.
    pub fn of(model: &Prepared, named: Option<&Path>) -> Result<Option<Self>> {
        if model.is_form() {
            return Ok(None);
        }
        let size = |path: &PathBuf| Ok(fs::metadata(path).with_context(|| format!("`{}`", path.display()))?.len());
        Ok(Some(Self {
            model: model.place().to_owned(),
            named: named.map(Path::to_owned),
            bytes: Bytes(model.weight_files()?.iter().map(size).sum::<Result<u64>>()?),
            calibration: None,
            evaluation: None,
        }))
    }
}
