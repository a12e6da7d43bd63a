//! `dermai quantize`: a smaller form of a model, as a bundle.
use super::ExitStatus;
use super::common::find_model;
use crate::quantize::{self, Config, Mode};
use crate::report::Terminal;
use crate::report::quantize as view;
use crate::units::Progress;
use anyhow::Result;
use clap::{ValueEnum, ValueHint};
use std::io;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  dermai quantize model.onnx -o small/ --mode prepare        # nothing is lost; starts in a fraction of the time and memory
  dermai quantize models/mine -o small/ --mode fp16
  dermai quantize models/mine -o small/ --mode int8-weights --json
  dermai predict photo.jpg --model small/
  dermai gradcam photo.jpg -o heat.png --model small/

A bundle holds graphs for this class of CPU and for any other, over one file of weights that is mapped: `predict`, `gradcam` and `memcheck` take it
as they take an .onnx. What stands at the output path is replaced in one step, once everything is written.
Exit status: 0 done, 2 error.";

/// Make a smaller form of a model: a bundle that is loaded in a fraction of the time and memory.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// An .onnx file, a folder with a `model.yaml`, or a name below `models/`; the default model if left out.
    #[arg(value_name = "MODEL", env = "DERMAI_MODEL", value_hint = ValueHint::AnyPath)]
    model: Option<PathBuf>,
    /// Folder of the bundle; a bundle that is there is replaced.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    output: PathBuf,
    /// What is done to the weights.
    #[arg(short, long, value_enum, value_name = "MODE")]
    mode: Kind,
    /// JSON to standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Nothing is lost: the graph is optimised ahead of time.
    Prepare,
    /// Weights as half floats, computed in float32.
    Fp16,
    /// Weights as 8-bit integers, computed in float32.
    Int8Weights,
}

/// Runs the command.
pub fn run(args: &Args, quiet: bool) -> Result<ExitStatus> {
    let model = find_model(args.model.as_deref(), quiet)?;
    let mode = match args.mode {
        Kind::Prepare => Mode::Prepare,
        Kind::Fp16 => Mode::Fp16,
        Kind::Int8Weights => Mode::Int8Weights,
    };
    let mut silent = ();
    let mut terminal = Terminal::default();
    let progress: &mut dyn Progress = if quiet { &mut silent } else { &mut terminal };
    let made = quantize::make(&model, &Config { mode, output: args.output.clone() }, progress)?;
    if !quiet {
        made.warnings.iter().for_each(|warning| super::say(&format!("warning: {warning}")));
    }
    view::write(&mut io::stdout().lock(), &made, args.json)?;
    Ok(ExitStatus::Done)
}
