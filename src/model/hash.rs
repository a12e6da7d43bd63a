//! Hashes of a model's files, and whether they are the ones that its card names.
use super::card::Card;
use crate::input::sha256_of;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file's hash by the card.
pub struct Claim {
    field: &'static str,
    path: PathBuf,
    sha256: String,
}

impl Claim {
    /// What `card` says about the files of the model in `graph`, if anything.
    pub fn of(card: &Card, graph: &Path) -> Option<Self> {
        let (field, path, sha256) = match (&card.bundle, &card.model) {
            // A bundle's graphs are small and many; what can go wrong is the weights.
            (Some(bundle), _) => {
                ("bundle.weights.sha256", graph.with_file_name(&bundle.weights.file), &bundle.weights.sha256)
            }
            (None, Some(model)) => ("model.sha256", graph.to_owned(), &model.sha256),
            (None, None) => return None,
        };
        Some(Self { field, path, sha256: sha256.clone()? })
    }
}

/// The hash of `graph`.
///
/// # Errors
/// When `claim` is not what its file has: the model was changed, or the card belongs to another one.
pub fn verified(graph: &Path, claim: Option<&Claim>) -> Result<String> {
    let sha256 = hash_of(graph)?;
    if let Some(claim) = claim {
        let found = if claim.path == graph { sha256.clone() } else { hash_of(&claim.path)? };
        if !claim.sha256.eq_ignore_ascii_case(&found) {
            bail!(
                "`{}`: the card says `{}`, `{}` has `{found}`; the model was changed or the card belongs to another one",
                claim.field,
                claim.sha256,
                claim.path.display()
            );
        }
    }
    Ok(sha256)
}

fn hash_of(path: &Path) -> Result<String> {
    let read = || sha256_of(&mut File::open(path)?);
    read().with_context(|| format!("`{}`: the model cannot be read", path.display()))
}
