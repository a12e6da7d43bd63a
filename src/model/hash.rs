//! Hashes of a model's files, and whether they are the ones that its card names.
use crate::input::{FileReader, sha256_of};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open file, and its hash by the card.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Where the card says it.
    pub field: &'static str,
    /// Where the file lies.
    pub path: PathBuf,
    /// The file: what is hashed is what was found, whatever stands at its path by then.
    pub file: Arc<File>,
    /// SHA-256 in hexadecimal; none: the card does not say.
    pub sha256: Option<String>,
}

impl Claim {
    /// Reads the whole file, unless the card says no hash.
    ///
    /// # Errors
    /// When its hash is another: it was changed, or the card belongs to another model.
    pub fn verify(&self) -> Result<()> {
        if self.sha256.is_none() {
            return Ok(());
        }
        self.check(&hash_of(&self.file, &self.path)?)
    }

    /// The same where the file's hash is known.
    pub fn check(&self, found: &str) -> Result<()> {
        if let Some(sha256) = self.sha256.as_ref().filter(|sha256| !sha256.eq_ignore_ascii_case(found)) {
            bail!(
                "`{}`: the card says `{sha256}`, `{}` has `{found}`; the model was changed or the card belongs to another one",
                self.field,
                self.path.display()
            );
        }
        Ok(())
    }
}

/// The hash of an open file, which lies at `path`.
pub fn hash_of(file: &Arc<File>, path: &Path) -> Result<String> {
    let hash = sha256_of(&mut FileReader::new(Arc::clone(file)));
    hash.with_context(|| format!("`{}`: the model cannot be read", path.display()))
}
