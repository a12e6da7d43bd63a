//! Where `memcheck`'s report goes: every file is opened before the long work, and appears whole or not at all.
use super::Args;
use crate::cli::output::Target;
use crate::deploy::PRICES_AS_OF;
use crate::memcheck::Checked;
use crate::report::memcheck::{Picture, write_json, write_junit, write_markdown, write_plot, write_table};
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
        let mut targets = Vec::new();
        let mut at_stdout = None;
        let either = [(Format::Json, "json", &args.json), (Format::Markdown, "markdown", &args.markdown)];
        for (format, flag, wanted) in either {
            match wanted {
                None => {}
                Some(Some(path)) => targets.push((format, Target::create(Some(path), false)?)),
                Some(None) => match at_stdout.replace(flag) {
                    Some(other) => {
                        bail!("`--{other}` and `--{flag}` cannot both go to standard output: name a file for one")
                    }
                    None => targets.push((format, Target::create(None, false)?)),
                },
            }
        }
        if let Some(path) = &args.junit {
            targets.push((Format::Junit, Target::create(Some(path), false)?));
        }
        if let Some(path) = &args.plot {
            targets.push((Format::Plot(picture(path)?), Target::create(Some(path), false)?));
        }
        if at_stdout.is_none() {
            targets.push((Format::Table, Target::create(None, false)?));
        }
        Ok(Self { targets })
    }

    /// Writes the report to each.
    pub fn write(self, checked: &Checked) -> Result<()> {
        for (format, mut target) in self.targets {
            let out: &mut dyn Write = &mut target;
            match format {
                Format::Table => write_table(out, checked, Some(PRICES_AS_OF))?,
                Format::Json => write_json(out, checked)?,
                Format::Markdown => write_markdown(out, checked, Some(PRICES_AS_OF))?,
                Format::Junit => write_junit(out, checked)?,
                Format::Plot(picture) => {
                    write_plot(out, checked, picture)?;
                }
            }
            target.keep()?;
        }
        Ok(())
    }
}

/// The kind of picture that a file's ending asks for.
fn picture(path: &Path) -> Result<Picture> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => Ok(Picture::Svg),
        Some("png") => Ok(Picture::Png),
        _ => bail!("`--plot {}`: the file has to end in `.svg` or `.png`", path.display()),
    }
}
