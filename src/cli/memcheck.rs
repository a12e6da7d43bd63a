//! `dermai memcheck`: whether a deployment fits its memory, before it is deployed.
use super::common::warn;
use super::{ExitStatus, say, unless_closed};
use crate::deploy::Severity;
use crate::input::Limits;
use crate::memcheck::{self, Band, Budget, Checked, Drive, Forms, Rig, command, pipeline};
use crate::memory::{Ladder, Mechanism, granted};
use crate::model::Prepared;
use crate::quantize;
use crate::report::Terminal;
use crate::report::memcheck as view;
use crate::units::{Bytes, Progress};
use anyhow::{Context, Result, bail, ensure};
use clap::{ArgGroup, ValueEnum, ValueHint};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

mod allowed;
mod flags;
mod outputs;
mod pictures;
mod starter;

use allowed::Allowed;
use outputs::Outputs;
use pictures::Pictures;
use starter::Starter;

const EXAMPLES: &str = "\
Examples:
  dermai memcheck                                     # render.yaml, or 512MB; the default model
  dermai memcheck --budget 96MB --model models/mine
  dermai memcheck --image photo.jpg --no-gradcam --requests 200
  dermai memcheck --floor --plot floor.svg            # the smallest limit that it survives
  dermai memcheck --json report.json --junit memcheck.xml --markdown \"$GITHUB_STEP_SUMMARY\"
  dermai memcheck --compare report.json               # exit status 1 when the peak has grown
  dermai memcheck --measure-options --calibrate photos/ --eval labels.csv    # each smaller form, made and measured
  dermai memcheck --budget 512MB -- python3 -u app.py --once
  dermai memcheck --http http://127.0.0.1:8000/predict --field image -- gunicorn app:app

Exit status: 0 it fits, 1 it does not (or a finding is an error, or `--fail-on` or `--compare` says no), 2 error. MB, MiB and M all mean 2^20 bytes.
The predicted peak is what the kernel would charge to a container of its own, page cache included, from a cold cache.";

/// Check whether a deployment fits its memory: the whole pipeline in a child under the budget, peak by peak.
// `--json` alone, `--json FILE` and neither are three cases, and clap spells them so.
#[allow(clippy::option_option, clippy::struct_excessive_bools)]
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_override_self = true, group(ArgGroup::new("whose").args(["budget", "blueprint"])))]
pub struct Args {
    /// An .onnx file, a folder with a `model.yaml`, or a name below `models/`; the default model if left out.
    #[arg(short, long, value_name = "MODEL", env = flags::MODEL_VARIABLE, value_hint = ValueHint::AnyPath)]
    model: Option<PathBuf>,
    /// Pictures that are read: files, folders or globs; if left out, drawn photos of 12 and 0.3 megapixels.
    #[arg(short, long = "image", value_name = "FILE|DIR|GLOB", value_hint = ValueHint::AnyPath)]
    images: Vec<PathBuf>,
    /// Answer only, without maps.
    #[arg(long)]
    no_gradcam: bool,
    /// The layer that is explained; the last feature map if left out.
    #[arg(long, value_name = "NAME", conflicts_with = "no_gradcam")]
    layer: Option<String>,
    /// Requests after the first pass, for what each leaves behind [default: 50].
    #[arg(short = 'n', long, value_name = "N")]
    requests: Option<u16>,
    /// Leave out the stage with two requests at once.
    #[arg(long)]
    one_at_a_time: bool,
    /// Leave out the server: only what `predict` and `gradcam` do is measured.
    #[arg(long)]
    no_serve: bool,
    /// How often the first pass is measured, after one run that only shows which files it maps; the highest counts. A command is run twice
    /// for that, a third time where it ran into the limit, and all that it does is done again; with `1` it is run once.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,
    /// Threads for the network; by the plan's CPU share if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// A program and its arguments, measured instead of our own pipeline, with everything that it starts. It is run more than once: see `--runs`.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Memory, such as `512MB`.
    #[arg(short, long, value_name = "SIZE", value_parser = budget, help_heading = "Budget")]
    budget: Option<Bytes>,
    /// Share of one processor, such as 0.1; the blueprint's plan says it if left out.
    #[arg(long, value_name = "SHARE", value_parser = share, help_heading = "Budget")]
    cpu: Option<f64>,
    /// A Render Blueprint; `render.yaml` if there is one and no budget is given. It is linted, too.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Budget")]
    blueprint: Option<PathBuf>,
    /// The blueprint's service whose plan is the budget: a web service, private service, background worker or cron job; needed where there are
    /// several.
    #[arg(long, value_name = "NAME", help_heading = "Budget")]
    service: Option<String>,
    /// How the budget is enforced; the strongest way that works here if left out.
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Budget")]
    enforce: Option<Enforce>,
    /// Exit status 1 from this band on: warning 70 %, danger 85 %, critical 95 % of the budget.
    #[arg(long, value_enum, value_name = "BAND", default_value_t = FailOn::Critical, help_heading = "Verdict")]
    fail_on: FailOn,
    /// Find the smallest limit that the pipeline survives, and its latency above it.
    #[arg(long, help_heading = "Verdict")]
    floor: bool,
    /// Measure the options instead of estimating them: the pipeline under each plan, and each form of `dermai quantize`, which is made for it.
    #[arg(long, help_heading = "Verdict")]
    measure_options: bool,
    /// Images to calibrate the forms `int8`, which is an estimate without, and `int8-weights` with: a folder, or a `labels.csv`.
    #[arg(long, value_name = "DIR|CSV", requires = "measure_options", value_hint = ValueHint::AnyPath, help_heading = "Verdict")]
    calibrate: Option<PathBuf>,
    /// Labelled images that show what accuracy each form costs: a `labels.csv` (`file,label`; labels are the card's ids), or a folder with one.
    #[arg(long, value_name = "DIR|CSV", requires = "measure_options", value_hint = ValueHint::AnyPath, help_heading = "Verdict")]
    eval: Option<PathBuf>,
    /// Compare with an earlier `--json` report; exit status 1 when the predicted peak has grown by more than `--drift`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Verdict")]
    compare: Option<PathBuf>,
    /// Growth that counts as noise, in per cent; less than 512 KB always does.
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = percent, help_heading = "Verdict")]
    drift: f64,
    /// A child that tells nothing for so many seconds hangs.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Verdict")]
    timeout: u64,
    /// JSON, to standard output or to FILE (which ends in `.json`).
    #[arg(long, value_name = "FILE", num_args = 0..=1, help_heading = "Report")]
    json: Option<Option<PathBuf>>,
    /// Markdown with the deployment checklist, to standard output or appended to FILE.
    #[arg(long, value_name = "FILE", num_args = 0..=1, help_heading = "Report")]
    markdown: Option<Option<PathBuf>>,
    /// `JUnit` XML, as CI servers read it, to FILE (which ends in `.xml`).
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    junit: Option<PathBuf>,
    /// Memory over time with stages and budget, as .svg or .png; with `--floor` the latency curve as well.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    plot: Option<PathBuf>,
    /// GitHub annotations on standard error; on by itself in a GitHub workflow.
    #[arg(long, env = "GITHUB_ACTIONS", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Report")]
    annotations: bool,
    /// A stage begins with the first line of the command's output that holds TEXT; may be given several times.
    #[arg(long = "stage", value_name = "NAME=TEXT", value_parser = stage, requires = "command", help_heading = "Command")]
    stages: Vec<(String, String)>,
    /// Drive the command's endpoint with the pictures while it runs.
    #[arg(long, value_name = "URL", requires = "command", help_heading = "Command")]
    http: Option<String>,
    /// Send pictures in this field of a form instead of as the body.
    #[arg(long, value_name = "NAME", requires = "http", help_heading = "Command")]
    field: Option<String>,
}

/// The hidden command that a measured child runs.
pub const CHILD: &str = "memcheck-child";

/// How the budget is enforced.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Enforce {
    CgroupV2,
    SystemdScope,
    CgroupV1,
    Watchdog,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    Warning,
    Danger,
    Critical,
    /// Only when it does not fit.
    Never,
}

/// Requests unless the user says how many.
const REQUESTS: u16 = 50;

/// A process needs this at least; what is smaller is a slip.
const LEAST: Bytes = Bytes::mb(1);

fn budget(text: &str) -> Result<Bytes, String> {
    let bytes: Bytes = text.parse()?;
    if bytes >= LEAST {
        return Ok(bytes);
    }
    Err(match text.trim().parse::<u64>() {
        Ok(number @ 1..) => format!("that is bytes, too few for any process; did you mean `{number}MB`?"),
        _ => format!("too little for any process: the least is {LEAST}; a size has a unit, KB, MB or GB"),
    })
}

fn share(text: &str) -> Result<f64, String> {
    let parsed = text.parse().ok().filter(|share| (0.01..=1024.0).contains(share));
    parsed.ok_or_else(|| "expected a share of one processor from 0.01 on, such as `0.1`".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let parsed = text.trim_end_matches('%').parse().ok().filter(|percent| (0.0..=1000.0).contains(percent));
    parsed.ok_or_else(|| "expected per cent, such as `2`".to_owned())
}

fn stage(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, text)| !name.is_empty() && !text.is_empty());
    parts
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .ok_or_else(|| format!("`{text}` is not NAME=TEXT, such as `load=Loading the model`"))
}

/// The work of a measured child; started by `memcheck` itself.
#[derive(Debug, clap::Args)]
pub struct ChildArgs {
    /// What to do, as JSON.
    work: String,
}

/// What the measured child does.
pub fn run_child(args: &ChildArgs) -> Result<ExitStatus> {
    let work = serde_json::from_str(&args.work).context("this command is started by `dermai memcheck`")?;
    pipeline::run(&work, &mut memcheck::protocol::ToParent)?;
    Ok(ExitStatus::Done)
}

/// Runs the command.
pub fn run(args: &Args, quiet: bool) -> Result<ExitStatus> {
    flags::check(args)?;
    let outputs = Outputs::open(args)?;
    let earlier = args.compare.as_deref().map(read_earlier).transpose()?;
    let allowed = Allowed::of(args)?;
    let blueprint = allowed.blueprint.clone();
    let cancelled = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, cancelled.clone()).context("signals cannot be caught")?;
    }
    let ladder = Ladder::climb(Path::new("/"), args.enforce.map(Mechanism::from))?;
    let mut silent = ();
    let mut terminal = Terminal::default();
    let progress: &mut dyn Progress = if quiet { &mut silent } else { &mut terminal };
    let patience = Duration::from_secs(args.timeout);
    let place = if args.command.is_empty() { memcheck::fresh_copy()? } else { None };
    let pictures = if args.command.is_empty() || args.http.is_some() {
        Pictures::of(&args.images, place.as_ref().map(|(folder, _)| folder.path()))?
    } else {
        Pictures::none()
    };
    let mut checked = if args.command.is_empty() {
        let prepared = Prepared::find(args.model.as_deref())?;
        // That it will run by another form is a finding.
        let said = prepared.warnings.iter().filter(|warning| prepared.by_portable() != Some(warning.as_str()));
        warn(&said.cloned().collect::<Vec<_>>(), quiet);
        let model = prepared.card.name.clone();
        let forms = forms(args, &prepared)?;
        let Starter { start, server, own, model: place } = Starter::new(place, prepared, &pictures)?;
        let mut rig = Rig::new(ladder, start, &own, patience);
        if !args.no_serve {
            rig.with_server(server);
        }
        rig.cancelled = cancelled;
        let config = memcheck::Config {
            work: work(args, &allowed.budget, place, &pictures.paths),
            model,
            pictures: pictures.names.clone(),
            budget: allowed.budget,
            service: allowed.service,
            findings: allowed.findings,
            runs: args.runs.into(),
            floor: args.floor,
            measure_options: args.measure_options,
            forms,
        };
        memcheck::check(&mut rig, &config, progress)?
    } else {
        let start = Box::new(|_: &pipeline::Work| bail!("a command is no pipeline"));
        let mut rig = Rig::new(ladder, start, &files_of(&args.command), patience);
        rig.cancelled = cancelled;
        check_command(args, allowed, &mut rig, &pictures, quiet, progress)?
    };
    if let (Some(earlier), Some(path)) = (&earlier, &args.compare) {
        checked.comparison = Some(memcheck::compare(&checked, earlier, path, args.drift / 100.0));
    }
    if args.annotations {
        unless_closed(view::write_annotations(&mut std::io::stderr(), &checked, blueprint.as_deref()))?;
    }
    outputs.write(&checked)?;
    Ok(if says_no(&checked, args.fail_on) { ExitStatus::No } else { ExitStatus::Done })
}

/// What smaller forms are made of, unless the model is one.
fn forms(args: &Args, model: &Prepared) -> Result<Option<Forms>> {
    let Some(forms) = Forms::of(model, args.model.as_deref())? else {
        let given = [("--calibrate", args.calibrate.is_some()), ("--eval", args.eval.is_some())];
        if let Some((flag, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            bail!("`{flag}` is about forms of the model, and this one is a bundle already: leave it out");
        }
        return Ok(None);
    };
    let labelled = |place: &PathBuf| {
        let set = quantize::Pictures::labelled(place, &model.card)?;
        ensure!(set.is_labelled(), "`--eval {}`: accuracy needs a label for each image", place.display());
        Ok(set)
    };
    Ok(Some(Forms {
        calibration: args.calibrate.as_deref().map(quantize::Pictures::unlabelled).transpose()?,
        evaluation: args.eval.as_ref().map(labelled).transpose()?,
        ..forms
    }))
}

/// Whether the answer is no.
fn says_no(checked: &Checked, fail_on: FailOn) -> bool {
    let reaches = |band| checked.verdict.band >= band;
    let too_near = match fail_on {
        FailOn::Warning => reaches(Band::Warning),
        FailOn::Danger => reaches(Band::Danger),
        FailOn::Critical => reaches(Band::Critical),
        FailOn::Never => false,
    };
    let is_wrong = checked.findings.iter().any(|finding| finding.severity == Severity::Error);
    !checked.verdict.fits || too_near || is_wrong || checked.comparison.as_ref().is_some_and(memcheck::Comparison::grew)
}

fn check_command(
    args: &Args,
    allowed: Allowed,
    rig: &mut Rig,
    pictures: &Pictures,
    quiet: bool,
    progress: &mut dyn Progress,
) -> Result<Checked> {
    let memory = allowed.budget.memory;
    let read = |path: &PathBuf| {
        let bytes = read_at_most(path, Limits::within(memory).file)?;
        anyhow::Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes))
    };
    let drive = match &args.http {
        Some(url) => Some(Drive {
            url: url.clone(),
            pictures: pictures.paths.iter().map(read).collect::<Result<_>>()?,
            field: args.field.clone(),
            requests: args.requests.unwrap_or(REQUESTS).into(),
            at_once: !args.one_at_a_time,
        }),
        None => None,
    };
    let config = command::Config {
        line: args.command.clone(),
        stages: args.stages.clone(),
        once: args.runs == 1,
        drive,
        budget: allowed.budget,
        service: allowed.service,
        findings: allowed.findings,
    };
    let mut pass_on = |line: &str| {
        if !quiet {
            say(line);
        }
    };
    command::check(rig, &config, &mut pass_on, progress)
}

/// The program that a command line names, and its arguments that are files.
fn files_of(line: &[String]) -> BTreeSet<PathBuf> {
    let program = line.first().map_or(Path::new(""), Path::new);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = match program.components().count() {
        1 => std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file()),
        _ => Some(program.to_owned()),
    };
    let named = line.iter().skip(1).map(PathBuf::from);
    found.into_iter().chain(named).filter(|path| path.is_file()).filter_map(|path| path.canonicalize().ok()).collect()
}

/// What each child does.
fn work(args: &Args, budget: &Budget, model: PathBuf, pictures: &[PathBuf]) -> pipeline::Work {
    let by_share = budget.cpus.map(|cpus| (cpus.ceil() as usize).max(1));
    let threads = args.threads.map(usize::from).or(by_share).unwrap_or_else(|| granted(Path::new("/")).threads());
    pipeline::Work {
        model,
        pictures: pictures.to_vec(),
        gradcam: !args.no_gradcam,
        layer: args.layer.clone(),
        threads,
        memory: budget.memory.0,
        requests: args.requests.unwrap_or(REQUESTS).into(),
        at_once: !args.one_at_a_time,
    }
}

/// A whole file, if it is no longer than `most`: a device or a wrong file is not read into memory.
fn read_at_most(path: &Path, most: Bytes) -> Result<Vec<u8>> {
    let named = || format!("`{}` cannot be read", path.display());
    let mut bytes = Vec::new();
    File::open(path).with_context(named)?.take(most.0 + 1).read_to_end(&mut bytes).with_context(named)?;
    ensure!(bytes.len() as u64 <= most.0, "`{}` is longer than {most}", path.display());
    Ok(bytes)
}

/// A report is some 100 KB.
const LONGEST_REPORT: Bytes = Bytes::mb(64);

fn read_earlier(path: &Path) -> Result<memcheck::Earlier> {
    let bytes = read_at_most(path, LONGEST_REPORT).context("`--compare`")?;
    view::read_earlier(&bytes).with_context(|| format!("`--compare {}`", path.display()))
}

impl From<Enforce> for Mechanism {
    fn from(enforce: Enforce) -> Self {
        match enforce {
            Enforce::CgroupV2 => Self::CgroupV2,
            Enforce::SystemdScope => Self::SystemdScope,
            Enforce::CgroupV1 => Self::CgroupV1,
            Enforce::Watchdog => Self::Watchdog,
        }
    }
}
