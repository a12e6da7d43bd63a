//! Files that flags name: none is named twice, and each ends as what is written to it.
use super::common::ends_in;
use crate::report::Picture;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Endings of pictures.
pub const PICTURES: [(&str, Picture); 2] = [("svg", Picture::Svg), ("png", Picture::Png)];

/// Files that are taken, each with the flag that named it.
#[derive(Debug, Default)]
pub struct Claims {
    files: Vec<(&'static str, PathBuf)>,
}

impl Claims {
    /// Takes a file that is only read; it may be named more than once.
    pub fn hold(&mut self, flag: &'static str, path: &Path) {
        self.files.push((flag, identity(path)));
    }

    /// Takes a file that is written; refuses one that is taken.
    pub fn claim(&mut self, flag: &'static str, path: &Path) -> Result<()> {
        let file = identity(path);
        if let Some((other, _)) = self.files.iter().find(|(_, taken)| *taken == file) {
            bail!("`--{other}` and `--{flag}` both name `{}`: choose another file for one", path.display());
        }
        self.files.push((flag, file));
        Ok(())
    }
}

/// The format that a file's ending asks for. Another ending is a slip, such as a photo that would be lost.
pub fn by_ending<F: Copy>(flag: &str, path: &Path, formats: &[(&str, F)]) -> Result<F> {
    let Some((_, format)) = formats.iter().find(|(ending, _)| ends_in(path, ending)) else {
        let endings: Vec<_> = formats.iter().map(|(ending, _)| format!("`.{ending}`")).collect();
        bail!("`--{flag} {}`: the file has to end in {}", path.display(), endings.join(" or "));
    };
    Ok(*format)
}

/// One name for a file, whether it is there yet or not.
pub fn identity(path: &Path) -> PathBuf {
    let in_folder = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
}
