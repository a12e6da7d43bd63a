//! From what the user named to files: an .onnx, a folder, or a name below a `models` folder.
use super::runtime;
use anyhow::{Context, Result, ensure};
use std::path::{Component, Path, PathBuf};

/// Name of a card beside its model.
const CARD: &str = "model.yaml";
/// Name of a model in a folder without a card.
pub const MODEL: &str = "model.onnx";

/// What lies where the user pointed.
pub struct Found {
    pub folder: PathBuf,
    pub card: Option<PathBuf>,
    /// The graph, unless the card has to say which.
    pub onnx: Option<PathBuf>,
}

/// Finds a model; `None` is the default one.
pub fn locate(wanted: Option<&Path>) -> Result<Found> {
    let Some(wanted) = wanted else {
        return named(Path::new("default")).context("no model is named with `--model`, and the default one is missing: run from a checkout, or keep `models/` beside the program");
    };
    if wanted.is_dir() {
        return Ok(in_folder(wanted));
    }
    if wanted.is_file() {
        ensure!(
            !wanted.extension().is_some_and(|e| e == "yaml" || e == "yml"),
            "`{}` is a card: name its model, or the folder that holds both, such as `--model {}`",
            wanted.display(),
            wanted.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).display()
        );
        let folder = wanted.parent().unwrap_or(Path::new("")).to_owned();
        let card = Some(card_beside(wanted)).filter(|card| card.is_file());
        return Ok(Found { folder, card, onnx: Some(wanted.to_owned()) });
    }
    let aside = aside(wanted);
    ensure!(
        in_folder(&aside).card.is_none(),
        "`{}` was being replaced when `dermai quantize` ended: it lies at `{}` until `dermai quantize` to the same place puts it back",
        wanted.display(),
        aside.display()
    );
    let is_name = matches!(wanted.components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
    ensure!(is_name, "`{}` does not exist", wanted.display());
    named(wanted).with_context(|| {
        let known = known();
        let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
        format!(
            "no model `{}`: neither a file nor a folder, and not below a `models` folder here or beside the program ({known})",
            wanted.display()
        )
    })
}

/// Where a bundle waits for the moment in which another one takes its place, on systems that cannot exchange two folders in one step.
pub fn aside(bundle: &Path) -> PathBuf {
    let name = bundle.file_name().unwrap_or_default().display();
    bundle.with_file_name(format!(".{name}.dermai-old"))
}

/// The card of an .onnx: `model.yaml` for `model.onnx`, otherwise the same name with `.yaml`.
fn card_beside(onnx: &Path) -> PathBuf {
    onnx.with_extension("yaml")
}

fn in_folder(folder: &Path) -> Found {
    let card = Some(folder.join(CARD)).filter(|path| path.is_file());
    let onnx = if card.is_some() { None } else { Some(folder.join(MODEL)).filter(|path| path.is_file()) };
    Found { folder: folder.to_owned(), card, onnx }
}

/// `models/` here, and then beside the program and in the folders above it.
fn shelves() -> impl Iterator<Item = PathBuf> {
    std::iter::once(PathBuf::new()).chain(runtime::folders_above_program()).map(|folder| folder.join("models"))
}

fn is_model(found: &Found) -> bool {
    found.card.is_some() || found.onnx.is_some()
}

fn named(name: &Path) -> Option<Found> {
    shelves().map(|shelf| in_folder(&shelf.join(name))).find(is_model)
}

/// Names that [`named`] finds.
fn known() -> Vec<String> {
    let folders = shelves().filter_map(|shelf| std::fs::read_dir(shelf).ok()).flatten().flatten();
    let models = folders.filter(|entry| is_model(&in_folder(&entry.path())));
    let mut names: Vec<_> = models.map(|entry| format!("`{}`", entry.file_name().display())).collect();
    names.sort();
    names.dedup();
    names
}
