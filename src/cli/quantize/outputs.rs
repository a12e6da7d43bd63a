//! Where `quantize`'s report goes: files are opened before the long work, and appear whole or not at all.
use super::Args;
use crate::cli::claims::{Claims, PICTURES, by_ending, identity};
use crate::cli::output::Target;
use crate::cli::unless_closed;
use crate::input::Source;
use crate::quantize::{Made, Pictures};
use crate::report::quantize::{write_json, write_markdown, write_plot, write_table};
use crate::report::{Picture, columns};
use anyhow::{Result, ensure};
use std::io;
use std::path::Path;

/// The open places.
pub struct Outputs {
    markdown: Option<Target>,
    plot: Option<(Picture, Target)>,
    is_json: bool,
}

impl Outputs {
    /// Opens them all, so that a place that cannot be written is told at once; `sets` are pictures that are read, each with its flag.
    pub fn open(args: &Args, sets: [(&'static str, Option<&Pictures>); 2]) -> Result<Self> {
        let mut claims = Claims::default();
        for (flag, set) in sets {
            for entry in set.into_iter().flat_map(Pictures::entries) {
                if let Source::Path(path) = &entry.source {
                    claims.hold(flag, path);
                }
            }
        }
        let mut claim = |flag, path: &Path| {
            // The folder is replaced before the report is written.
            ensure!(
                !identity(path).starts_with(identity(&args.output)),
                "`--{flag} {}` lies in the bundle's folder, which is replaced: choose another place",
                path.display()
            );
            claims.claim(flag, path)
        };
        let markdown = args.markdown.as_deref().map(|path| {
            claim("markdown", path)?;
            Target::append(path)
        });
        let plot = args.plot.as_deref().map(|path| {
            let picture = by_ending("plot", path, &PICTURES)?;
            claim("plot", path)?;
            anyhow::Ok((picture, Target::create(Some(path), false)?))
        });
        Ok(Self { markdown: markdown.transpose()?, plot: plot.transpose()?, is_json: args.json })
    }

    /// Writes the report to each. Standard output comes last: where nobody reads it the files are written all the same.
    pub fn write(self, made: &Made) -> Result<()> {
        if let Some(mut target) = self.markdown {
            write_markdown(&mut target, made)?;
            target.keep()?;
        }
        if let Some((picture, mut target)) = self.plot {
            write_plot(&mut target, made, picture)?;
            target.keep()?;
        }
        let mut out = io::stdout().lock();
        let written = if self.is_json { write_json(&mut out, made) } else { write_table(&mut out, made, columns()) };
        unless_closed(written)
    }
}
