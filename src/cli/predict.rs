//! `dermai predict`: images to ranked classes.
use super::ExitStatus;
use super::output::Target;
use crate::input::{Limits, expand};
use crate::memory::granted;
use crate::model::{Prepared, SessionOptions};
use crate::predict::{Answer, Failure, Options, Run, Sink, run as classify};
use crate::report::resume::Earlier;
use crate::report::{Format, Language, Terminal, View};
use crate::units::{Bytes, Progress};
use anyhow::{Context, Result, bail, ensure};
use clap::{ArgGroup, ValueEnum, ValueHint};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Memory that is assumed where no cgroup says it: Render's smallest plans.
const USUAL_BUDGET: Bytes = Bytes::mb(512);

const EXAMPLES: &str = "\
Examples:
  dermai predict photo.jpg
  dermai predict photo.jpg --model models/mine --top 3 --lang vi
  dermai predict photos/ --csv results.csv
  dermai predict 'photos/**/*.png' --json | jq '.results[].predictions[0]'
  curl -s https://example.org/a.jpg | dermai predict -
  dermai predict photos/ --shard 2/8 --jsonl part2.jsonl --resume

One image gives its ranked classes, several give the best class of each. A bad image does not stop the rest: it is listed at the end, and the exit status is 2.
This is not a diagnosis tool.";

/// Classify images: files, folders, globs, or `-` for standard input.
// `--json` alone, `--json FILE` and neither are three cases, and clap spells them so.
#[allow(clippy::option_option)]
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("format").args(["json", "jsonl", "csv"])))]
pub struct Args {
    /// Images, folders (searched below), quoted globs, or `-` for standard input.
    #[arg(value_name = "FILE|DIR|GLOB|-", value_hint = ValueHint::AnyPath)]
    inputs: Vec<PathBuf>,
    /// An .onnx file, a folder with a `model.yaml`, or a name below `models/`; the default model if left out.
    #[arg(short, long, value_name = "MODEL", env = "DERMAI_MODEL", value_hint = ValueHint::AnyPath)]
    model: Option<PathBuf>,
    /// Classes shown for each image; 0 shows all.
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Below this probability (0 to 1) an answer is marked uncertain; the card's if left out.
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f64>,
    /// Language of the table; by the locale if left out.
    #[arg(long, value_name = "LANG")]
    lang: Option<Lang>,
    /// JSON, to standard output or to FILE (which ends in `.json`).
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// One JSON object a line, written as results come, to standard output or to FILE (which ends in `.jsonl`).
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    jsonl: Option<Option<PathBuf>>,
    /// CSV, to standard output or to FILE (which ends in `.csv`).
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    csv: Option<Option<PathBuf>>,
    /// Go on where an earlier `--jsonl FILE` stopped: images in it are left out, failed ones are tried again.
    #[arg(long, requires = "jsonl")]
    resume: bool,
    /// Only part I of N of the images (in sorted order, every N-th): one part for each job of an array.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
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

/// Part `index` (from 1) of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shard {
    index: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text
            .split_once('/')
            .and_then(|(index, of)| Some(Self { index: index.parse().ok()?, of: of.parse().ok()? }));
        parts
            .filter(|s| (1..=s.of).contains(&s.index))
            .ok_or_else(|| format!("`{text}` is not a part: expected I/N with I from 1 to N, such as `2/8`"))
    }
}

fn probability(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|p| (0.0..=1.0).contains(p))
        .ok_or_else(|| "expected a number from 0 to 1, such as `0.5`".to_owned())
}

/// Runs the command.
pub fn run(mut args: Args, quiet: bool) -> Result<ExitStatus> {
    let (format, file) = args.take_format();
    ensure!(
        !args.inputs.is_empty(),
        "no image is named: give files, folders, globs, or `-` for standard input; `dermai predict --help` shows examples"
    );
    let mut sources = expand(&args.inputs)?;
    if let Some(shard) = args.shard {
        sources = sources.into_iter().skip(shard.index - 1).step_by(shard.of).collect();
    }
    let prepared = Prepared::find(args.model.as_deref())?;
    if !quiet {
        prepared.warnings.iter().try_for_each(|warning| say(&format!("warning: {warning}")))?;
    }
    let (mut target, earlier) = open_target(&args, file.as_deref())?;
    sources.retain(|source| !earlier.done.contains(&source.name()));
    let grant = granted(Path::new("/"));
    let options = Options {
        top: Some(args.top).filter(|&top| top > 0),
        threshold: args.threshold,
        limits: args.limits(grant.memory.unwrap_or(USUAL_BUDGET)),
        session: SessionOptions {
            threads: args.threads.map_or_else(|| grant.threads(), usize::from),
            spinning: grant.cpus.is_none(),
        },
    };
    let mut view = Checked { view: View::new(format, args.language(), &mut target), earlier };
    let mut silent = ();
    let mut terminal = Terminal::default();
    let progress: &mut dyn Progress = if quiet || sources.len() < 2 { &mut silent } else { &mut terminal };
    let summary = classify(prepared, &sources, &options, &mut view, progress)?;
    let failures = view.view.finish(&summary.run)?;
    target.keep()?;
    tell(&failures, summary.answered)?;
    Ok(if failures.is_empty() { ExitStatus::Done } else { ExitStatus::Error })
}

/// A view that refuses to continue another model's file.
struct Checked<'o> {
    view: View<'o>,
    earlier: Earlier,
}

impl Sink for Checked<'_> {
    fn answer(&mut self, run: &Run, answer: Answer) -> Result<()> {
        if let Some(who) = &run.identity {
            self.earlier.check(&who.sha256, who.card_sha256.as_deref())?;
        }
        self.view.answer(run, answer)
    }

    fn failure(&mut self, run: &Run, failure: Failure) -> Result<()> {
        self.view.failure(run, failure)
    }
}

/// Lists what failed: alone as the command's error, among others at the end.
fn tell(failures: &[Failure], answered: usize) -> Result<()> {
    if let ([only], 0) = (failures, answered) {
        return say(&format!("error: `{}`: {}", only.image, only.error));
    }
    if !failures.is_empty() {
        say(&format!("error: {} of {} images failed:", failures.len(), failures.len() + answered))?;
    }
    failures.iter().try_for_each(|failure| say(&format!("  `{}`: {}", failure.image, failure.error)))
}

/// A line on standard error.
fn say(line: &str) -> Result<()> {
    writeln!(std::io::stderr(), "{line}").context("standard error cannot be written")
}

fn open_target(args: &Args, file: Option<&Path>) -> Result<(Target, Earlier)> {
    if !args.resume {
        return Ok((Target::create(file)?, Earlier::default()));
    }
    let Some(file) = file else { bail!("`--resume` needs the file to go on with: `--jsonl FILE --resume`") };
    let earlier = Earlier::read(file)?;
    Ok((Target::resume(file, &earlier.kept)?, earlier))
}

impl Args {
    /// The chosen format and its file. In `--json photo.jpg` the value is an image, not a file to be overwritten: a result file has the format's ending.
    fn take_format(&mut self) -> (Format, Option<PathBuf>) {
        let given = [
            (Format::Json, "json", self.json.take()),
            (Format::Jsonl, "jsonl", self.jsonl.take()),
            (Format::Csv, "csv", self.csv.take()),
        ];
        let Some((format, ending, file)) =
            given.into_iter().find_map(|(format, ending, value)| Some((format, ending, value?)))
        else {
            return (Format::Table, None);
        };
        match file {
            Some(file) if file.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending)) => (format, Some(file)),
            Some(image) => {
                self.inputs.insert(0, image);
                (format, None)
            }
            None => (format, None),
        }
    }

    fn limits(&self, budget: Bytes) -> Limits {
        let usual = Limits::within(budget);
        Limits {
            file: self.max_bytes.unwrap_or(usual.file),
            pixels: self.max_pixels.unwrap_or(usual.pixels),
            frames: self.max_frames.unwrap_or(usual.frames),
            decode: self.max_decode.unwrap_or(usual.decode),
            full_decode: usual.full_decode,
        }
    }

    fn language(&self) -> Language {
        match self.lang {
            Some(Lang::Vi) => Language::Vietnamese,
            None if sys_locale::get_locale().is_some_and(|locale| locale.starts_with("vi")) => Language::Vietnamese,
            Some(Lang::En) | None => Language::English,
        }
    }
}
