//! The pictures that are measured: named ones, or drawn ones.
use crate::input::{Source, expand, write_drawn_photo};
use crate::memcheck;
use crate::units::Size;
use anyhow::{Context, Result, anyhow, bail};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Pictures to be read; drawn ones go with their folder.
pub struct Pictures {
    /// Where they lie, in the order in which requests take them.
    pub paths: Vec<PathBuf>,
    /// What the report calls them.
    pub names: Vec<String>,
    _drawn: Option<TempDir>,
}

impl Pictures {
    /// A phone's photo and a small one: most requests are the small one.
    const DRAWN: [(&str, Size); 2] =
        [("photo.jpg", Size { width: 4000, height: 3000 }), ("small.jpg", Size { width: 640, height: 480 })];
    /// Small pictures for each large one.
    const SMALL: usize = 9;

    /// For a command that is sent none.
    pub fn none() -> Self {
        Self { paths: Vec::new(), names: Vec::new(), _drawn: None }
    }

    /// Those that were named, else drawn ones below the folder of `place`, the temporary folder if there is none.
    pub fn of(named: &[PathBuf], place: Option<&Path>) -> Result<Self> {
        if !named.is_empty() {
            let mut paths = Vec::new();
            for source in expand(named)? {
                match source {
                    Source::Path(path) => {
                        paths
                            .push(path.canonicalize().with_context(|| format!("`{}` cannot be read", path.display()))?);
                    }
                    Source::Stdin => bail!("`--image -`: a picture is read many times; name a file"),
                }
            }
            let names = paths.iter().map(|path| path.display().to_string()).collect();
            return Ok(Self { paths, names, _drawn: None });
        }
        let place = place.and_then(Path::parent).map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = memcheck::own_folder(&place).map_err(|error| {
            // The cause would name the folder again.
            let cause = error.root_cause().downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
            let place = place.display();
            anyhow!("pictures cannot be drawn below `{place}`: {cause}; name some with `--image`, or set `TMPDIR`")
        })?;
        let mut drawn = Vec::new();
        for (name, size) in Self::DRAWN {
            let path = folder.path().join(name);
            let named = || format!("`{}` cannot be written", path.display());
            let mut out = BufWriter::new(File::create(&path).with_context(named)?);
            write_drawn_photo(&mut out, size)?;
            out.flush().with_context(named)?;
            drawn.push(path);
        }
        let small = drawn.pop().context("two photos are drawn")?;
        drawn.extend(std::iter::repeat_n(small, Self::SMALL));
        let names = Self::DRAWN.iter().map(|(_, size)| format!("drawn-{size}.jpg")).collect();
        Ok(Self { paths: drawn, names, _drawn: Some(folder) })
    }
}
