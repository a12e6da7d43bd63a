//! The graphs of a bundle over one file of weights: for each task one for this class of CPU, and one for any.
use super::Storage;
use super::storage::{Wanted, store};
use crate::explain::Reading;
use crate::model::{ANY_CPU, Form, Level, Prepared, Runtime, Task, cpu_class, nchwc_block};
use crate::onnx::{External, Graph, ModelFile, Patch, WeightsWriter, WrittenWeights, canonical, compact};
use crate::units::Progress;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Name of the file of weights.
pub const WEIGHTS: &str = "weights.bin";

/// What was written.
#[derive(Debug)]
pub struct Forms {
    /// Its graphs.
    pub graphs: Vec<Form>,
    /// Its weights.
    pub weights: WrittenWeights,
    /// What could not be had, one sentence each.
    pub warnings: Vec<String>,
}

/// A graph before the runtime has optimised it.
struct Draft {
    task: Task,
    /// The layer that it explains.
    layer: Option<String>,
    edit: Option<(Graph, Patch)>,
    /// What its file says.
    notes: Vec<(String, String)>,
}

/// Writes graphs and weights of `network`, which is `source` or was made of it, to `folder`, and what is in between to `scratch`.
///
/// # Errors
/// When the runtime refuses the model, a weight cannot be read, or the folder cannot be written.
pub fn write(
    network: &Prepared,
    source: &Prepared,
    storage: Storage,
    folder: &Path,
    scratch: &Path,
    progress: &mut dyn Progress,
) -> Result<Forms> {
    let mut warnings = Vec::new();
    let drafts = drafts(network, source, &mut warnings);
    // The fast form first: the other makes its weights of the fast one's blocks.
    // Of a CPU without a class both would be the same.
    let fast = Some((Level::Fast, cpu_class())).filter(|(_, cpu)| *cpu != ANY_CPU);
    let levels: Vec<_> = fast.into_iter().chain([(Level::Portable, ANY_CPU)]).collect();
    progress.start("graphs", (drafts.len() * levels.len()) as u64);
    let path = folder.join(WEIGHTS);
    let file = File::create(&path).with_context(|| format!("`{}` cannot be written", path.display()))?;
    let mut weights = WeightsWriter::new(BufWriter::new(file), WEIGHTS);
    let runtime = Runtime::load()?;
    let mut forms = Vec::new();
    for draft in &drafts {
        for (level, cpu) in levels.iter().copied() {
            let name = format!("{}.{cpu}.onnx", if draft.task == Task::Predict { "predict" } else { "explain" });
            let optimised = scratch.join(&name);
            network.optimise(draft.edit.as_ref().map(|(graph, patch)| (graph, patch)), level, &optimised)?;
            let wanted = Wanted { storage, block: nchwc_block(), from_blocks: level == Level::Portable };
            form(&optimised, wanted, draft, &folder.join(&name), &mut weights)?;
            forms.push(Form {
                file: name.into(),
                task: draft.task,
                layer: draft.layer.clone(),
                cpu: cpu.to_owned(),
                level: level.number(),
                runtime: runtime.version().to_owned(),
                sha256: None,
            });
            progress.step()?;
        }
    }
    progress.finish();
    Ok(Forms { graphs: forms, weights: weights.finish()?, warnings })
}

fn drafts(model: &Prepared, source: &Prepared, warnings: &mut Vec<String>) -> Vec<Draft> {
    let mut drafts = vec![Draft { task: Task::Predict, layer: None, edit: None, notes: Vec::new() }];
    match explaining(model, source, warnings) {
        Ok(draft) => drafts.push(draft),
        Err(error) => warnings.push(format!("the bundle cannot explain itself: {error:#}")),
    }
    drafts
}

fn explaining(model: &Prepared, source: &Prepared, warnings: &mut Vec<String>) -> Result<Draft> {
    let reading = Reading::of(model)?;
    // The one that the source explains: rewritten graphs have more tensors like it.
    let name = Reading::of(source)?.layer(None)?.name.clone();
    let layer = reading.layer(Some(&name)).or_else(|_| reading.layer(None))?.clone();
    if layer.name != name {
        warnings.push(format!(
            "the bundle explains layer `{}`: its graph has no `{name}`, which the source explains",
            layer.name
        ));
    }
    let (patch, (key, note)) = reading.lasting_patch(&layer)?;
    Ok(Draft {
        task: Task::Explain,
        layer: Some(layer.name),
        edit: Some((reading.graph, patch)),
        notes: vec![(key.to_owned(), note)],
    })
}

/// Writes an optimised graph to `to`, its weights to the bundle's.
fn form(
    optimised: &Path,
    wanted: Wanted,
    draft: &Draft,
    to: &Path,
    weights: &mut WeightsWriter<impl Write>,
) -> Result<()> {
    let file = ModelFile::open(optimised)?;
    let skeleton = canonical(file.skeleton()?)?;
    let graph = Graph::parse(skeleton.clone())?;
    let mut external = External::beside(file.folder());
    let patch = store(&graph, &mut external, wanted, weights)?;
    let patch = Patch { notes: draft.notes.clone(), ..patch };
    let written = compact(patch.write(&graph, skeleton)?)?;
    fs::write(to, written).with_context(|| format!("`{}` cannot be written", to.display()))
}
