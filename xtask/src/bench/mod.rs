//! `cargo xtask bench`: time and memory of the release binary, measured in turn with Python doing the same work; what `memcheck`
//! predicts, beside what the kernel charges; what `quantize` makes, beside what `onnxruntime.quantization` does; `serve` under load.
//!
//! A new topic is one file with a `TOPIC`, and its line in [`TOPICS`].

pub mod child;
pub mod cold;
mod edge;
mod figure;
mod gradcam_cost;
mod gradcam_lesions;
pub mod jpeg;
mod machine;
mod memcheck;
mod memcheck_floor;
mod memcheck_keras;
mod memcheck_peak;
mod memcheck_serve;
mod memcheck_spread;
mod memcheck_ways;
pub mod outside;
mod predict_default;
mod predict_folder;
mod predict_large;
mod predict_photo;
mod predict_refusals;
pub mod python;
mod quantize;
mod quantize_accuracy;
mod quantize_calibration;
mod quantize_memory;
mod record;
mod serve_end;
mod serve_growth;
mod serve_load;
pub mod sides;
mod stats;
pub mod table;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, ensure};

use crate::say::say;
use crate::{setup, workspace};
use figure::Figure;
use machine::Machine;
use python::Python;
use record::Record;
use sides::Bench;
use table::Table;

/// Something that can be measured on its own.
struct Topic {
    /// How it is asked for.
    name: &'static str,
    /// What it measures.
    about: &'static str,
    /// Measures it.
    run: fn(&Bench) -> Result<Outcome>,
}

/// How a topic ended.
enum Outcome {
    /// With these.
    Figures(Vec<Figure>),
    /// With these, and a table of what they are the worst of.
    Tabled(Vec<Figure>, Table),
    /// Something that it needs is not here.
    Skipped(String),
}

/// Every topic, in the order in which they are run.
const TOPICS: [Topic; 19] = [
    predict_large::TOPIC,
    predict_default::TOPIC,
    predict_folder::TOPIC,
    predict_refusals::TOPIC,
    predict_photo::TOPIC,
    gradcam_cost::TOPIC,
    gradcam_lesions::TOPIC,
    memcheck_peak::TOPIC,
    memcheck_serve::TOPIC,
    memcheck_spread::TOPIC,
    memcheck_floor::TOPIC,
    memcheck_ways::TOPIC,
    memcheck_keras::TOPIC,
    quantize_accuracy::TOPIC,
    quantize_memory::TOPIC,
    quantize_calibration::TOPIC,
    serve_load::TOPIC,
    serve_growth::TOPIC,
    serve_end::TOPIC,
];

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Topics, or how their names begin, such as `predict`; all if left out
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Pairs to measure; one more is run first and not counted
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Write the figures to FILE as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show the topics and measure nothing
    #[arg(long)]
    list: bool,
}

/// Measures and prints a Markdown table; exit status 1 when a target was missed.
pub fn run(args: &Args) -> Result<ExitCode> {
    let topics = chosen(&args.topics)?;
    if args.list {
        record::list(topics.iter().map(|topic| (topic.name, topic.about)))?;
        return Ok(ExitCode::SUCCESS);
    }
    // Opened now: a place that cannot be written is told before the long work.
    let named = |path: &PathBuf| format!("cannot write `{}`", path.display());
    let json = args.json.as_ref().map(|path| fs::File::create(path).with_context(|| named(path))).transpose()?;
    let bench = set_up(args.runs.into(), &args.topics)?;
    let machine = Machine::look(&bench)?;
    if let Some(warning) = machine.warning() {
        say(format_args!("warning: {warning}"));
    }
    let mut record = Record::new(machine, bench.runs);
    record.print_head()?;
    for topic in topics {
        say(format_args!("bench: {}: {}", topic.name, topic.about));
        let outcome = (topic.run)(&bench).with_context(|| format!("`{}` could not be measured", topic.name))?;
        match outcome {
            Outcome::Figures(figures) => record.add(topic.name, &figures)?,
            Outcome::Tabled(figures, table) => {
                record.add(topic.name, &figures)?;
                record.add_table(topic.name, table);
            }
            Outcome::Skipped(reason) => record.skip(topic.name, reason),
        }
    }
    record.print_end()?;
    if let Some(file) = json {
        record.write(file)?;
    }
    Ok(ExitCode::from(u8::from(record.missed() > 0)))
}

/// The topics whose names begin as one of the wanted does.
fn chosen(wanted: &[String]) -> Result<Vec<&'static Topic>> {
    let names = || TOPICS.map(|topic| topic.name).join(" ");
    for want in wanted {
        let known = TOPICS.iter().any(|topic| topic.name.starts_with(want));
        ensure!(known, "no topic begins with `{want}`; there are: {}", names());
    }
    let all = wanted.is_empty();
    Ok(TOPICS.iter().filter(|topic| all || wanted.iter().any(|want| topic.name.starts_with(want))).collect())
}

/// Brings the runtime and builds the release binary. Gives its path and the target folder.
pub fn build() -> Result<(PathBuf, PathBuf)> {
    setup::run()?;
    let built = workspace::run(&mut workspace::cargo(["build", "--release", "--locked", "--package", "dermai"]))?;
    ensure!(built.success(), "the release binary could not be built; cargo says why above");
    let binary = workspace::release_binary("dermai")?;
    let target = binary.ancestors().nth(2).context("the binary is in no target folder")?.to_owned();
    Ok((binary, target))
}

/// All that topics need, Python's environment too.
fn set_up(runs: usize, asked: &[String]) -> Result<Bench> {
    let (binary, target) = build()?;
    let root = workspace::root();
    let python = Python::set_up(&target.join("bench-venv"), &python::USUAL)?;
    let shared = root.ancestors().skip(1).map(|folder| folder.join("shared"));
    let shared = shared.into_iter().find(|folder| folder.join("reference").is_dir());
    let threads = available_parallelism().map_or(1, usize::from);
    Ok(Bench { root, binary, python, shared, target, threads, runs, asked: asked.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str]) -> Vec<&'static str> {
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        chosen(&wanted).unwrap().iter().map(|topic| topic.name).collect()
    }

    #[test]
    fn topics_are_chosen_by_how_their_names_begin() {
        assert_eq!(names(&[]), TOPICS.map(|topic| topic.name));
        assert_eq!(names(&["predict"]).len(), TOPICS.iter().filter(|t| t.name.starts_with("predict")).count());
        // In the order of the registry, each once.
        assert_eq!(names(&["predict-folder", "predict-d", "predict-default"]), ["predict-default", "predict-folder"]);
        let error = chosen(&["predict".into(), "speed".into()]).err().unwrap().to_string();
        assert!(error.contains("`speed`") && error.contains("predict-large"), "{error}");
    }
}
