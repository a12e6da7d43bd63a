//! From a model to a bundle at its place.
use super::Mode;
use super::calibrate::Calibrated;
use super::config::Config;
use super::evaluate::{Measured, Pair, measure};
use super::folded::folded;
use super::forms::{self, WEIGHTS};
use super::gate::{Gate, judge};
use super::int8::{self, Bound, Quantized, Record, Snapped};
use super::publish::Draft;
use super::storage::is_quantized;
use crate::input::sha256_of;
use crate::model::{Bundle, Prepared, Runtime, Weights, cpu_class, has_vnni};
use crate::units::{Bytes, Progress};
use crate::yaml::{self, Value};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The card's name in a bundle.
const CARD: &str = "model.yaml";

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The bundle's folder.
    pub output: PathBuf,
    /// What was done.
    pub mode: Mode,
    /// Name of the model.
    pub source: String,
    /// SHA-256 of the model that it was made from.
    pub source_sha256: String,
    /// Bytes of all files that the model had: graph and weights.
    pub before: Bytes,
    /// Bytes of all files of the bundle.
    pub after: Bytes,
    /// Class of CPU that it was measured on: another one adds in another order, and takes another time.
    pub cpu: &'static str,
    /// Version of ONNX Runtime that it was measured with.
    pub runtime: String,
    /// How it compares with its source.
    pub measured: Measured,
    /// What it was calibrated with.
    pub calibrated: Option<Calibrated>,
    /// How its layers were quantized, by [`Mode::Int8`].
    pub record: Option<Record>,
    /// What came of the gates.
    pub gates: Vec<Gate>,
    /// What should be known, one sentence each.
    pub warnings: Vec<String>,
}

impl Made {
    /// Whether every gate holds; otherwise nothing was put at the output path.
    pub fn passed(&self) -> bool {
        self.gates.iter().all(|gate| gate.passed)
    }
}

/// Makes a bundle of a model, measures it, and puts it at its place if all gates hold. That one does not is a result.
///
/// # Errors
/// When the model is a bundle already, the runtime refuses it, nothing can be written, or it cannot be measured; what stood at the output path then
/// stands there still.
pub fn make(model: &Prepared, config: &Config, progress: &mut dyn Progress) -> Result<Made> {
    ensure!(
        !model.is_form(),
        "`{}` is a bundle already: name the .onnx that it was made from",
        model.place().display()
    );
    config.gates.check(config.evaluation.as_ref())?;
    if matches!(config.mode, Mode::Int8 | Mode::Int8Weights) {
        check_source(model)?;
    }
    let (source_sha256, _) = model.hashes()?;
    let draft = Draft::beside(&config.output)?;
    // Beside the result: as large as the model, and a temporary folder may lie in memory.
    let scratch = tempfile::tempdir_in(draft.path())
        .with_context(|| format!("`{}` cannot be written", draft.path().display()))?;
    let network = network(model, config, scratch.path(), progress)?;
    let mut written =
        forms::write(&network.model, model, config.mode.storage(), draft.path(), scratch.path(), progress)
            .with_context(|| format!("`{}` cannot be made", config.output.display()))?;
    drop(scratch);
    ensure!(model.stands(), "`{}` was replaced while it was read: run the command again", model.place().display());
    for form in &mut written.graphs {
        let path = draft.path().join(&form.file);
        let hash = File::open(&path).map_err(Into::into).and_then(|mut file| sha256_of(&mut file));
        form.sha256 = Some(hash.with_context(|| format!("`{}` cannot be read", path.display()))?);
    }
    let bundle = Bundle {
        vnni: is_bound_by_cpu(config).then(has_vnni),
        mode: config.mode.to_string(),
        source_sha256: Some(source_sha256.clone()),
        calibration_sha256: network.calibrated.as_ref().map(|calibrated| calibrated.sha256.clone()),
        weights: Weights { file: WEIGHTS.into(), bytes: written.weights.bytes.0, sha256: Some(written.weights.sha256) },
        forms: written.graphs,
    };
    let card = draft.path().join(CARD);
    fs::write(&card, card_of(model, &bundle)?).with_context(|| format!("`{}` cannot be written", card.display()))?;
    Prepared::find(Some(draft.path()))?.load_forms().with_context(|| {
        format!(
            "what mode `{}` makes of `{}` does not load: use the .onnx itself, or try another mode",
            config.mode,
            model.place().display()
        )
    })?;
    let files = Pair { before: size_of(&model.weight_files()?)?, after: size_of(&files_in(draft.path())?)? };
    let mut measured = measure(model, draft.path(), config, progress)?;
    let mut warnings = written.warnings;
    warnings.extend(network.warnings);
    warnings.append(&mut measured.warnings);
    let made = Made {
        output: config.output.clone(),
        mode: config.mode,
        source: model.card.name.clone(),
        source_sha256,
        before: files.before,
        after: files.after,
        cpu: cpu_class(),
        runtime: Runtime::load()?.version().to_owned(),
        gates: judge(&config.gates, &measured, files, config.mode)?,
        measured,
        calibrated: network.calibrated,
        record: network.record,
        warnings,
    };
    if made.passed() {
        draft.publish()?;
    }
    Ok(made)
}

/// Whether pairs of products may leave 16 bits, where the CPU adds them in no more.
fn is_bound_by_cpu(config: &Config) -> bool {
    let calibration = config.calibration.as_ref().filter(|_| config.mode == Mode::Int8);
    calibration.is_some_and(|calibration| calibration.bound == Bound::Full)
}

/// That weights of the model can become 8-bit integers with a step for each channel, and that none are yet.
fn check_source(model: &Prepared) -> Result<()> {
    // onnx/docs/Changelog.md: `DequantizeLinear`-13 has an axis.
    const LEAST: i64 = 13;
    let graph = model.graph()?;
    ensure!(
        graph.opset >= LEAST,
        "`{}` is of operator set {}, and a step for each channel needs {LEAST}: export it anew with a newer one, or try `--mode fp16`",
        model.place().display(),
        graph.opset
    );
    if let Some(node) = graph.nodes.iter().find(|node| is_quantized(node)) {
        bail!(
            "`{}` is quantized already (node `{}`, {}): name the float32 model that it was made from, or try `--mode prepare`",
            model.place().display(),
            node.label(),
            node.op_type
        );
    }
    Ok(())
}

/// What graphs are made of.
struct Network {
    model: Prepared,
    calibrated: Option<Calibrated>,
    record: Option<Record>,
    warnings: Vec<String>,
}

/// The network as the mode wants it, before the runtime optimises it; what is in between goes to `folder`.
fn network(model: &Prepared, config: &Config, folder: &Path, progress: &mut dyn Progress) -> Result<Network> {
    let Config { calibration, limits, mode, .. } = config;
    match (calibration, mode) {
        (Some(calibration), Mode::Int8) => {
            let Quantized { model, calibrated, record, warnings } =
                int8::quantize(model, calibration, limits, folder, progress)?;
            Ok(Network { model, calibrated: Some(calibrated), record: Some(record), warnings })
        }
        (None, Mode::Int8) => bail!("`int8` needs pictures to calibrate with"),
        (calibration, Mode::Int8Weights) => {
            let pictures = calibration.as_ref().map(|calibration| &calibration.pictures);
            let Snapped { model, calibrated, warnings } = int8::snap(model, pictures, limits, folder, progress)?;
            Ok(Network { model, calibrated, record: None, warnings })
        }
        (Some(_), mode) => bail!("`{mode}` is not calibrated: only `int8` and `int8-weights` are"),
        (None, _) => {
            let model = folded(model, folder)?;
            Ok(Network { model, calibrated: None, record: None, warnings: Vec::new() })
        }
    }
}

/// The model's card, with the bundle in place of its file.
fn card_of(model: &Prepared, bundle: &Bundle) -> Result<String> {
    let mut card = yaml::parse(&model.card_text()?)?;
    let Value::Mapping(map) = &mut card else { anyhow::bail!("the card is no block") };
    map.remove("model");
    // A graph that explains gives more than the classes.
    let (_, output) = model.ports()?;
    if let Some(Value::Mapping(block)) = map.get_mut("output") {
        block.insert("name".into(), output.into());
    }
    map.insert("bundle".into(), yaml::value(bundle)?);
    yaml::write(&card)
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let named = || format!("`{}` cannot be read", folder.display());
    fs::read_dir(folder).with_context(named)?.map(|entry| Ok(entry.with_context(named)?.path())).collect()
}

fn size_of(files: &[PathBuf]) -> Result<Bytes> {
    let size = |path: &PathBuf| Ok(fs::metadata(path).with_context(|| format!("`{}`", path.display()))?.len());
    files.iter().map(size).sum::<Result<u64>>().map(Bytes)
}
