//! `dermai serve`: the HTTP server.
use super::ExitStatus;
use super::common::{USUAL_BUDGET, probability};
use crate::explain::layer_named;
use crate::input::Limits;
use crate::memcheck::pipeline;
use crate::memory::granted;
use crate::model::{Prepared, SessionOptions};
use crate::serve::{self, Config, Ended, Named, Work, measure};
use crate::units::Bytes;
use anyhow::{Context, Result, ensure};
use clap::ValueHint;
use clap::builder::BoolishValueParser;
use std::io::{self, Write, stdout};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  dermai serve                                        # the default model at http://0.0.0.0:10000, a page at /
  dermai serve --model small/ --port 8080 --host 127.0.0.1
  dermai serve --models models/ --idle-unload 10m     # each folder below is a model, loaded when it is asked for
  dermai serve --budget 128MB --preload

  curl --data-binary @photo.jpg http://localhost:10000/predict
  curl -F image=@photo.jpg 'http://localhost:10000/predict?gradcam=1&method=layercam'
  curl -H 'Accept: image/png' --data-binary @photo.jpg http://localhost:10000/predict -o heat.png

What is given as a flag wins over the environment, and that over the card. What a request takes is measured in a child at the start; until then, and
while all places are taken, requests are refused (503, 429). SIGTERM finishes what was accepted. Not a diagnosis tool.";

/// Serve a model over HTTP within a budget of memory.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// An .onnx file, a folder with a `model.yaml`, or a name below `models/`; with `--models` the one that is asked when none is named. If neither
    /// is given, `DERMAI_MODEL` and `DERMAI_MODELS` say it, else it is the default model.
    #[arg(short, long, value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    model: Option<PathBuf>,
    /// A folder of models: each folder and .onnx file in it is one; loaded when it is asked for.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    models: Option<PathBuf>,
    /// Address to listen at; Render and containers need all of them, which is what is listened at if left out.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0", help_heading = "Network")]
    host: String,
    /// Port to listen at; 0 takes a free one, which the log names.
    #[arg(short, long, value_name = "PORT", env = "PORT", default_value_t = 10_000, help_heading = "Network")]
    port: u16,
    /// Origin whose pages may read answers, such as `https://example.org`, or `*`; none if left out.
    #[arg(long, value_name = "ORIGIN", help_heading = "Network")]
    cors: Option<String>,
    /// Make maps: `true` or `false`.
    #[arg(long, env = "ENABLE_GRADCAM", value_name = "BOOL", default_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    gradcam: bool,
    /// The layer that maps explain unless a request names another one; the card's, or the last feature map, if left out.
    #[arg(long, value_name = "NAME", conflicts_with = "models")]
    layer: Option<String>,
    /// Below this probability (0 to 1) an answer counts as uncertain; the card's if left out.
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f64>,
    /// Load the model before the first request.
    #[arg(long)]
    preload: bool,
    /// Unload a model that nobody has asked for so long, such as `10m`; `0` never does.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    idle_unload: Duration,
    /// Threads for the network; by the CPU quota if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Requests worked on at once, at most, where memory allows more; by the CPU quota if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Limits")]
    workers: Option<u16>,
    /// Memory of the whole server, such as `512MB`; the cgroup's limit if left out, else 512 MB.
    #[arg(short, long, value_name = "SIZE", help_heading = "Limits")]
    budget: Option<Bytes>,
    /// Requests that may wait while others are worked on.
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "Limits")]
    queue: u16,
    /// Longest body; less where memory is short.
    #[arg(long, value_name = "SIZE", default_value = "20MB", help_heading = "Limits")]
    max_body: Bytes,
    /// Refuse images with more pixels, by their header.
    #[arg(long, value_name = "N", default_value_t = 100_000_000, help_heading = "Limits")]
    max_pixels: u64,
}

/// Environment variables that say what flags would.
const VARIABLES: [&str; 4] = ["DERMAI_MODEL", "DERMAI_MODELS", "PORT", "ENABLE_GRADCAM"];

/// Has a command serve what `memcheck` measures, at a free port of this machine: as many requests at once as the plan has processors.
pub fn arguments(command: &mut Command, work: &pipeline::Work) {
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command.args(["serve", "--host", "127.0.0.1", "--port", "0", "--model"]).arg(&work.model);
    let threads = work.threads.to_string();
    command.args(["--threads", &threads, "--workers", &threads, "--budget", &work.memory.to_string()]);
    command.args(["--gradcam", &work.gradcam.to_string()]);
    if let Some(layer) = &work.layer {
        command.args(["--layer", layer]);
    }
}

/// The hidden command of the child that measures what a request takes.
pub const CHILD: &str = "serve-child";

/// The work of that child; started by `serve` itself.
#[derive(Debug, clap::Args)]
pub struct ChildArgs {
    /// What to do, as JSON.
    work: String,
}

/// A time with its unit.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: expected `90s`, `10m` or `2h`, or `0`");
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().map_err(|_| wrong())?;
    let seconds = match &text[split..] {
        "" if number == 0 => 0,
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// Accepted work is finished within this time: Render kills 30 s after SIGTERM.
const GRACE: Duration = Duration::from_secs(25);

/// What the child measures, on standard output.
pub fn run_child(args: &ChildArgs) -> Result<ExitStatus> {
    let work = serde_json::from_str(&args.work).context("this command is started by `dermai serve`")?;
    measure(&work, &mut |cost| {
        let mut out = stdout().lock();
        serde_json::to_writer(&mut out, cost)?;
        writeln!(out)?;
        Ok(out.flush()?)
    })?;
    Ok(ExitStatus::Done)
}

/// Runs the command.
pub fn run(args: &Args, quiet: bool) -> Result<ExitStatus> {
    let models = models(args)?;
    log(quiet)?;
    for (model, warning) in models.iter().flat_map(|m| m.prepared.warnings.iter().map(|warning| (&m.name, warning))) {
        tracing::warn!(model, "{warning}");
    }
    if let Some(layer) = &args.layer {
        layer_named(&models[0].prepared, Some(layer)).context("`--layer`")?;
    }
    let grant = granted(Path::new("/"));
    let budget = match (args.budget, grant.memory) {
        (Some(asked), Some(granted)) if asked > granted => {
            tracing::warn!("`--budget {asked}` is more than the cgroup's limit of {granted}, which counts");
            granted
        }
        (asked, granted) => asked.or(granted).unwrap_or(USUAL_BUDGET),
    };
    let threads = args.threads.map_or_else(|| grant.threads(), usize::from);
    let limits = Limits { file: args.max_body, pixels: args.max_pixels, ..Limits::within(budget) };
    let config = Config {
        address: address(args)?,
        models,
        gradcam: args.gradcam,
        layer: args.layer.clone(),
        threshold: args.threshold,
        preload: args.preload,
        idle_unload: Some(args.idle_unload).filter(|time| !time.is_zero()),
        budget,
        granted: grant.memory,
        body: args.max_body,
        limits,
        queue: args.queue.into(),
        workers: args.workers.map_or_else(|| grant.threads(), usize::from),
        session: SessionOptions { threads, spinning: false },
        cors: args.cors.clone(),
        grace: GRACE,
        measuring: Arc::new(measuring),
    };
    Ok(match serve::run(config)? {
        Ended::Finished => ExitStatus::Done,
        Ended::CutOff => {
            tracing::error!("requests that had been accepted were cut off");
            ExitStatus::Error
        }
    })
}

fn models(args: &Args) -> Result<Vec<Named>> {
    let by_environment = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A flag wins over both variables: `--model X` is about one model, wherever a folder of them may lie.
    let (first, folder) = match (&args.model, &args.models) {
        (None, None) => (by_environment(VARIABLES[0]), by_environment(VARIABLES[1])),
        given => (given.0.clone(), given.1.clone()),
    };
    let Some(folder) = &folder else {
        let prepared = Prepared::find(first.as_deref())?;
        return Ok(vec![Named { name: prepared.card.name.clone(), prepared }]);
    };
    let mut all = serve::named(folder)?;
    // The first is asked when none is named: by its name, or as a path to it.
    if let Some(first) = &first {
        let names = [first.file_name(), first.file_stem()];
        let at = all.iter().position(|model| names.contains(&Some(model.name.as_ref())));
        let at =
            at.with_context(|| format!("`--model {}` is none of `--models {}`", first.display(), folder.display()))?;
        all[..=at].rotate_right(1);
    }
    Ok(all)
}

fn address(args: &Args) -> Result<SocketAddr> {
    let named = || format!("`--host {}` is no address of this machine", args.host);
    let mut found = (args.host.as_str(), args.port).to_socket_addrs().with_context(named)?;
    found.next().with_context(named)
}

/// A child of this very program.
fn measuring(work: &Work) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this program's own file is unknown")?);
    command.arg(CHILD).arg(serde_json::to_string(work)?);
    Ok(command)
}

/// Logs go to standard error, a line of JSON each.
fn log(quiet: bool) -> Result<()> {
    let level = if quiet { tracing::Level::WARN } else { tracing::Level::INFO };
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_max_level(level);
    let set = log.with_writer(io::stderr).try_init();
    ensure!(set.is_ok(), "the log cannot be begun: {}", set.err().map(|error| error.to_string()).unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let seconds = |text: &str| duration(text).map(|time| time.as_secs());
        assert_eq!([seconds("10m"), seconds("90s"), seconds("2h"), seconds("0")], [Ok(600), Ok(90), Ok(7200), Ok(0)]);
        for wrong in ["10", "m", "-1s", "10 minutes", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
