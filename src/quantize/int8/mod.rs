//! Static int8: weights and activations in 8 bits, with steps from calibration pictures; and weights alone ([`snap`]).
//!
//! The float network is folded by the runtime, its channels are equalised where that is free, its tensors are observed; layers are then written as
//! `QuantizeLinear` and `DequantizeLinear` around the operators of ONNX, which the runtime fuses.
#[cfg(test)]
mod drawing;
mod equalise;
mod grid;
mod judge;
mod layers;
mod network;
mod rewrite;
mod scheme;
mod search;
mod settle;
mod weights;

pub use grid::{Snapped, snap};
pub use layers::{Layer, Reason, State};
pub use weights::Bound;

use super::Pictures;
use super::calibrate::{Calibrated, Method, observe};
use super::limits::Share;
use crate::input::Limits;
use crate::model::Prepared;
use crate::units::Progress;
use anyhow::{Result, ensure};
use judge::Judge;
use network::Network;
use rewrite::Recipe;
use scheme::Scheme;
use search::{Base, Search, agrees, written};
use std::collections::BTreeSet;
use std::path::Path;

/// How a network is calibrated, and how much is searched for.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The pictures; labels are not looked at.
    pub pictures: Pictures,
    /// How ranges are chosen; none: [`Method::Mse`], or under [`Effort::Auto`] the best one.
    pub method: Option<Method>,
    /// How weights are bounded.
    pub bound: Bound,
    /// What is searched for.
    pub effort: Effort,
}

/// What is searched for on the calibration pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effort {
    /// Nothing.
    Plain,
    /// How sensitive each layer is.
    Sensitivity,
    /// The best recipe, and few layers in float with which a share of the answers agrees.
    Auto {
        /// The share.
        agreement: Share,
        /// Whether it is measured how sensitive each layer is though the share is reached without.
        sensitivity: bool,
    },
}

/// A quantized network.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The network, in the folder that was given.
    pub model: Prepared,
    /// What it was calibrated with.
    pub calibrated: Calibrated,
    /// What came of it.
    pub record: Record,
    /// What should be known, one sentence each.
    pub warnings: Vec<String>,
}

/// How a network was quantized.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its layers.
    pub layers: Vec<Layer>,
    /// How ranges were chosen.
    pub method: Method,
    /// Whether channels were scaled before.
    pub is_equalised: bool,
    /// How near it answers to its source on calibration pictures, where that was measured: share, and how many pictures.
    pub agreement: Option<(f64, usize)>,
}

/// Quantizes a network; its graph is written to `folder`, which has to stay.
///
/// # Errors
/// When no layer can compute in int8, a tensor holds NaN or infinite values, too many pictures are unreadable, or nothing can be written.
pub fn quantize(
    model: &Prepared,
    calibration: &Calibration,
    limits: &Limits,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Quantized> {
    let pictures = (&calibration.pictures, limits);
    let network = Network::of(model, folder)?;
    let mut layers = layers::layers(&network);
    let int8 = |layers: &[Layer]| -> BTreeSet<usize> {
        layers.iter().filter(|layer| layer.state == State::Int8).map(|layer| layer.node).collect()
    };
    let all = int8(&layers);
    ensure!(!all.is_empty(), "no layer of the model can compute in int8: try `--mode int8-weights`, or `--mode fp16`");
    let is_auto = matches!(calibration.effort, Effort::Auto { .. });
    let mut warnings = Vec::new();
    let mut bases = Vec::new();
    if let Some(network) = equalised(&network, &all, pictures, progress)? {
        bases.push(base(network, &all, true, pictures, progress)?);
    }
    if is_auto || bases.is_empty() {
        bases.push(base(network, &all, false, pictures, progress)?);
    }
    let recipe = |method| Recipe { method, bound: calibration.bound };
    let recipes: Vec<Recipe> = match calibration.method {
        None if is_auto => Method::ALL.into_iter().map(recipe).collect(),
        method => vec![recipe(method.unwrap_or_default())],
    };
    let mut agreement = None;
    let (mut base, recipe) = if calibration.effort == Effort::Plain {
        (bases.remove(0), recipes[0])
    } else {
        let judge = Judge::of(model, pictures, progress)?;
        let mut search = Search { judge: &judge, folder, progress };
        let (mut base, recipe, mut found) = search.best(bases, &recipes, &all)?;
        let (wanted, is_measured) = match calibration.effort {
            Effort::Auto { agreement, sensitivity } => (Some(agreement.0), sensitivity),
            Effort::Sensitivity | Effort::Plain => (None, true),
        };
        let falls_short = wanted.is_some_and(|wanted| !agrees(&found, wanted));
        if falls_short || is_measured {
            search.sensitivity(&mut base, recipe, &mut layers)?;
        }
        if let Some(wanted) = wanted.filter(|_| falls_short) {
            found = search.leave(&mut base, recipe, &mut layers, wanted, found)?;
            if !agrees(&found, wanted) {
                warnings.push(format!(
                    "{:.1} % of {} calibration pictures keep their best class, {:.1} % were wanted: that takes more layers in float than int8 is worth; calibrate with more pictures of what the model will see, or try `--mode int8-weights`",
                    found.agreement() * 100.0,
                    found.images,
                    wanted * 100.0
                ));
            }
        }
        agreement = Some((found.agreement(), found.images));
        (base, recipe)
    };
    let model = written(&mut base, recipe, &int8(&layers), folder, "int8.onnx")?;
    let calibrated = Calibrated::with(pictures, &base.unreadable)?;
    warnings.extend(pictures.0.warning(&base.unreadable));
    let record = Record { layers, method: recipe.method, is_equalised: base.is_equalised, agreement };
    Ok(Quantized { model, calibrated, record, warnings })
}

/// The network with channels scaled, where some can be.
fn equalised(
    network: &Network,
    layers: &BTreeSet<usize>,
    pictures: (&Pictures, &Limits),
    progress: &mut dyn Progress,
) -> Result<Option<Network>> {
    let tensors = equalise::tensors(network, layers);
    if tensors.is_empty() {
        return Ok(None);
    }
    let (observed, _) = observe(network.subject(), &tensors, Vec::new(), pictures, progress)?;
    let mut equalised = Network::over(network.model.clone())?;
    equalise::equalise(&mut equalised, layers, &observed)?;
    Ok(Some(equalised))
}

/// Observes the tensors that are stored in 8 bits when all `layers` compute in int8; with fewer layers, they are among these.
fn base(
    network: Network,
    layers: &BTreeSet<usize>,
    is_equalised: bool,
    pictures: (&Pictures, &Limits),
    progress: &mut dyn Progress,
) -> Result<Base> {
    let scheme = Scheme::of(&network, layers);
    let tensors: BTreeSet<String> = scheme.stored.keys().chain(scheme.stored.values()).cloned().collect();
    let tensors: Vec<String> = tensors.into_iter().collect();
    let (observed, unreadable) = observe(network.subject(), &tensors, network.changes(), pictures, progress)?;
    Ok(Base { network, observed, unreadable, is_equalised })
}
