//! The model card, `model.yaml`: how pictures go in and what comes out.
use super::{Task, known_keys};
use crate::input::{Preprocessing, sha256_of};
use crate::yaml::{self, Value};
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Version of the format that is read.
const VERSION: u32 = 1;
/// A card is a page of text; the largest list of labels in use (21,000) stays below this.
const MOST_BYTES: u64 = 4 << 20;
/// What stands under every result unless the card says it otherwise.
const NOTICE: &str = "not a diagnosis";

/// A card.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Card {
    /// Version of the format.
    pub card: u32,
    /// Name of the model.
    pub name: String,
    /// The file that it describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<FileRef>,
    /// How a picture becomes a tensor.
    pub input: Preprocessing,
    /// What comes out.
    pub output: Output,
    /// Names of the classes in output order.
    pub labels: Vec<Label>,
    /// What Grad-CAM explains.
    #[serde(default)]
    pub explain: Explain,
    /// Below this probability the answer counts as uncertain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Where it comes from.
    #[serde(default)]
    pub about: About,
    /// Forms of the same model; only in a bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
}

/// A file and its hash.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(expecting = "`{file: model.onnx}`")]
pub struct FileRef {
    /// Name beside the card.
    pub file: PathBuf,
    /// SHA-256 in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What the graph gives.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(expecting = "`{kind: softmax}`, `logits` or `sigmoid`")]
pub struct Output {
    /// What its values are.
    pub kind: OutputKind,
    /// Name of the output; needed when there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Calibration: logits are divided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

/// What an output's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// Probabilities that sum to 1.
    Softmax,
    /// Scores; softmax is applied here.
    Logits,
    /// Independent probabilities, one a label; a single output is the positive class.
    Sigmoid,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(expecting = "`{id: name}`")]
pub struct Label {
    /// Short name, used in files.
    pub id: String,
    /// English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub en: Option<String>,
    /// Vietnamese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vi: Option<String>,
}

/// What Grad-CAM explains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(expecting = "`{layer: name}`")]
pub struct Explain {
    /// Name of a tensor or node; none: the last feature map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(expecting = "a block of texts, such as `{source: …}`")]
pub struct About {
    /// Place or way it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Terms of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// What it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Stands under every result.
    #[serde(default = "notice")]
    pub notice: String,
}

impl Default for About {
    fn default() -> Self {
        Self { source: None, licence: None, data: None, notice: notice() }
    }
}

fn notice() -> String {
    NOTICE.to_owned()
}

/// Forms of one model over shared weights, as `quantize` writes them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Bundle {
    /// What was done to the weights: `prepare`, `fp16`, `int8-weights` or `int8`.
    pub mode: String,
    /// SHA-256 of the model that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_sha256: Option<String>,
    /// SHA-256 over the pictures that it was calibrated with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration_sha256: Option<String>,
    /// Whether the CPU that it was measured on has VNNI, where the answers depend on it: of `int8`, unless made with `--no-saturation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnni: Option<bool>,
    /// The weights that the forms share.
    pub weights: Weights,
    /// Graphs.
    pub forms: Vec<Form>,
}

/// A file of weights.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Weights {
    /// Name beside the card.
    pub file: PathBuf,
    /// Its length, checked before it is mapped.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// One graph of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Form {
    /// Name beside the card.
    pub file: PathBuf,
    /// What it is for.
    pub task: Task,
    /// The layer that it explains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Class of CPU that it was made for, or `any`.
    pub cpu: String,
    /// How far the runtime has optimised it.
    #[serde(default)]
    pub level: u8,
    /// Version of ONNX Runtime that it was made with.
    pub runtime: String,
    /// SHA-256 of its file in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A card as it lies on disk.
#[derive(Debug)]
pub struct Written {
    /// The card.
    pub card: Card,
    /// Hash of the file.
    pub sha256: String,
}

/// Reads a card.
///
/// # Errors
/// Naming the file, the place in it, and for an unknown key the nearest known one.
pub fn read(path: &Path) -> Result<Written> {
    parse_file(path).with_context(|| format!("`{}`", path.display()))
}

fn parse_file(path: &Path) -> Result<Written> {
    let length = fs::metadata(path).context("the card cannot be opened")?.len();
    ensure!(length <= MOST_BYTES, "{length} bytes are too many for a card");
    let text = fs::read(path).context("the card cannot be read")?;
    let sha256 = sha256_of(&mut Cursor::new(&text))?;
    let text = std::str::from_utf8(&text).context("the card is not UTF-8")?;
    Ok(Written { card: parse(text)?, sha256 })
}

fn parse(text: &str) -> Result<Card> {
    let value = yaml::parse(text).context("the card is not valid YAML")?;
    match &value["card"] {
        Value::Number(n) if n.as_u64() == Some(VERSION.into()) => {}
        Value::Null => bail!("`card` is missing: the first line of a card is `card: {VERSION}`"),
        other => bail!("`card` is `{}`; this version of dermai reads `{VERSION}`", yaml::show(other)),
    }
    let json = serde_json::to_value(&value).context("the card has keys that are not text")?;
    known_keys::check(&json)?;
    let card: Card =
        serde_path_to_error::deserialize(value).map_err(|error| anyhow!("`{}`: {}", error.path(), error.inner()))?;
    check_values(&card)?;
    Ok(card)
}

/// What no type says: ranges.
fn check_values(card: &Card) -> Result<()> {
    let input = &card.input;
    let [height, width] = input.size;
    ensure!(
        (1..=8192).contains(&height) && (1..=8192).contains(&width),
        "`input.size` is [{height}, {width}]; each side has to lie between 1 and 8192"
    );
    if let crate::input::Resize::Crop { shortest, .. } = input.resize {
        let needed = height.max(width);
        ensure!(
            (needed..=16384).contains(&shortest),
            "`input.resize.shortest` is {shortest}; it has to lie between the larger side of `input.size` ({needed}) and 16384"
        );
    }
    let finite = input.mean.iter().chain(&input.std).chain([&input.scale]).all(|v| v.is_finite());
    ensure!(
        finite && input.std.iter().all(|&s| s != 0.0),
        "`input`: `scale`, `mean` and `std` have to be finite, and `std` not 0"
    );
    ensure!(!card.labels.is_empty(), "`labels` is empty");
    if let Some(t) = card.output.temperature {
        ensure!(t.is_finite() && t > 0.0, "`output.temperature` is {t}; it has to be above 0");
    }
    if let Some(t) = card.threshold {
        ensure!((0.0..=1.0).contains(&t), "`threshold` is {t}; it has to lie between 0 and 1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "card: 1\nname: m\ninput: {layout: NCHW, size: [8, 6], color: RGB, resize: {mode: stretch, filter: bilinear}, scale: 1, mean: [0, 0, 0], std: [1, 1, 1]}\noutput: {kind: softmax}\nlabels: [{id: a}, {id: b}]\n";

    #[test]
    fn a_minimal_card_is_enough() {
        let card = parse(MINIMAL).expect("a card");
        assert_eq!((card.labels.len(), card.about.notice.as_str(), card.threshold), (2, NOTICE, None));
    }

    #[test]
    fn wrong_cards_name_the_place() {
        for (from, to, expected) in [
            ("card: 1", "card: 2", "`card` is `2`"),
            ("card: 1\n", "", "`card` is missing"),
            ("size: [8, 6]", "size: [8]", "`input.size`"),
            ("size: [8, 6]", "size: [0, 6]", "`input.size` is [0, 6]"),
            ("color: RGB", "color: GRB", "`input.color`"),
            ("mode: stretch", "mode: crop, shortest: 7", "`input.resize.shortest` is 7"),
            ("kind: softmax", "kind: softmx", "`output.kind`"),
            ("std: [1, 1, 1]", "std: [1, 0, 1]", "`std` not 0"),
            ("name: m", "nam: m", "did you mean `name`"),
            ("layout: NCHW", "layuot: NCHW", "`input.layuot`"),
            ("{id: b}", "{id: b, eng: B}", "`labels[1].eng`"),
            ("labels: [{id: a}, {id: b}]", "labels: []", "`labels` is empty"),
            ("{id: b}", "b", "`labels[1]`: invalid type: string \"b\", expected `{id: name}`"),
            ("{id: b}", "{id: 1}", "`labels[1].id`: invalid type: integer `1`, expected a string"),
            ("{mode: stretch, filter: bilinear}", "stretch", "expected `{mode: stretch, filter: bilinear}`"),
            ("{mode: stretch, filter: bilinear}", "{mode: fit}", "expected one of `stretch`, `crop`, `pad`"),
            ("{kind: softmax}", "softmax", "expected `{kind: softmax}`"),
            ("labels:", "threshold: 1.5\nlabels:", "`threshold` is 1.5"),
        ] {
            let text = MINIMAL.replace(from, to);
            assert_ne!(text, MINIMAL);
            let error = format!("{:#}", parse(&text).expect_err(to));
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
