//! `dermai predict`: images to ranked classes.
use super::ExitStatus;
use super::common::{Common, end, probability, warn};
use super::output::Target;
use crate::input::Source;
use crate::model::Prepared;
use crate::predict::{Options, run as classify};
use crate::report::resume::Earlier;
use crate::report::{Format, Terminal, View};
use crate::units::Progress;
use anyhow::{Context, Result, bail};
use clap::ArgGroup;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;

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
    #[command(flatten)]
    common: Common,
    /// Classes shown for each image; 0 shows all.
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Below this probability (0 to 1) an answer is marked uncertain; the card's if left out.
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f64>,
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

/// Runs the command.
pub fn run(mut args: Args, quiet: bool) -> Result<ExitStatus> {
    let (format, file) = args.take_format()?;
    let mut sources = args.common.sources("predict")?;
    if let Some(shard) = args.shard {
        sources = sources.into_iter().skip(shard.index - 1).step_by(shard.of).collect();
    }
    let prepared = args.common.prepared(quiet)?;
    let mut target = Target::create(file.as_deref(), format == Format::Jsonl)?;
    if args.resume {
        let earlier = resume(file.as_deref(), &prepared, &mut target)?;
        // Standard input is another image each time.
        sources.retain(|source| *source == Source::Stdin || !earlier.done.contains(&source.name()));
    }
    let means = args.common.means();
    let options = Options {
        top: Some(args.top).filter(|&top| top > 0),
        threshold: args.threshold,
        limits: means.limits,
        session: means.session,
    };
    let mut view = View::new(format, args.common.language(), &mut target);
    // Rows that come one by one on the terminal are progress enough, and a bar would be drawn between them.
    let rows = file.is_none() && matches!(format, Format::Jsonl | Format::Csv) && std::io::stdout().is_terminal();
    let mut silent = ();
    let mut terminal = Terminal::default();
    let progress: &mut dyn Progress = if quiet || rows || sources.len() < 2 { &mut silent } else { &mut terminal };
    let summary = classify(prepared, &sources, &options, &mut view, progress)?;
    let failures = view.finish(&summary.run)?;
    warn(&summary.run.warnings, quiet);
    end(target, &failures, summary.answered)
}

/// Copies what an earlier run has answered to `target`, unless another model answered it.
fn resume(file: Option<&Path>, prepared: &Prepared, target: &mut Target) -> Result<Earlier> {
    let Some(file) = file else { bail!("`--resume` needs the file to go on with: `--jsonl FILE --resume`") };
    let earlier = Earlier::read(file, target)?;
    if !earlier.done.is_empty() {
        let settled = prepared.clone().settled()?;
        let (model, card) = settled.hashes()?;
        earlier.check(&model, card).with_context(|| format!("`{}`", file.display()))?;
    }
    Ok(earlier)
}

impl Args {
    /// The chosen format and its file.
    fn take_format(&mut self) -> Result<(Format, Option<PathBuf>)> {
        let given = [
            (Format::Json, "json", self.json.take()),
            (Format::Jsonl, "jsonl", self.jsonl.take()),
            (Format::Csv, "csv", self.csv.take()),
        ];
        let Some((format, ending, file)) =
            given.into_iter().find_map(|(format, ending, value)| Some((format, ending, value?)))
        else {
            return Ok((Format::Table, None));
        };
        Ok((format, self.common.result_file(ending, file)?))
    }
}
