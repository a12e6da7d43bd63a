//! What an earlier run has left in a `--jsonl` file, so that `--resume` goes on where it stopped.
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;

/// An earlier run's file.
#[derive(Debug, Default)]
pub struct Earlier {
    /// Names of the pictures that are classified.
    pub done: HashSet<String>,
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
    /// Reads `path` line by line and copies to `kept` the lines worth keeping: failures are tried again, and a last line that was cut
    /// short is dropped. A file that is not there is an empty one.
    ///
    /// # Errors
    /// When a line other than the last is no record of `predict`: the file is something else.
    pub fn read(path: &Path, kept: &mut dyn Write) -> Result<Self> {
        let unreadable = || format!("`{}`: cannot be read to resume from", path.display());
        let mut file = match File::open(path) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(unreadable),
        };
        let mut earlier = Self::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            file.read_until(b'\n', &mut line).with_context(unreadable)?;
            if !line.ends_with(b"\n") {
                break; // the end, or the run was killed while it wrote this line
            }
            let is_kept = earlier.take(&line).with_context(|| format!("`{}`, line {number}", path.display()))?;
            if is_kept {
                kept.write_all(&line)?;
            }
        }
        Ok(earlier)
    }

    /// Takes note of a line; whether it is an answer.
    fn take(&mut self, line: &[u8]) -> Result<bool> {
        let record: Record = serde_json::from_slice(line)
            .context("not a record of `dermai predict --jsonl`; nothing was changed, write to another file")?;
        if record.schema != super::json::SCHEMA {
            bail!("schema `{}`, expected `{}`", record.schema, super::json::SCHEMA);
        }
        if record.error.is_some() {
            return Ok(false);
        }
        let by = record.model.map(|who| (who.sha256, who.card_sha256));
        if self.answered_by.is_some() && self.answered_by != by {
            bail!("answered by another model than the lines before");
        }
        self.answered_by = by;
        self.done.extend(record.image["name"].as_str().map(str::to_owned));
        Ok(true)
    }

    /// An error when the earlier answers came from another model or card than the ones that answer now.
    pub fn check(&self, sha256: &str, card_sha256: Option<&str>) -> Result<()> {
        let Some((model, card)) = &self.answered_by else { return Ok(()) };
        let told = |hash: Option<&str>| hash.map_or_else(|| "none".to_owned(), |hash| format!("`{hash}`"));
        let card = card.as_deref();
        if model != sha256 {
            bail!("its lines were answered by model `{model}`, this run's is `{sha256}`; write to another file");
        }
        if card != card_sha256 {
            bail!(
                "its lines were answered with card {}, this run's is {}; write to another file",
                told(card),
                told(card_sha256)
            );
        }
        Ok(())
    }
}
