//! `--auto`: the recipe that changes the answers least, and the fewest layers in float with which they agree; decided on calibration pictures only.
use super::judge::Judge;
use super::layers::{Layer, Reason, State};
use super::network::Network;
use super::rewrite::{Quantized, Recipe, write};
use crate::model::Prepared;
use crate::quantize::Unreadable;
use crate::quantize::calibrate::Observed;
use crate::quantize::evaluate::Likeness;
use crate::quantize::limits::ROUNDING;
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
    found.images - found.same <= 1 || found.agreement() >= share - ROUNDING
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Limits;
    use crate::quantize::Pictures;
    use crate::quantize::calibrate::Method;
    use crate::quantize::int8::drawing::{Drawing, X};
    use crate::quantize::int8::{Bound, base, layers};
    use crate::units::Bytes;
    use image::{Rgb, RgbImage};
    use tempfile::TempDir;

    const LIMITS: Limits = Limits::within(Bytes::mb(64));
    const RECIPE: Recipe = Recipe { method: Method::MinMax, bound: Bound::Full };

    fn likeness(images: usize, same: usize) -> Likeness {
        let mut likeness = Likeness::default();
        (likeness.images, likeness.same) = (images, same);
        likeness
    }

    #[test]
    fn answers_agree_by_the_share_and_one_may_always_differ() {
        for (images, same, share, expected) in [
            (100, 98, 0.98, true),
            (100, 97, 0.98, false),
            (10, 9, 0.98, true),
            (10, 8, 0.98, false),
            (1, 0, 1.0, true),
            (50, 50, 1.0, true),
            (50, 48, 1.0, false),
            // 1 - 0.9 is less than a tenth where floats are added.
            (100, 90, 0.9, true),
            (100, 89, 0.9, false),
        ] {
            assert_eq!(agrees(&likeness(images, same), share), expected, "{same} of {images}, {share} wanted");
        }
    }

    /// Channels of a layer. Each is one of the three colours, but for the first, which is always 0.
    const CHANNELS: usize = 40;
    /// How far apart the classes' scores are.
    const SHARPNESS: f32 = 20.0;
    /// So many steps are 1 in a layer that hurts: it is rounded to one step. A large weight, whose channel is always 0, makes them that wide.
    const STEPS_OF_ONE: f32 = 1.2;

    /// A convolution that gives what it takes; one that hurts draws the first colour to its mean once it is in int8.
    fn same(drawing: &mut Drawing, [input, output]: [&str; 2], side: usize, hurts: bool) {
        let (inputs, taps) = (if input == X { 3 } else { CHANNELS }, side * side);
        let mut weights = vec![0f32; CHANNELS * inputs * taps];
        for channel in 1..CHANNELS {
            let first = channel * inputs * taps + taps / 2;
            weights[first + if input == X { channel % 3 } else { channel } * taps] = 1.0;
            if hurts && channel % 3 == 0 {
                weights[first] = 127.0 / STEPS_OF_ONE;
            }
        }
        drawing.layer("Conv", input, output, (&[CHANNELS, inputs, side, side], &weights));
    }

    /// Twelve layers that hurt or not; the kernel of one is as large as is said. The answer is the strongest colour.
    fn colours(large: usize) -> (TempDir, Prepared) {
        let mut drawing = Drawing::default();
        let mut before = X;
        let hurting = ["hurts 1", "hurts 2", "hurts 3", "hurts 4", "hurts 5", "hurts 6"];
        for name in ["first"].into_iter().chain(hurting).chain(["large", "exact 1", "exact 2", "exact 3"]) {
            let side = if name == "large" { large } else { 1 };
            same(&mut drawing, [before, name], side, name.starts_with("hurts") || name == "large");
            before = name;
        }
        drawing.op("GlobalAveragePool", &[before], "mean");
        drawing.op("Flatten", &["mean"], "flat");
        let mut weights = vec![0f32; CHANNELS * 3];
        for channel in 1..CHANNELS {
            weights[channel * 3 + channel % 3] = SHARPNESS / (CHANNELS / 3) as f32;
        }
        drawing.layer("Gemm", "flat", "head", (&[CHANNELS, 3], &weights));
        drawing.op("Softmax", &["head"], "y");
        drawing.model()
    }

    /// Pictures of one colour each, a little stronger in one of the three, from dark to light.
    fn pictures() -> (TempDir, Pictures) {
        let folder = tempfile::tempdir().unwrap();
        for at in 0..24u8 {
            let mut colour = [40 + at * 8; 3];
            colour[usize::from(at % 3)] += 20;
            RgbImage::from_pixel(8, 8, Rgb(colour)).save(folder.path().join(format!("{at:02}.bmp"))).unwrap();
        }
        let pictures = Pictures::unlabelled(folder.path()).unwrap();
        (folder, pictures)
    }

    #[test]
    fn few_layers_are_left_and_only_those_that_help() {
        let (_set, pictures) = pictures();
        for (large, cases) in [
            // 54,640 weights, of which 8,196 may stay in float, and 3 of 12 layers.
            (
                5,
                &[
                    (&["hurts 1", "hurts 2", "hurts 3", "hurts 4"][..], 1.0, &["hurts 1", "hurts 2", "hurts 3"][..]),
                    (&["large", "exact 1", "hurts 4", "hurts 5"], 1.0, &["hurts 4"]),
                    (&["exact 3", "first", "head"], 1.0, &[]),
                    (&["hurts 1", "hurts 2", "hurts 3"], 0.1, &[]),
                ][..],
            ),
            // 29,040 weights, of which 4,356 may stay: two layers of 1,600.
            (3, &[(&["hurts 1", "hurts 2", "hurts 3", "hurts 4"], 1.0, &["hurts 1", "hurts 2"])]),
        ] {
            let (folder, model) = colours(large);
            let network = Network::over(model.clone()).unwrap();
            let all = layers::layers(&network);
            assert!(all.len() == 12 && all.iter().all(|layer| layer.state == State::Int8), "{all:?}");
            let places: BTreeSet<usize> = all.iter().map(|layer| layer.node).collect();
            let mut base = base(network, &places, false, (&pictures, &LIMITS), &mut ()).unwrap();
            let judge = Judge::of(&model, (&pictures, &LIMITS), &mut ()).unwrap();
            let mut search = Search { judge: &judge, folder: folder.path(), progress: &mut () };
            let before = search.tried(&mut base, RECIPE, &places, usize::MAX).unwrap();
            for (order, wanted, left) in cases {
                let mut layers = all.clone();
                for layer in &mut layers {
                    let rank = order.iter().position(|name| *name == layer.name);
                    layer.sensitivity = rank.map(|rank| 1.0 / (rank + 1) as f64);
                }
                let found = search.leave(&mut base, RECIPE, &mut layers, *wanted, before).unwrap();
                let is_left = |layer: &&Layer| layer.state == State::Float(Reason::Sensitive);
                let names: Vec<_> = layers.iter().filter(is_left).map(|layer| layer.name.as_str()).collect();
                assert_eq!(names, *left, "{order:?} of {large}: {before:?} {found:?}");
                // What is given back is how the network that is left answers.
                let int8 = layers.iter().filter(|layer| layer.state == State::Int8).map(|layer| layer.node).collect();
                let again = search.tried(&mut base, RECIPE, &int8, usize::MAX).unwrap();
                assert_eq!((found.same, found.mean_kl()), (again.same, again.mean_kl()), "{order:?}");
            }
        }
    }
}
