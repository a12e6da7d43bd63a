//! Where `memcheck`'s report goes: every file is opened before the long work, and appears whole or not at all.
use super::Args;
use crate::cli::claims::{Claims, PICTURES, by_ending};
use crate::cli::output::Target;
use crate::cli::unless_closed;
use crate::deploy::PRICES_AS_OF;
use crate::memcheck::Checked;
use crate::report::memcheck::{write_json, write_junit, write_markdown, write_plot, write_table};
use crate::report::{Picture, columns};
use anyhow::{Result, bail};
use std::io::Write;
use std::path::Path;

/// How the report is written to one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Table,
    Json,
    Markdown,
    Junit,
    Plot(Picture),
}

/// The open places.
pub struct Outputs {
    targets: Vec<(Format, Target)>,
}

impl Outputs {
    /// Opens them all; the table goes to standard output unless another format does.
    pub fn open(args: &Args) -> Result<Self> {
        let mut places = Places { claims: Claims::default(), targets: Vec::new() };
        // A plot must not take the place of a picture that is measured.
        args.images.iter().for_each(|image| places.claims.hold("image", image));
        if let Some(Some(path)) = &args.json {
            places.add("json", path, &[("json", Format::Json)])?;
        }
        if let Some(path) = &args.junit {
            places.add("junit", path, &[("xml", Format::Junit)])?;
        }
        if let Some(path) = &args.plot {
            places.add("plot", path, &PICTURES.map(|(ending, picture)| (ending, Format::Plot(picture))))?;
        }
        if let Some(Some(path)) = &args.markdown {
            places.claims.claim("markdown", path)?;
            places.targets.push((Format::Markdown, Target::append(path)?));
        }
        // Standard output comes last: where nobody reads it the files are written all the same.
        let format = match (&args.json, &args.markdown) {
            (Some(None), Some(None)) => {
                bail!("`--json` and `--markdown` cannot both go to standard output: name a file for one")
            }
            (Some(None), _) => Format::Json,
            (_, Some(None)) => Format::Markdown,
            _ => Format::Table,
        };
        places.targets.push((format, Target::create(None, false)?));
        Ok(Self { targets: places.targets })
    }

    /// Writes the report to each. One that cannot be written does not keep the others from it; the first error is told.
    pub fn write(self, checked: &Checked) -> Result<()> {
        let written: Vec<_> =
            self.targets.into_iter().map(|(format, target)| unless_closed(write(format, target, checked))).collect();
        written.into_iter().collect()
    }
}

fn write(format: Format, mut target: Target, checked: &Checked) -> Result<()> {
    let out: &mut dyn Write = &mut target;
    match format {
        Format::Table => write_table(out, checked, Some(PRICES_AS_OF), columns())?,
        Format::Json => write_json(out, checked)?,
        Format::Markdown => write_markdown(out, checked, Some(PRICES_AS_OF))?,
        Format::Junit => write_junit(out, checked)?,
        Format::Plot(picture) => {
            write_plot(out, checked, picture)?;
        }
    }
    target.keep()
}

/// What is claimed, and what is opened so far.
struct Places {
    claims: Claims,
    targets: Vec<(Format, Target)>,
}

impl Places {
    /// Opens a file in the format that its ending asks for.
    fn add(&mut self, flag: &'static str, path: &Path, formats: &[(&str, Format)]) -> Result<()> {
        let format = by_ending(flag, path, formats)?;
        self.claims.claim(flag, path)?;
        self.targets.push((format, Target::create(Some(path), false)?));
        Ok(())
    }
}
