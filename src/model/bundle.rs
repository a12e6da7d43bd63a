//! What a bundle adds to a model: its forms by task and runtime, the model that it was made from, and another bundle that takes its place.
//!
//! A bundle is replaced in one step (`quantize`), and the old one is deleted. Card, graph and weights are opened one after the other, and the
//! runtime opens the weights again for every tensor, by their path: one exchange between two of them gives a network that nobody made. So each
//! file is compared with the card's hash, and the weights that were hashed with those that stand there once the runtime has mapped all. A
//! descriptor of the folder (`/proc/self/fd/N`) would not do instead: what it leads to is deleted after the exchange, so the reader has to begin
//! again all the same, and not every system has such paths.
use super::choose::{Choice, choose};
use super::hash::{Claim, hash_of};
use super::{Bundle, Card, Chosen, Form, Prepared, Runtime, Session, SessionOptions, Source, Task, check};
use crate::onnx::{ModelFile, stands_at};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Opens the form of a bundle that predicts, and its weights.
pub fn open(bundle: &Bundle, folder: &Path) -> Result<(ModelFile, Chosen, Claim)> {
    // Links are followed once: where one of them leads elsewhere later, this bundle stands there still.
    let folder = folder.canonicalize().with_context(|| format!("`{}`", folder.display()))?;
    let path = folder.join(&bundle.weights.file);
    let named = || format!("`{}`: the bundle's weights cannot be opened", path.display());
    let weights = File::open(&path).with_context(named)?;
    let length = weights.metadata().with_context(named)?.len();
    ensure!(
        length == bundle.weights.bytes,
        "`bundle.weights.bytes`: the card says {}, `{}` has {length}",
        bundle.weights.bytes,
        path.display()
    );
    let (file, form) = open_form(bundle, &folder, choose(bundle, Task::Predict, None)?)?;
    let sha256 = bundle.weights.sha256.clone();
    Ok((file, form, Claim { field: "bundle.weights.sha256", path, file: Arc::new(weights), sha256 }))
}

fn open_form(bundle: &Bundle, folder: &Path, choice: Choice<'_>) -> Result<(ModelFile, Chosen)> {
    let form = choice.form;
    let file = ModelFile::open(&folder.join(&form.file))?;
    let (path, open) = (file.path().to_owned(), Arc::clone(file.file()));
    Claim { field: "bundle.forms[].sha256", path, file: open, sha256: form.sha256.clone() }.verify()?;
    Ok((file, Chosen { name: name(&bundle.mode, form), made: Some(form.clone()), warning: choice.warning }))
}

/// What results call it, such as `fp16 predict.avx2`.
fn name(mode: &str, form: &Form) -> String {
    form.file.file_stem().map_or_else(|| mode.to_owned(), |stem| format!("{mode} {}", stem.display()))
}

impl Prepared {
    /// Whether it is a form of a bundle, whose graph cannot be edited any more.
    pub fn is_form(&self) -> bool {
        self.form.made.is_some()
    }

    /// The same model by the bundle's form that explains.
    ///
    /// # Errors
    /// When the bundle has none.
    pub fn explaining(self) -> Result<Self> {
        let again = self.clone();
        match self.by(Task::Explain, None) {
            Ok(explaining) => Ok(explaining),
            Err(error) => again.successor()?.map_or(Err(error), |next| next.by(Task::Explain, None)),
        }
    }

    /// The same model by the form that will run, for whoever has to know before it is started: of a bundle the runtime decides, and is loaded.
    pub fn settled(self) -> Result<Self> {
        let Some(form) = &self.form.made else { return Ok(self) };
        let task = form.task;
        self.by(task, Some(Runtime::load()?.version()))
    }

    /// Has the runtime load each graph of the bundle, for whatever CPU it is, so that none is refused on the machine that takes it.
    ///
    /// # Errors
    /// When it refuses one: its file is named.
    pub fn load_forms(&self) -> Result<()> {
        let runtime = Runtime::load()?;
        let options = SessionOptions { threads: 1, spinning: false };
        for form in self.card.bundle.iter().flat_map(|bundle| &bundle.forms) {
            let file = ModelFile::open(&self.folder.join(&form.file))?;
            let model = file.skeleton()?;
            Session::create(&runtime, Source { model: &model, file: &file, optimised: true }, &options)?;
        }
        Ok(())
    }

    fn by(mut self, task: Task, runtime: Option<&str>) -> Result<Self> {
        let bundle = self.card.bundle.as_ref().context("the model is no bundle")?;
        let choice = choose(bundle, task, runtime)?;
        // The form that is open stays the very file.
        if self.form.made.as_ref() != Some(choice.form) {
            (self.file, self.form) = open_form(bundle, self.file.folder(), choice)?;
        }
        Ok(self)
    }

    /// Whether its files stand where they were found.
    pub fn stands(&self) -> bool {
        let weights = self.claim.as_ref().filter(|_| self.is_form());
        self.file.stands() && weights.is_none_or(|claim| stands_at(&claim.file, &claim.path))
    }

    /// What has taken the place of its files since they were opened; none: they stand there still.
    ///
    /// # Errors
    /// When it is another model than the card says: pictures are read and classes named by the card already.
    pub(super) fn successor(&self) -> Result<Option<Self>> {
        if self.stands() {
            return Ok(None);
        }
        let next = Self::find(Some(&self.place))?;
        let next = match &self.form.made {
            Some(form) if form.task == Task::Explain => next.by(Task::Explain, None)?,
            _ => next,
        };
        let described = |model: &Self| Card { bundle: None, ..model.card.clone() };
        ensure!(
            described(self) == described(&next) && self.file.facts().metadata == next.file.facts().metadata,
            "`{}` was replaced by another model while it was opened: run the command again",
            self.place.display()
        );
        Ok(Some(next))
    }

    /// The model that the bundle was made from, in the file `onnx`, under the bundle's card: its graph can be edited. Reads the whole file.
    ///
    /// # Errors
    /// When this is no bundle, or was made from another file.
    pub fn source(mut self, onnx: &Path) -> Result<Self> {
        let bundle = self.card.bundle.take().filter(|_| self.form.made.is_some());
        let bundle = bundle.with_context(|| {
            format!("`{}` is no bundle, and has no other source: leave `--source` out", self.place.display())
        })?;
        let expected = bundle.source_sha256.with_context(|| {
            format!("`{}`: the card does not say `bundle.source_sha256`, what it was made from", self.place.display())
        })?;
        let file = ModelFile::open(onnx)?;
        let found = hash_of(file.file(), onnx)?;
        ensure!(
            expected.eq_ignore_ascii_case(&found),
            "`{}` is not what `{}` was made from: its hash is `{found}`, and the card's `bundle.source_sha256` is `{expected}`",
            onnx.display(),
            self.place.display()
        );
        self.output = check::agree(&self.card, &file)
            .with_context(|| format!("`{}` does not fit the bundle's card", onnx.display()))?;
        self.place = std::path::absolute(onnx).with_context(|| format!("`{}`", onnx.display()))?;
        self.warnings.clear();
        Ok(Self { file, form: Chosen::raw(), claim: None, ..self })
    }
}
