//! Weights that are stored in 8 bits and computed with in float32 (`int8-weights`): they are put on the grid of their steps here, still as floats,
//! before the runtime folds and reorders them; what is stored of them later is exact.
use super::layers::{Layer, Reason, State, layers};
use super::network::Network;
use super::settle::Settled;
use super::weights::Bound;
use crate::input::Limits;
use crate::model::Prepared;
use crate::onnx::{Patch, SMALLEST, TensorProto};
use crate::quantize::Pictures;
use crate::quantize::calibrate::{Calibrated, Observed, observe};
use crate::units::Progress;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Names of biases that are added begin with this.
const PREFIX: &str = "dermai.bias/";

/// A network whose weights lie on the grid, and what should be known, one sentence each.
#[derive(Debug)]
pub struct Snapped {
    /// The network, in the folder that was given.
    pub model: Prepared,
    /// What it was calibrated with.
    pub calibrated: Option<Calibrated>,
    /// Sentences.
    pub warnings: Vec<String>,
}

/// Puts weights on the grid; its graph is written to `folder`, which has to stay. With pictures each bias gives back what the rounding changes on
/// average.
///
/// # Errors
/// When a tensor holds NaN or infinite values, too many pictures are unreadable, or nothing can be written.
pub fn snap(
    model: &Prepared,
    pictures: Option<&Pictures>,
    limits: &Limits,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Snapped> {
    let mut network = Network::of(model, folder)?;
    let layers = layers(&network).into_iter().filter(|layer| is_stored(&network, layer));
    let wanted: Vec<usize> = layers.map(|layer| layer.node).collect();
    let input = |at: usize| network.graph.nodes[at].input[0].clone();
    let (observed, calibrated, warnings) = match pictures {
        Some(pictures) => {
            let mut tensors: Vec<String> = wanted.iter().map(|&at| input(at)).collect();
            tensors.sort();
            tensors.dedup();
            let (observed, unreadable) =
                observe(network.subject(), &tensors, Vec::new(), (pictures, limits), progress)?;
            let calibrated = Calibrated::with((pictures, limits), &unreadable)?;
            (observed, Some(calibrated), pictures.warning(&unreadable))
        }
        None => (Observed::new(), None, None),
    };
    let mut patch = Patch::default();
    for at in wanted {
        let mut node = network.graph.nodes[at].clone();
        let seen = observed.get(&node.input[0]).and_then(|seen| seen.channels.as_ref());
        let settled = Settled::of(&mut network, at, seen.map(|seen| &seen.mean[..]), Bound::Full, None)?;
        network.change(&node.input[1], settled.floats());
        if !settled.has_bias() {
            continue;
        }
        if let Some(name) = settled.bias_name.filter(|name| network.is_own(name)) {
            network.change(&name, settled.bias);
        } else {
            let name = format!("{PREFIX}{}", settled.name);
            patch.initializers.push(TensorProto::of_floats(&name, &[settled.bias.len()], &settled.bias));
            node.input.truncate(2);
            node.input.push(name);
            patch.replaced.push(node);
        }
    }
    patch.initializers.extend(network.changes());
    let path = folder.join("grid.onnx");
    let written = network.model.edited(&network.graph, &patch)?;
    fs::write(&path, written).with_context(|| format!("`{}` cannot be written", path.display()))?;
    Ok(Snapped { model: network.model.over(&path)?, calibrated, warnings: warnings.into_iter().collect() })
}

/// Whether its weights, and nobody else's, will be stored in 8 bits.
fn is_stored(network: &Network, layer: &Layer) -> bool {
    let weight = network.graph.nodes[layer.node].given(1);
    layer.state != State::Float(Reason::Unsupported)
        && layer.parameters() * size_of::<f32>() >= SMALLEST
        && weight.is_some_and(|weight| network.is_own(weight))
}
