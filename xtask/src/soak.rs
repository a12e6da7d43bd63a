//! `cargo xtask soak`: loads the server far beyond what it can answer, within a limit that the kernel enforces, and holds every answer against
//! what the program itself says.

mod client;
mod keeper;
mod mix;
mod report;
mod run;
mod tally;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::bench::cold::{below, held, programs};
use crate::bench::outside::Cgroups;
use crate::bench::python::Python;
use crate::load::{self, Expected, Limit, Picture, Server};
use crate::say::say;
use crate::{bench, workspace};
use client::{Gate, Subject};
use report::Report;
use run::Soak;

/// Clients for each request that the server works on at once.
const OVERLOAD: usize = 10;
/// For the network; as many as on the small servers that this is for.
const THREADS: usize = 1;

/// Arguments of `cargo xtask soak`.
#[derive(clap::Args)]
pub struct Args {
    /// How long the load lasts
    #[arg(long, value_name = "MINUTES", default_value_t = 20.0, value_parser = minutes)]
    minutes: f64,
    /// A folder with a `model.yaml`, or an .onnx file; the default model if left out
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Memory of the server, page cache included
    #[arg(long, value_name = "SIZE", default_value = "96MB", value_parser = megabytes)]
    limit: u64,
    /// Load a Python server (`FastAPI`, onnxruntime) in the same way
    #[arg(long)]
    python: bool,
    /// Folder of the model for the Python server, which takes no bundle: a card and an .onnx [default: the same model]
    #[arg(long, value_name = "DIR", requires = "python")]
    python_model: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes| (0.1..=100_000.0).contains(minutes));
    minutes.ok_or_else(|| format!("`{text}` is no number of minutes: expected 0.1 or more"))
}

/// `96MB` in bytes.
fn megabytes(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("MB").and_then(|number| number.parse::<u64>().ok());
    let bytes = number.filter(|number| *number > 0).and_then(|number| number.checked_mul(1 << 20));
    bytes.ok_or_else(|| format!("`{text}` is no size: expected whole megabytes, such as `96MB`"))
}

/// Runs the load; exit status 1 when a target was missed.
pub fn run(args: &Args) -> Result<ExitCode> {
    let cgroups = match Cgroups::find() {
        Ok(cgroups) => cgroups,
        Err(reason) => {
            say(format_args!("soak: skipped: {reason}"));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (binary, target) = bench::build()?;
    let folder = tempfile::Builder::new().prefix("soak-").tempdir_in(&target).context("cannot make a folder")?;
    let pictures = Picture::draw(folder.path())?;
    let model = args.model.as_ref().map(std::path::absolute).transpose().context("the current folder is unknown")?;
    let model = model.unwrap_or_else(|| workspace::root().join("models/default"));
    let environment = target.join("bench-serve-venv");
    let python = args.python.then(|| Python::set_up(&environment, &load::PYTHON)).transpose()?;
    let time = Duration::from_secs_f64(args.minutes * 60.0);
    let limit = Limit { cgroups, bytes: args.limit };
    let command = load::dermai(&binary, &model, THREADS);
    // As many as it says when it is ready under the limit.
    let workers = Server::start(&command, Some(&limit))?.workers;
    let soak = Soak { workers, limit, time };
    let clients = OVERLOAD * workers;
    say(format_args!("soak: {clients} clients for {workers} workers, {} MB, {} min", args.limit >> 20, args.minutes));
    let by_program = |picture: Picture| {
        let expected = picture.by_program(&binary, &model, THREADS)?;
        Ok((picture, expected))
    };
    let known = pictures.iter().cloned().map(by_program).collect::<Result<_>>()?;
    let slow = || Gate::of(clients.div_ceil(5));
    let of_model = if model.is_dir() { below(&model)? } else { vec![model.clone()] };
    let files = [programs(&workspace::root(), &binary)?, of_model.clone()].concat();
    let others = held(&files);
    if !others.is_empty() {
        say(format_args!("soak: mapped by others, so not charged to the server: {}", others.join(" ")));
    }
    let subject = Subject { name: "dermai", files, pictures: known, maps: true, slow: slow() };
    let mut reports = vec![soak.run(&command, clients, &subject)];
    if let Some(python) = python {
        let (model, of_model) = match &args.python_model {
            Some(other) => (std::path::absolute(other).context("the current folder is unknown")?, below(other)?),
            None => (model, of_model),
        };
        let command = load::python(&python, &model, THREADS)?;
        let known = by_server(&command, pictures)?;
        let files = [below(&environment)?, of_model].concat();
        let subject = Subject { name: "Python", files, pictures: known, maps: false, slow: slow() };
        reports.push(soak.run(&command, clients, &subject));
    }
    Report::print(&reports)?;
    let missed = reports[0].missed();
    for target in &missed {
        say(format_args!("soak: missed: {target}"));
    }
    Ok(ExitCode::from(u8::from(!missed.is_empty())))
}

/// What a server answers that has all memory and nothing else to do.
fn by_server(command: &Command, pictures: Vec<Picture>) -> Result<Vec<(Picture, Expected)>> {
    let server = Server::start(command, None)?;
    let ask = |picture: Picture| picture.by_server(server.address).map(|expected| (picture, expected));
    pictures.into_iter().map(ask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_checked() {
        assert_eq!(megabytes("96MB"), Ok(96 << 20));
        for wrong in ["96", "0MB", "MB", "1.5MB", "-1MB", "99999999999999999999MB"] {
            assert!(megabytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(minutes("1.5"), Ok(1.5));
        assert!(minutes("0").is_err() && minutes("x").is_err() && minutes("NaN").is_err());
    }
}
