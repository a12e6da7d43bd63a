//! What an earlier run has left in a `--jsonl` file, so that `--resume` goes on where it stopped.
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// An earlier run's file.
#[derive(Debug, Default)]
pub struct Earlier {
    /// Names of the pictures that are classified.
    pub done: HashSet<String>,
    /// The lines worth keeping: failures are tried again, and a last line that was cut short is dropped.
    pub kept: String,
    /// Hashes of model and card that answered.
    answered_by: Option<(String, Option<String>)>,
}

#[derive(Deserialize)]
struct Record {
    schema: String,
    model: Option<Who>,
    image: serde_json::Value,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Who {
    sha256: String,
    card_sha256: Option<String>,
}

impl Earlier {
    /// Reads `path`; a file that is not there is an empty one.
    ///
    /// # Errors
    /// When a line other than the last is no record of `predict`: the file is something else, and is left alone.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(error).with_context(|| format!("`{}`: cannot be read to resume from", path.display()));
            }
        };
        let mut earlier = Self::default();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            if !line.ends_with('\n') {
                break; // the run was killed while it wrote this line
            }
            let place = || format!("`{}`, line {}", path.display(), at + 1);
            let record: Record = serde_json::from_str(line).with_context(|| {
                format!("{}: not a record of `dermai predict --jsonl`; nothing was changed", place())
            })?;
            if record.schema != super::json::SCHEMA {
                bail!("{}: schema `{}`, expected `{}`", place(), record.schema, super::json::SCHEMA);
            }
            if record.error.is_some() {
                continue;
            }
            let by = record.model.map(|who| (who.sha256, who.card_sha256));
            if earlier.answered_by.is_some() && earlier.answered_by != by {
                bail!("{}: answered by another model than the lines before", place());
            }
            earlier.answered_by = by;
            earlier.done.extend(record.image["name"].as_str().map(str::to_owned));
            earlier.kept.write_str(line)?;
        }
        Ok(earlier)
    }

    /// An error when the earlier answers came from another model or card than the ones that answer now.
    pub fn check(&self, sha256: &str, card_sha256: Option<&str>) -> Result<()> {
        match &self.answered_by {
            Some((model, card)) if model != sha256 || card.as_deref() != card_sha256 => {
                bail!(
                    "the earlier lines were answered by model `{model}`, this run's is `{sha256}` (or their cards differ); write to another file"
                )
            }
            _ => Ok(()),
        }
    }
}
