//! `--auto`: the recipe that changes the answers least, and the fewest layers in float with which they agree; decided on calibration pictures only.
use super::judge::Judge;
use super::layers::{Layer, Reason, State};
use super::network::Network;
use super::rewrite::{Quantized, Recipe, write};
use crate::model::Prepared;
use crate::quantize::Unreadable;
use crate::quantize::calibrate::Observed;
use crate::quantize::evaluate::Likeness;
use crate::units::Progress;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// So many pictures tell which of two layers is more sensitive.
const FOR_A_LAYER: usize = 32;

/// At most so large a share of the weights stays in float; one layer in so many, the most sensitive ones, is tried.
const MOST_WEIGHTS: f64 = 0.15;
const ONE_LAYER_IN: usize = 4;
/// What the KL has to fall to for another recipe.
const CLEARLY: f64 = 0.9;
/// What the KL has to fall to for a layer that is left.
const WORTH_A_LAYER: f64 = 0.98;

/// A network that was observed, its weights equalised or not.
#[derive(Debug)]
pub struct Base {
    /// The network.
    pub network: Network,
    /// Its tensors.
    pub observed: Observed,
    /// Pictures that could not be read for it.
    pub unreadable: Unreadable,
    /// Whether channels were scaled.
    pub is_equalised: bool,
}

/// A search.
pub struct Search<'a> {
    /// The source's answers.
    pub judge: &'a Judge,
    /// Where candidates are written; the base's folder.
    pub folder: &'a Path,
    /// What it tells.
    pub progress: &'a mut dyn Progress,
}

impl Search<'_> {
    /// The base and recipe with the least KL, all `layers` in int8, and how near they answer. The first ones are taken unless another one is clearly
    /// nearer: calibration pictures are few.
    pub fn best(
        &mut self,
        bases: Vec<Base>,
        recipes: &[Recipe],
        layers: &BTreeSet<usize>,
    ) -> Result<(Base, Recipe, Likeness)> {
        self.progress.start("recipes", (bases.len() * recipes.len()) as u64);
        let mut best: Option<(Base, Recipe, Likeness)> = None;
        let is_nearer = |found: &Likeness, best: Option<&Likeness>| {
            best.is_none_or(|best| found.mean_kl() < best.mean_kl() * CLEARLY)
        };
        for mut base in bases {
            let mut of_base: Option<(Recipe, Likeness)> = None;
            for &recipe in recipes {
                let found = self.tried(&mut base, recipe, layers, usize::MAX)?;
                if is_nearer(&found, of_base.as_ref().map(|(_, best)| best)) {
                    of_base = Some((recipe, found));
                }
                self.progress.step()?;
            }
            if let Some((recipe, found)) = of_base
                && is_nearer(&found, best.as_ref().map(|(.., best)| best))
            {
                best = Some((base, recipe, found));
            }
        }
        self.progress.finish();
        best.context("there is nothing to choose from")
    }

    /// Measures what each int8 layer alone does to the answers.
    pub fn sensitivity(&mut self, base: &mut Base, recipe: Recipe, layers: &mut [Layer]) -> Result<()> {
        self.progress.start("layers", layers.iter().filter(|layer| layer.state == State::Int8).count() as u64);
        for layer in layers.iter_mut().filter(|layer| layer.state == State::Int8) {
            let alone = BTreeSet::from([layer.node]);
            layer.sensitivity = Some(self.tried(base, recipe, &alone, FOR_A_LAYER)?.mean_kl());
            self.progress.step()?;
        }
        self.progress.finish();
        Ok(())
    }

    /// Leaves layers in float, the most sensitive first, until `agreement` holds; `found` is how near the answers are before, and is given back as it
    /// is then. One that does not bring them nearer stays in int8: errors of layers make up for each other, too. More than a few are not left, as size
    /// and speed are what int8 is for.
    pub fn leave(
        &mut self,
        base: &mut Base,
        recipe: Recipe,
        layers: &mut [Layer],
        agreement: f64,
        mut found: Likeness,
    ) -> Result<Likeness> {
        let mut order: Vec<usize> = (0..layers.len()).filter(|&at| layers[at].state == State::Int8).collect();
        order.sort_by(|&a, &b| layers[b].sensitivity.unwrap_or(0.0).total_cmp(&layers[a].sensitivity.unwrap_or(0.0)));
        let mut int8: BTreeSet<usize> = order.iter().map(|&at| layers[at].node).collect();
        let mut may_stay =
            (order.iter().map(|&at| layers[at].parameters()).sum::<usize>() as f64 * MOST_WEIGHTS) as usize;
        order.truncate(order.len().div_ceil(ONE_LAYER_IN));
        self.progress.start("searches", order.len() as u64);
        for at in order {
            let Layer { node, .. } = layers[at];
            if agrees(&found, agreement) {
                break;
            }
            // One that is too large stays in int8; those behind it may still go.
            if let Some(rest) = may_stay.checked_sub(layers[at].parameters()) {
                int8.remove(&node);
                let nearer = self.tried(base, recipe, &int8, usize::MAX)?;
                if nearer.mean_kl() < found.mean_kl() * WORTH_A_LAYER {
                    (found, may_stay) = (nearer, rest);
                    layers[at].state = State::Float(Reason::Sensitive);
                } else {
                    int8.insert(node);
                }
            }
            self.progress.step()?;
        }
        self.progress.finish();
        Ok(found)
    }

    /// How near the answers are with `layers` in int8.
    pub fn tried(
        &mut self,
        base: &mut Base,
        recipe: Recipe,
        layers: &BTreeSet<usize>,
        pictures: usize,
    ) -> Result<Likeness> {
        let network = written(base, recipe, layers, self.folder, "tried.onnx")?;
        self.judge.judge(network, pictures)
    }
}

/// Whether a share of the answers is kept. One may always differ: of few pictures it is more than the share allows, and says nothing.
pub fn agrees(found: &Likeness, share: f64) -> bool {
    let allowed = (1.0 - share) * found.images as f64;
    (found.images - found.same) as f64 <= allowed.max(1.0)
}

/// The base with `layers` in int8, as a model of its own.
pub fn written(
    base: &mut Base,
    recipe: Recipe,
    layers: &BTreeSet<usize>,
    folder: &Path,
    name: &str,
) -> Result<Prepared> {
    let path: PathBuf = folder.join(name);
    write(&mut base.network, Quantized { layers, observed: &base.observed, recipe }, &path)?;
    base.network.model.clone().over(&path)
}
