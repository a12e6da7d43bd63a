//! `dermai gradcam`: images to class activation maps.
use super::ExitStatus;
use super::common::{Common, end, warn};
use super::output::Target;
use super::say;
use crate::explain::cam::Method;
use crate::explain::overlay::{Colormap, Style};
use crate::explain::smooth::Smooth;
use crate::explain::{Classes, Options, Score, Watch, check, layers_of, run as explain};
use crate::model::Prepared;
use crate::predict::Options as PredictOptions;
use crate::report::Terminal;
use crate::report::check::write as write_check;
use crate::report::gradcam::{View, write_layers};
use crate::units::Progress;
use anyhow::{Result, ensure};
use clap::{ValueEnum, ValueHint};
use std::io::stdout;
use std::path::PathBuf;

mod files;

use files::{Places, Setting, Writer};

const EXAMPLES: &str = "\
Examples:
  dermai gradcam photo.jpg -o heat.png
  dermai gradcam photo.jpg -o heat.png --side-by-side --contour
  dermai gradcam photo.jpg -o heat.png --class mel --method gradcam++
  dermai gradcam photo.jpg -o maps/ --top 3                  # one map for each of the three best classes
  dermai gradcam photos/ -o maps/ --json maps/results.json   # a folder, with a contact sheet
  dermai gradcam --list-layers --model models/mine
  dermai gradcam photo.jpg -o heat.png --layer /layer3/Relu_output_0
  dermai gradcam photo.jpg --check                           # how far the map can be believed
  dermai gradcam photo.jpg -o heat.png --model small/ --source model.onnx --layer /layer3/Relu_output_0

A map shows what the network looked at, not what is there. This is not a diagnosis tool.";

/// Show where the network looked: a heatmap over the photo, with exact gradients from the .onnx file.
// `--json` alone, `--json FILE` and neither are three cases, and clap spells them so.
#[allow(clippy::option_option, clippy::struct_excessive_bools)]
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The overlay: a PNG file, or a folder where there are several maps.
    #[arg(short, long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
    /// How the map is made.
    #[arg(long, value_name = "METHOD", default_value = "gradcam", value_parser = method, help_heading = "Map",
          long_help = "How the map is made: gradcam, gradcam++, xgradcam, hirescam, layercam, eigencam, or scorecam (no gradient; one run of the network a channel)")]
    method: Method,
    /// The class that is explained, by label or number; the best one if left out.
    #[arg(long, value_name = "CLASS", conflicts_with = "top", help_heading = "Map")]
    class: Option<String>,
    /// A map for each of the N best classes.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Map")]
    top: u16,
    /// The layer that is explained, by the name of a tensor or node; the last feature map if left out.
    #[arg(long, value_name = "NAME", help_heading = "Map")]
    layer: Option<String>,
    /// The .onnx that the bundle of `--model` was made from: its graph answers and explains, so that other layers, methods and `--check` can be had.
    #[arg(long, value_name = "ONNX", value_hint = ValueHint::FilePath, help_heading = "Map")]
    source: Option<PathBuf>,
    /// List the layers that can be explained, and stop.
    #[arg(long, help_heading = "Map")]
    list_layers: bool,
    /// The score whose gradient is taken: before softmax or sigmoid, or after.
    #[arg(long, value_enum, default_value_t = ScoreArg::Logit, help_heading = "Map")]
    score: ScoreArg,
    /// Smooth the map: `aug` averages six views of the picture, `eigen` takes the first principal component. May be given twice.
    #[arg(long, value_name = "HOW", value_parser = smooth, help_heading = "Map")]
    smooth: Vec<Smooth>,
    /// Part of the heat's colour in the overlay, 0 to 1.
    #[arg(long, value_name = "A", default_value_t = Style::ALPHA, help_heading = "Picture")]
    alpha: f32,
    /// Colours of the heat.
    #[arg(long, value_name = "MAP", value_enum, default_value_t = Colors::Jet, help_heading = "Picture")]
    colormap: Colors,
    /// The heat alone, transparent where the network did not look.
    #[arg(long, help_heading = "Picture")]
    heatmap_only: bool,
    /// Outline where the map is at this part of its maximum or above.
    #[arg(long, value_name = "T", num_args = 0..=1, default_missing_value = "0.5", require_equals = true, help_heading = "Picture")]
    contour: Option<f32>,
    /// Photo and overlay beside each other, with a legend.
    #[arg(long, help_heading = "Picture")]
    side_by_side: bool,
    /// Also write the raw map: float32 [h, w], after ReLU; a .npy file, or a folder where there are several maps.
    #[arg(long, value_name = "FILE|DIR", help_heading = "Files")]
    npy: Option<PathBuf>,
    /// Also write the normalised map as a 16-bit grey PNG; a file, or a folder where there are several maps.
    #[arg(long, value_name = "FILE|DIR", help_heading = "Files")]
    png16: Option<PathBuf>,
    /// JSON, to standard output or to FILE (which ends in `.json`).
    #[arg(long, value_name = "FILE", num_args = 0..=1, help_heading = "Files")]
    json: Option<Option<PathBuf>>,
    /// Measure how far the map can be believed: insertion and deletion, average drop, ROAD, and a network with a random head.
    #[arg(long, help_heading = "Map")]
    check: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScoreArg {
    Logit,
    Probability,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Colors {
    Jet,
    Turbo,
    Viridis,
    Inferno,
    Magma,
}

fn method(text: &str) -> Result<Method, String> {
    text.parse().map_err(|error: anyhow::Error| error.to_string())
}

fn smooth(text: &str) -> Result<Smooth, String> {
    text.parse().map_err(|error: anyhow::Error| error.to_string())
}

/// Runs the command.
pub fn run(mut args: Args, quiet: bool) -> Result<ExitStatus> {
    let json = args.json.take();
    let is_json = json.is_some();
    let json = args.common.result_file("json", json.flatten())?;
    if args.list_layers {
        write_layers(&mut stdout().lock(), &layers_of(&args.prepared(quiet)?)?)?;
        return Ok(ExitStatus::Done);
    }
    let sources = args.common.sources("gradcam")?;
    args.check_files(is_json)?;
    let style = args.style();
    style.check()?;
    let prepared = args.prepared(quiet)?;
    let means = args.common.means();
    let classes = match &args.class {
        Some(name) => Classes::named(&prepared.card, name)?,
        None => Classes::Best(args.top.into()),
    };
    let options = Options {
        predict: PredictOptions {
            top: Some(PREDICTIONS),
            threshold: None,
            limits: means.limits,
            session: means.session,
        },
        layer: args.layer.clone(),
        score: if matches!(args.score, ScoreArg::Logit) { Score::Logit } else { Score::Probability },
        method: args.method,
        smooth: args.smooth.clone(),
        classes,
    };
    let mut silent = [(), ()];
    let [silent_images, silent_steps] = &mut silent;
    let mut terminal = Terminal::default();
    let (images, steps): (&mut dyn Progress, &mut dyn Progress) = match (quiet, sources.len()) {
        (true, _) => (silent_images, silent_steps),
        (false, 1) => (silent_images, &mut terminal),
        (false, _) => (&mut terminal, silent_steps),
    };
    let mut watch = Watch { images, steps };
    let language = args.common.language();
    let mut target = Target::create(json.as_deref(), false)?;
    if args.check {
        let report = check(&prepared, &sources, &options, &mut watch)?;
        write_check(&mut target, &report, options.method, language, is_json)?;
        return end(target, &report.failures, report.checked.len());
    }
    let places = Places::open(&args, sources.len() > 1 || args.top > 1)?;
    let view = View::new(is_json, language, &mut target);
    let on_sheet = (sources.len() > 1).then(|| sources.len() * usize::from(args.top));
    let setting =
        Setting { style, side_by_side: args.side_by_side, limits: options.predict.limits, language, on_sheet };
    let mut writer = Writer::new(view, places, setting)?;
    let summary = explain(prepared, &sources, &options, &mut writer, &mut watch)?;
    let (failures, notes) = writer.finish(&summary.run)?;
    warn(&summary.run.warnings, quiet);
    for note in notes {
        say(&note);
    }
    end(target, &failures, summary.answered)
}

/// Classes in the table and the JSON, as `predict` shows them.
const PREDICTIONS: usize = 5;

impl Args {
    /// The model that explains.
    fn prepared(&self, quiet: bool) -> Result<Prepared> {
        match &self.source {
            // What is to be said of the bundle's graphs does not concern its source.
            Some(source) => self.common.prepared(true)?.source(source),
            None => self.common.prepared(quiet),
        }
    }

    /// Something has to come of the work.
    fn check_files(&self, json: bool) -> Result<()> {
        let any = self.output.is_some() || self.npy.is_some() || self.png16.is_some() || json || self.check;
        ensure!(
            any,
            "nothing would be written: say where the overlay goes, such as `-o heat.png` (or give `--npy`, `--png16`, `--json` or `--check`)"
        );
        Ok(())
    }

    fn style(&self) -> Style {
        let colormap = match self.colormap {
            Colors::Jet => Colormap::Jet,
            Colors::Turbo => Colormap::Turbo,
            Colors::Viridis => Colormap::Viridis,
            Colors::Inferno => Colormap::Inferno,
            Colors::Magma => Colormap::Magma,
        };
        Style {
            alpha: self.alpha,
            colormap,
            heatmap_only: self.heatmap_only,
            contour: self.contour,
            side_by_side: None,
        }
    }
}
