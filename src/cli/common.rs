//! What commands over images share: which images and model, language, threads and limits.
use crate::input::{Limits, Source, expand};
use crate::memory::{Grant, granted};
use crate::model::{Prepared, SessionOptions};
use crate::predict::Failure;
use crate::report::Language;
use crate::units::Bytes;
use anyhow::{Result, ensure};
use clap::{ValueEnum, ValueHint};
use std::path::{Path, PathBuf};

use super::output::Target;
use super::{ExitStatus, say};

/// Memory that is assumed where no cgroup says it: Render's smallest plans.
pub const USUAL_BUDGET: Bytes = Bytes::mb(512);

/// A probability that a user has typed.
pub fn probability(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|p| (0.0..=1.0).contains(p))
        .ok_or_else(|| "expected a number from 0 to 1, such as `0.5`".to_owned())
}

/// Images and model, and what they may cost.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Images, folders (searched below), quoted globs, or `-` for standard input.
    #[arg(value_name = "FILE|DIR|GLOB|-", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    /// An .onnx file, a folder with a `model.yaml`, or a name below `models/`; the default model if left out.
    #[arg(short, long, value_name = "MODEL", env = "DERMAI_MODEL", value_hint = ValueHint::AnyPath)]
    model: Option<PathBuf>,
    /// Language of the table; by the locale if left out.
    #[arg(long, value_name = "LANG")]
    lang: Option<Lang>,
    /// Threads for the network; by the CPU quota if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Refuse larger files [default: 256MB].
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    max_bytes: Option<Bytes>,
    /// Refuse images with more pixels, by their header [default: 100000000].
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_pixels: Option<u64>,
    /// Refuse animations and documents with more frames or pages; the first is used [default: 1000].
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_frames: Option<u32>,
    /// Memory for decoding what cannot be decoded by rows; a quarter of the memory limit if left out.
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    max_decode: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lang {
    En,
    Vi,
}

/// How the network runs, and what a picture may cost it.
pub struct Means {
    /// What a picture may cost.
    pub limits: Limits,
    /// How the network runs.
    pub session: SessionOptions,
}

impl Common {
    /// The images that were named; `command` is what an error's hint calls.
    pub fn sources(&self, command: &str) -> Result<Vec<Source>> {
        ensure!(
            !self.inputs.is_empty(),
            "no image is named: give files, folders, globs, or `-` for standard input; `dermai {command} --help` shows examples"
        );
        expand(&self.inputs)
    }

    /// What `--json FILE` and its like name: a file for results, or, in `--json photo.jpg`, an image, which is not to be overwritten. A result
    /// file has the format's ending.
    pub fn result_file(&mut self, ending: &str, named: Option<PathBuf>) -> Result<Option<PathBuf>> {
        let Some(file) = named else { return Ok(None) };
        if ends_in(&file, ending) {
            return Ok(Some(file));
        }
        // What stands here is a slip, unless `expand` can make an image of it.
        ensure!(
            file.as_os_str() == "-" || file.exists() || file.to_string_lossy().contains(['*', '?', '[']),
            "`--{ending} {0}`: `{0}` is no image that exists, and a result file has to end in `.{ending}`",
            file.display()
        );
        self.inputs.insert(0, file);
        Ok(None)
    }

    /// The model that was named, with its warnings said.
    pub fn prepared(&self, quiet: bool) -> Result<Prepared> {
        find_model(self.model.as_deref(), quiet)
    }

    /// Limits and threads, by the flags and by what the process is granted.
    pub fn means(&self) -> Means {
        let grant = granted(Path::new("/"));
        Means {
            limits: self.limits(&grant),
            session: SessionOptions {
                threads: self.threads.map_or_else(|| grant.threads(), usize::from),
                spinning: grant.cpus.is_none(),
            },
        }
    }

    fn limits(&self, grant: &Grant) -> Limits {
        let usual = Limits::within(grant.memory.unwrap_or(USUAL_BUDGET));
        Limits {
            file: self.max_bytes.unwrap_or(usual.file),
            pixels: self.max_pixels.unwrap_or(usual.pixels),
            frames: self.max_frames.unwrap_or(usual.frames),
            decode: self.max_decode.unwrap_or(usual.decode),
            full_decode: usual.full_decode,
        }
    }

    /// The language that was chosen, or the locale's.
    pub fn language(&self) -> Language {
        match self.lang {
            Some(Lang::Vi) => Language::Vietnamese,
            None if locale_is("vi") => Language::Vietnamese,
            Some(Lang::En) | None => Language::English,
        }
    }
}

/// Whether a file's name ends in `.ending`, in any case: what distinguishes a result file from an image.
pub fn ends_in(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// Whether the user's locale is of this language.
fn locale_is(language: &str) -> bool {
    // `LC_ALL=C` asks for plain output and overrules `LANGUAGE` (gettext manual, 2.3); `sys_locale` does not know that.
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let posix = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(set);
    let plain = posix.is_some_and(|locale| matches!(locale.split('.').next(), Some("C" | "POSIX")));
    !plain && sys_locale::get_locale().is_some_and(|locale| locale.split('-').next() == Some(language))
}

/// The model that was named, with its warnings said.
pub fn find_model(named: Option<&Path>, quiet: bool) -> Result<Prepared> {
    let prepared = Prepared::find(named)?;
    warn(&prepared.warnings, quiet);
    Ok(prepared)
}

/// Says warnings, unless nobody wants to hear them.
pub fn warn(warnings: &[String], quiet: bool) {
    if !quiet {
        for warning in warnings {
            say(&format!("warning: {warning}"));
        }
    }
}

/// Keeps the results and lists what failed.
pub fn end(target: Target, failures: &[Failure], answered: usize) -> Result<ExitStatus> {
    target.keep()?;
    tell(failures, answered);
    Ok(if failures.is_empty() { ExitStatus::Done } else { ExitStatus::Error })
}

/// Lists what failed: alone as the command's error, among others at the end.
fn tell(failures: &[Failure], answered: usize) {
    if let ([only], 0) = (failures, answered) {
        return say(&format!("error: `{}`: {}", only.image, only.error));
    }
    if !failures.is_empty() {
        say(&format!("error: {} of {} images failed:", failures.len(), failures.len() + answered));
    }
    for failure in failures {
        say(&format!("  `{}`: {}", failure.image, failure.error));
    }
}
