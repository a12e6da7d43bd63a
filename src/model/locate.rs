//! From what the user named to files: an .onnx, a folder, or a name below a `models` folder; and which form of a bundle fits this machine.
use super::card::{Card, Form};
use super::{Chosen, cpu_class, runtime};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// Name of a card beside its model.
const CARD: &str = "model.yaml";
/// Name of a model in a folder without a card.
const MODEL: &str = "model.onnx";

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
        return named("default").context("no model is named with `--model`, and the default one is missing: run from a checkout, or keep `models/` beside the program");
    };
    if wanted.is_dir() {
        return Ok(in_folder(wanted));
    }
    if wanted.is_file() {
        ensure!(
            wanted.file_name().is_none_or(|name| name != CARD),
            "`{}` is a card: name its folder instead, `--model {}`",
            wanted.display(),
            wanted.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).display()
        );
        let folder = wanted.parent().unwrap_or(Path::new("")).to_owned();
        let card = Some(card_beside(wanted)).filter(|card| card.is_file());
        return Ok(Found { folder, card, onnx: Some(wanted.to_owned()) });
    }
    match wanted.to_str().filter(|name| !name.contains(['/', '\\', '.'])) {
        Some(name) => named(name).with_context(|| format!("no model `{name}`: neither a file nor a folder, and not below a `models` folder here or beside the program")),
        None => bail!("`{}` does not exist", wanted.display()),
    }
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

/// Looks below `models/` here, and then beside the program and in the folders above it.
fn named(name: &str) -> Option<Found> {
    let beside = runtime::folders_above_program();
    let folders = std::iter::once(PathBuf::new()).chain(beside).map(|folder| folder.join("models").join(name));
    folders.map(|folder| in_folder(&folder)).find(|found| found.card.is_some() || found.onnx.is_some())
}

/// The graph that a card's folder offers for prediction on this machine.
pub fn choose(card: &Card, folder: &Path, warnings: &mut Vec<String>) -> Result<(PathBuf, Chosen)> {
    let Some(bundle) = &card.bundle else {
        let file = card.model.as_ref().map_or(Path::new(MODEL), |model| &model.file);
        return Ok((folder.join(file), Chosen { name: "raw".into(), optimised: false }));
    };
    let weights = folder.join(&bundle.weights.file);
    let length = std::fs::metadata(&weights)
        .with_context(|| format!("`{}`: the bundle's weights cannot be opened", weights.display()))?
        .len();
    ensure!(
        length == bundle.weights.bytes,
        "`bundle.weights.bytes`: the card says {}, `{}` has {length}",
        bundle.weights.bytes,
        weights.display()
    );
    let fits = |form: &&Form| form.task == "predict" && form.cpu == cpu_class();
    let portable = |form: &&Form| form.task == "predict" && form.cpu == "any";
    let form = bundle.forms.iter().find(fits).or_else(|| {
        let form = bundle.forms.iter().find(portable)?;
        warnings.push(format!(
            "the bundle has no form for this CPU (`{}`): its portable form is used, which is slower",
            cpu_class()
        ));
        Some(form)
    });
    let form =
        form.with_context(|| format!("`bundle.forms`: none for the task `predict` on `{}` or `any`", cpu_class()))?;
    let name =
        form.file.file_stem().map_or_else(|| bundle.mode.clone(), |stem| format!("{} {}", bundle.mode, stem.display()));
    Ok((folder.join(&form.file), Chosen { name, optimised: true }))
}
