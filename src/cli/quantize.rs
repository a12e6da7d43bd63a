//! `dermai quantize`: a smaller form of a model, as a bundle, behind a gate.
mod outputs;

use super::ExitStatus;
use super::common::{USUAL_BUDGET, find_model};
use crate::input::Limits;
use crate::memory::granted;
use crate::quantize::{self, Bound, Calibration, Config, Effort, Gates, Method, Mode, Pictures, Ratio, Share, Size};
use crate::report::Terminal;
use crate::units::{Bytes, Progress};
use anyhow::{Context, Result, bail, ensure};
use clap::{ValueEnum, ValueHint};
use outputs::Outputs;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  dermai quantize model.onnx -o small/ --mode prepare        # nothing is lost; starts in a fraction of the time and memory
  dermai quantize models/mine -o small/ --mode fp16 --eval photos/
  dermai quantize models/mine -o small/ --mode int8-weights --eval labels.csv --max-drop 1% --min-agreement 97%
  dermai quantize models/mine -o small/ --mode int8-weights --max-size 0.5x --max-rss 64MB --json --markdown \"$GITHUB_STEP_SUMMARY\"
  dermai quantize models/mine -o small/ --mode int8 --calibrate photos/ --eval labels.csv --max-drop 1%
  dermai quantize models/mine -o small/ --mode int8 --calibrate photos/ --auto
  dermai quantize models/mine -o small/ --mode int8 --calibrate photos/ --plot layers.svg    # what each layer costs in int8
  dermai predict photo.jpg --model small/
  dermai gradcam photo.jpg -o heat.png --model small/

A bundle holds graphs for this class of CPU and for any other, over one file of weights that is mapped: `predict`, `gradcam` and `memcheck` take it
as they take an .onnx. What stands at the output path is replaced in one step, once everything is written and every gate holds.
Exit status: 0 done, 1 a gate failed and nothing was replaced, 2 error.";

/// With `--auto`, the share of the calibration images that has to keep its best class.
const AGREEMENT: Share = Share(0.98);

/// Make a smaller form of a model: a bundle that is loaded in a fraction of the time and memory, and as good as you ask for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
// Flags of a command line are what they are.
#[allow(clippy::struct_excessive_bools)]
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
    /// Images to calibrate `--mode int8` with: a folder, or a `labels.csv`; their labels are not looked at. With `--mode int8-weights`, biases give
    /// back what rounding changes on them.
    #[arg(long, value_name = "DIR|CSV", value_hint = ValueHint::AnyPath, help_heading = "Calibration")]
    calibrate: Option<PathBuf>,
    /// How the range of values is chosen [default: mse; with `--auto` the best one]
    #[arg(long, value_enum, value_name = "METHOD", requires = "calibrate", help_heading = "Calibration")]
    range: Option<Range>,
    /// Choose the best recipe, and leave the most sensitive layers in float until 98 % (or `--min-agreement`, if that is more) of the calibration
    /// images keep their best class.
    #[arg(long, requires = "calibrate", help_heading = "Calibration")]
    auto: bool,
    /// Measure how sensitive each layer is, and show the layers.
    #[arg(long, requires = "calibrate", help_heading = "Calibration")]
    sensitivity: bool,
    /// Bound weights so that no pair of products leaves 16 bits: the same answers on CPUs without VNNI, a little less exact.
    #[arg(long, requires = "calibrate", help_heading = "Calibration")]
    no_saturation: bool,
    /// Compare both models on these images: a folder, or a `labels.csv` (`file,label`; labels are the card's ids).
    #[arg(long, value_name = "DIR|CSV", value_hint = ValueHint::AnyPath, help_heading = "Evaluation")]
    eval: Option<PathBuf>,
    /// Top-1 accuracy that may be lost, such as `1%`; needs `--eval` with labels.
    #[arg(long, value_name = "SHARE", help_heading = "Gates")]
    max_drop: Option<Share>,
    /// Images that have to keep their best class, such as `97%`; needs `--eval`.
    #[arg(long, value_name = "SHARE", help_heading = "Gates")]
    min_agreement: Option<Share>,
    /// Size of all files, such as `4MB`, or `0.5x` of the source's.
    #[arg(long, value_name = "SIZE", help_heading = "Gates")]
    max_size: Option<Size>,
    /// Resident memory of a process that predicts one image, such as `64MB`.
    #[arg(long, value_name = "SIZE", help_heading = "Gates")]
    max_rss: Option<Bytes>,
    /// Time of the network by the source's, such as `0.75x`.
    #[arg(long, value_name = "RATIO", help_heading = "Gates")]
    max_latency: Option<Ratio>,
    /// JSON to standard output.
    #[arg(long, help_heading = "Report")]
    json: bool,
    /// Markdown, appended to FILE.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Report")]
    markdown: Option<PathBuf>,
    /// A picture of the layers and how sensitive each is, SVG or PNG by its ending; measures that as `--sensitivity` does.
    #[arg(long, value_name = "FILE", requires = "calibrate", value_hint = ValueHint::FilePath, help_heading = "Report")]
    plot: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Nothing is lost: the graph is optimised ahead of time.
    Prepare,
    /// Weights as half floats, computed in float32.
    Fp16,
    /// Weights as 8-bit integers, computed in float32; nearer to the source with `--calibrate`.
    Int8Weights,
    /// Weights and activations as 8-bit integers, computed in integers: smallest and fastest; needs `--calibrate`.
    Int8,
}

/// How ranges are chosen.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Range {
    /// From the smallest value to the largest.
    MinMax,
    /// All but one value in 100,000.
    Percentile,
    /// The one that keeps the most information (as `TensorRT`).
    Entropy,
    /// The one with the least squared error.
    Mse,
}

/// What `--calibrate` and the flags beside it say.
fn calibration(args: &Args) -> Result<Option<Calibration>> {
    let is_int8 = matches!(args.mode, Kind::Int8);
    let Some(place) = &args.calibrate else {
        ensure!(
            !is_int8,
            "`--mode int8` needs pictures of what the model will see: `--calibrate DIR`; a hundred are enough"
        );
        return Ok(None);
    };
    ensure!(
        is_int8 || matches!(args.mode, Kind::Int8Weights),
        "`--calibrate` is for `--mode int8` and `--mode int8-weights`: no other mode looks at pictures"
    );
    let flags = [
        ("auto", args.auto),
        ("sensitivity", args.sensitivity),
        ("range", args.range.is_some()),
        ("no-saturation", args.no_saturation),
        ("plot", args.plot.is_some()),
    ];
    if let Some((flag, _)) = flags.into_iter().find(|(_, is_given)| *is_given && !is_int8) {
        bail!("`--{flag}` is for `--mode int8`: leave it out");
    }
    let effort = match (args.auto, args.sensitivity || args.plot.is_some()) {
        (true, sensitivity) => {
            let agreement = args.min_agreement.map_or(AGREEMENT, |gate| Share(gate.0.max(AGREEMENT.0)));
            Effort::Auto { agreement, sensitivity }
        }
        (false, true) => Effort::Sensitivity,
        (false, false) => Effort::Plain,
    };
    let method = args.range.map(|range| match range {
        Range::MinMax => Method::MinMax,
        Range::Percentile => Method::Percentile,
        Range::Entropy => Method::Entropy,
        Range::Mse => Method::Mse,
    });
    let bound = if args.no_saturation { Bound::Pairs } else { Bound::Full };
    Ok(Some(Calibration { pictures: Pictures::unlabelled(place)?, method, bound, effort }))
}

/// Runs the command.
pub fn run(args: &Args, quiet: bool) -> Result<ExitStatus> {
    let calibration = calibration(args)?;
    let model = find_model(args.model.as_deref(), quiet)?;
    let evaluation = args.eval.as_deref().map(|place| Pictures::labelled(place, &model.card)).transpose()?;
    let outputs =
        Outputs::open(args, [("calibrate", calibration.as_ref().map(|c| &c.pictures)), ("eval", evaluation.as_ref())])?;
    let config = Config {
        mode: match args.mode {
            Kind::Prepare => Mode::Prepare,
            Kind::Fp16 => Mode::Fp16,
            Kind::Int8Weights => Mode::Int8Weights,
            Kind::Int8 => Mode::Int8,
        },
        calibration,
        output: args.output.clone(),
        evaluation,
        gates: Gates {
            max_drop: args.max_drop,
            min_agreement: args.min_agreement,
            max_size: args.max_size,
            max_rss: args.max_rss,
            max_latency: args.max_latency,
        },
        limits: Limits::within(granted(Path::new("/")).memory.unwrap_or(USUAL_BUDGET)),
        program: Some(std::env::current_exe().context("this program's own file is unknown")?),
    };
    let mut silent = ();
    let mut terminal = Terminal::default();
    let progress: &mut dyn Progress = if quiet { &mut silent } else { &mut terminal };
    let made = quantize::make(&model, &config, progress)?;
    if !quiet {
        made.warnings.iter().for_each(|warning| super::say(&format!("warning: {warning}")));
    }
    outputs.write(&made)?;
    Ok(if made.passed() { ExitStatus::Done } else { ExitStatus::No })
}
