//! A classifier ready to be asked: its card, its graph's facts, and the runtime that computes it.
//!
//! Invariant: ONNX Runtime (`ort`) is named in this module only, and it is loaded by [`Prepared::start`] and never before, unless something
//! has to be known of it: which form of a bundle will run ([`Prepared::settled`]), or an optimised graph ([`Prepared::optimise`]).
#[cfg(target_os = "linux")]
mod allocator;
mod assume;
mod bundle;
mod card;
mod check;
mod choose;
mod hash;
mod known_keys;
mod locate;
mod optimise;
mod output;
mod runtime;
mod session;

pub use card::{About, Bundle, Card, FileRef, Form, Label, Output, OutputKind, Weights};
pub use locate::aside;
pub use optimise::{Level, optimise};
pub use runtime::{
    ANY_CPU, Runtime, VARIABLE as RUNTIME_VARIABLE, cpu_class, find as find_runtime, has_vnni, nchwc_block,
};
pub use session::{Feed, Session, SessionOptions, Source};

use crate::onnx::{Graph, ModelFile, Patch, stands_at};
use crate::yaml;
use anyhow::{Context, Result, bail, ensure};
use hash::{Claim, hash_of};
use ndarray::{Array4, ArrayD};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// A model whose card and graph have been read and agree; the runtime is not loaded yet.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The card, written or assumed.
    pub card: Card,
    /// What was assumed and what the user should know, one sentence each.
    pub warnings: Vec<String>,
    /// What [`Prepared::find`] takes to find it again, from any working directory and any program.
    place: PathBuf,
    folder: PathBuf,
    card_path: Option<PathBuf>,
    file: ModelFile,
    card_sha256: Option<String>,
    form: Chosen,
    /// What the card says of the file that holds the weights.
    claim: Option<Claim>,
    output: String,
}

/// What to say of a bundle in 8 bits that was measured where products are added in another width.
fn other_sums(bundle: &Bundle) -> Option<String> {
    let with = |vnni: bool| if vnni { "with" } else { "without" };
    bundle.vnni.filter(|measured| *measured != has_vnni()).map(|measured| {
        format!(
            "the bundle was measured on a CPU {} VNNI, and this one is {} it: answers differ from what its gates saw; make it here, or with `dermai quantize --no-saturation`",
            with(measured),
            with(!measured)
        )
    })
}

/// Which graph of the model is run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chosen {
    name: String,
    /// The bundle's form, whose graph was optimised when it was written, so that it must not be done again; none: it is as exported.
    made: Option<Form>,
    /// Why it is not the form that was made for this machine.
    warning: Option<String>,
}

impl Chosen {
    /// The graph as it was exported.
    fn raw() -> Self {
        Self { name: "raw".into(), made: None, warning: None }
    }
}

/// What a graph is for: a form of a bundle is made for one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Probabilities.
    Predict,
    /// Probabilities, and the map for one layer.
    Explain,
}

/// Who answered: enough to find the very model, card and runtime again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The card's name.
    pub name: String,
    /// Hash of the .onnx file that ran.
    pub sha256: String,
    /// Hash of the card; none when the card was assumed.
    pub card_sha256: Option<String>,
    /// `raw` for an .onnx as it was exported, otherwise the bundle's form.
    pub form: String,
    /// Version of ONNX Runtime.
    pub runtime: String,
    /// Class of CPU: `avx512`, `avx2`, `neon` or `any`.
    pub cpu: String,
}

/// A running classifier.
#[derive(Debug)]
pub struct Model {
    /// The card.
    pub card: Card,
    session: Session,
    input: String,
    output: String,
    hash: Option<JoinHandle<Result<String>>>,
    identity: Identity,
    warnings: Vec<String>,
    by_portable: Option<String>,
}

impl Prepared {
    /// Finds a model (an .onnx file, a folder with a card, or a name below a `models` folder; `None`: `default`), reads card and graph, and checks that they agree.
    ///
    /// # Errors
    /// When nothing is found, the card is broken, or card and graph disagree: the field and both values are named.
    pub fn find(wanted: Option<&Path>) -> Result<Self> {
        let found = locate::locate(wanted)?;
        let folder = File::open(&found.folder).ok().map(|open| (open, found.folder.clone()));
        let prepared = Self::read(wanted, found);
        match folder {
            // A bundle was replaced meanwhile: what was read may be half of each.
            Some((open, path)) if !stands_at(&open, &path) => Self::read(wanted, locate::locate(wanted)?),
            _ => prepared,
        }
    }

    fn read(wanted: Option<&Path>, found: locate::Found) -> Result<Self> {
        let mut warnings = Vec::new();
        let written = found.card.as_deref().map(card::read).transpose()?;
        let raw = |onnx: &Path| anyhow::Ok((ModelFile::open(onnx)?, Chosen::raw(), None));
        let (file, form, weights) = match (&found.onnx, written.as_ref().map(|written| &written.card)) {
            (Some(onnx), _) => raw(onnx)?,
            (None, Some(Card { bundle: Some(bundle), .. })) => {
                let (file, form, weights) = bundle::open(bundle, &found.folder)?;
                (file, form, Some(weights))
            }
            (None, Some(card)) => {
                let file = card.model.as_ref().map_or(Path::new(locate::MODEL), |model| &model.file);
                raw(&found.folder.join(file))?
            }
            (None, None) => bail!(
                "`{}` holds neither a `model.yaml` nor a `model.onnx`; a model of another name is given as a file",
                found.folder.display()
            ),
        };
        warnings.extend(form.warning.clone());
        warnings.extend(written.as_ref().and_then(|written| other_sums(written.card.bundle.as_ref()?)));
        let (card, card_sha256) = match written {
            Some(written) => (written.card, Some(written.sha256)),
            None => (assume::card(&file, &mut warnings)?, None),
        };
        let output = check::agree(&card, &file).with_context(|| match &found.card {
            Some(path) => format!("`{}` does not fit its model", path.display()),
            None => format!("`{}` cannot be used as an image classifier", file.path().display()),
        })?;
        let whole = |sha256: &String| Claim {
            field: "model.sha256",
            path: file.path().to_owned(),
            file: Arc::clone(file.file()),
            sha256: Some(sha256.clone()),
        };
        let claim = weights.or_else(|| card.model.as_ref()?.sha256.as_ref().map(whole));
        let place = wanted.filter(|wanted| wanted.is_file()).unwrap_or(&found.folder);
        let place = std::path::absolute(place).with_context(|| format!("`{}`", place.display()))?;
        let folder = found.folder;
        Ok(Self { card, warnings, place, folder, card_path: found.card, file, card_sha256, form, claim, output })
    }

    /// The same card over another graph, which takes and gives the same under the same names.
    pub fn over(mut self, graph: &Path) -> Result<Self> {
        self.file = ModelFile::open(graph)?;
        // The card's hash is of the file that it names.
        self.claim = None;
        Ok(self)
    }

    /// The folder that its graph lies in, and what is beside it.
    pub fn graph_folder(&self) -> &Path {
        self.file.folder()
    }

    /// Why a bundle will run by its portable form, as far as the CPU says it; it is one of the warnings.
    pub fn by_portable(&self) -> Option<&str> {
        self.form.warning.as_deref()
    }

    /// What the graph's file says under `key` in its `metadata_props`.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.file.facts().metadata.get(key).map(String::as_str)
    }

    /// Has the runtime rewrite the graph, or an edit of it, and write it to `to`: see [`optimise`].
    pub fn optimise(&self, edit: Option<(&Graph, &Patch)>, level: Level, to: &Path) -> Result<()> {
        let model = match edit {
            Some((graph, patch)) => self.edited(graph, patch)?,
            None => self.file.skeleton()?,
        };
        optimise(&Runtime::load()?, Source { model: &model, file: &self.file, optimised: false }, level, to)
    }

    /// The graph with an edit, as a serialised model whose weights stay where they lie: beside it in [`Prepared::graph_folder`].
    pub fn edited(&self, graph: &Graph, patch: &Patch) -> Result<Vec<u8>> {
        patch.write(graph, self.file.skeleton()?)
    }

    /// The card's text as it was written, or as it was assumed.
    pub fn card_text(&self) -> Result<String> {
        match &self.card_path {
            Some(path) => fs::read_to_string(path).with_context(|| format!("`{}`", path.display())),
            None => yaml::write(&self.card).context("the assumed card cannot be written"),
        }
    }

    /// What [`Prepared::find`] takes to find it again, from any working directory and any program.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Its files: the graph's and those of a bundle's other graphs, those that hold weights, and the card's.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = self.weight_files()?;
        let forms = self.card.bundle.iter().filter(|_| self.is_form()).flat_map(|bundle| &bundle.forms);
        let others = forms.map(|form| self.folder.join(&form.file)).filter(|path| path != self.file.path());
        files.extend(others.chain(self.card_path.clone()));
        Ok(files)
    }

    /// The graph's file, and those that hold its weights.
    pub fn weight_files(&self) -> Result<Vec<PathBuf>> {
        let graph = self.graph()?;
        let weights = graph.external_files().into_iter().map(|name| self.file.folder().join(name));
        Ok(std::iter::once(self.file.path().to_owned()).chain(weights).collect())
    }

    /// The model's graph.
    pub fn graph(&self) -> Result<Graph> {
        self.file.graph()
    }

    /// Name of the input that takes pictures, and of the output that holds the classes.
    pub fn ports(&self) -> Result<(&str, &str)> {
        let input = self.file.facts().inputs.first().context("the model has no input")?;
        Ok((&input.name, &self.output))
    }

    /// Hashes of the model's file and of its card, as [`Identity`] will have them. Reads the whole file.
    pub fn hashes(&self) -> Result<(String, Option<&str>)> {
        Ok((hash_of(self.file.file(), self.file.path())?, self.card_sha256.as_deref()))
    }

    /// Loads the runtime and creates the session; the model's hash is computed meanwhile on a thread of its own. A model that was replaced since
    /// it was found is read once more.
    pub fn start(self, options: &SessionOptions) -> Result<Model> {
        let again = self.clone();
        match self.start_found(options) {
            Ok(model) => Ok(model),
            Err(error) => again.successor()?.map_or(Err(error), |next| next.start_found(options)),
        }
    }

    /// The same for the graph with an edit, such as a backward pass; weights are not copied.
    pub fn start_patched(self, graph: &Graph, patch: &Patch, options: &SessionOptions) -> Result<Model> {
        let hash = self.hashing()?;
        let model = self.edited(graph, patch)?;
        self.start_with(&model, hash, options)
    }

    fn start_found(self, options: &SessionOptions) -> Result<Model> {
        let hash = self.hashing()?;
        let found = self.settled()?;
        let model = found.file.skeleton()?;
        found.start_with(&model, hash, options)
    }

    /// Hashes what is large, while the runtime is loaded and the session is created: the model's file, or a bundle's weights.
    fn hashing(&self) -> Result<JoinHandle<Result<String>>> {
        let (file, path, claim) = (Arc::clone(self.file.file()), self.file.path().to_owned(), self.claim.clone());
        thread::Builder::new()
            .name("hash".into())
            .spawn(move || {
                let sha256 = hash_of(&file, &path)?;
                match claim {
                    Some(claim) if Arc::ptr_eq(&claim.file, &file) => claim.check(&sha256)?,
                    Some(claim) => claim.verify()?,
                    None => {}
                }
                Ok(sha256)
            })
            .context("a thread cannot be started")
    }

    fn start_with(self, model: &[u8], hash: JoinHandle<Result<String>>, options: &SessionOptions) -> Result<Model> {
        let runtime = Runtime::load()?;
        let source = Source { model, file: &self.file, optimised: self.is_form() };
        let made = self.form.made.as_ref().map(|form| form.runtime.as_str()).filter(|made| *made != runtime.version());
        let session = Session::create(&runtime, source, options);
        let session = match made {
            Some(made) => session.with_context(|| {
                format!("the bundle was made with ONNX Runtime {made}, `dermai quantize` makes it anew")
            }),
            None => session,
        };
        ensure!(self.stands(), "`{}` was replaced while it was opened: run the command again", self.place.display());
        // A bundle's graph is small, and may be another than the one that was found.
        let sha256 = if self.is_form() { Some(hash_of(self.file.file(), self.file.path())?) } else { None };
        let identity = Identity {
            name: self.card.name.clone(),
            sha256: sha256.unwrap_or_default(),
            card_sha256: self.card_sha256.clone(),
            form: self.form.name.clone(),
            runtime: runtime.version().to_owned(),
            cpu: cpu_class().to_owned(),
        };
        let (input, output) = self.ports().map(|(input, output)| (input.to_owned(), output.to_owned()))?;
        let by_portable = self.form.warning;
        let warnings = by_portable.iter().filter(|warning| !self.warnings.contains(warning)).cloned().collect();
        let hash = Some(hash);
        Ok(Model { card: self.card, session: session?, input, output, hash, identity, warnings, by_portable })
    }
}

impl Model {
    /// Who answers. Waits for the model's hash.
    ///
    /// # Errors
    /// When the hash is not the card's: the model was changed, or the card belongs to another one.
    pub fn identity(&mut self) -> Result<&Identity> {
        if let Some(hash) = self.hash.take() {
            let sha256 = hash.join().map_err(|_| anyhow::anyhow!("the model's hash could not be computed"))??;
            if self.identity.sha256.is_empty() {
                self.identity.sha256 = sha256;
            }
        }
        Ok(&self.identity)
    }

    /// What was found only when it was started, one sentence each; [`Prepared::warnings`] has the rest.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Why a bundle runs by its portable form; none where it runs by the one that was made for this CPU and runtime, or is no bundle.
    pub fn by_portable(&self) -> Option<&str> {
        self.by_portable.as_deref()
    }

    /// Probabilities, one a label, for a tensor `[1, 3, H, W]` or `[1, H, W, 3]` as the card's layout says.
    ///
    /// # Errors
    /// When the runtime fails, or an output is NaN or infinite.
    pub fn probabilities(&mut self, tensor: &Array4<f32>) -> Result<Vec<f32>> {
        let values = self.run(tensor, &[], &[])?.remove(0);
        self.to_probabilities(values.as_slice().context("the output is not contiguous")?)
    }

    /// Runs the graph on a tensor, with what else its inputs take. Gives the output that holds the classes first, then `outputs`.
    pub fn run(
        &mut self,
        tensor: &Array4<f32>,
        feeds: &[(&str, Feed<'_>)],
        outputs: &[&str],
    ) -> Result<Vec<ArrayD<f32>>> {
        let values = tensor.as_slice().context("the tensor is not contiguous")?;
        let mut all = vec![(self.input.as_str(), Feed::Floats(tensor.shape(), values))];
        all.extend(feeds.iter().map(|&(name, feed)| (name, feed)));
        let mut wanted = vec![self.output.as_str()];
        wanted.extend_from_slice(outputs);
        self.session.run(&all, &wanted)
    }

    /// Probabilities, one a label, from the values of the output that holds the classes.
    pub fn to_probabilities(&self, values: &[f32]) -> Result<Vec<f32>> {
        output::probabilities(values, &self.card, &self.output)
    }
}
