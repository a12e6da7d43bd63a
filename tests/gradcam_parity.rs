//! The same maps as TensorFlow's and PyTorch's own autodiff: every network, target and score of `shared/reference` (its README describes the arrays).
#![allow(clippy::print_stderr)] // figures for the record
use crate::support::npz::Npz;
use crate::support::pictures::noise;
use crate::support::shared::{folders, on_all_cores, shared};
use dermai::explain::{Explainer, Reading, Score, Wanted};
use dermai::input::Layout;
use dermai::model::{Prepared, SessionOptions};
use ndarray::{Array2, Array3, Array4, ArrayD, Ix2, Ix3, Ix4};
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

/// At the last feature map.
const LAST: f64 = 1e-4;
/// Elsewhere: this, or twice what float32 and float64 of the framework itself differ by.
const ELSEWHERE: f64 = 1e-4;
/// A tensor whose map is computed inside the graph and again outside of it.
const INSIDE_OUTSIDE: f64 = 2e-5;

/// How often a map that misses is computed anew, the picture changed by what rounding does, to see whether a kink was decided otherwise.
const ROUNDINGS: u64 = 48;
/// Such a change, of each value: up to one unit in the last place of float32.
const ROUNDING: f32 = f32::EPSILON;

struct Compared {
    what: String,
    is_last: bool,
    /// Largest difference of the normalised maps.
    map: f64,
    /// The same between the framework's float32 and float64.
    framework: f64,
    /// Where the map misses: how far it moves itself, at most and at least from the framework's, when the picture changes by rounding only.
    rounded: Option<(f64, f64)>,
    /// Largest difference of the gradient over its largest value, without the flipped elements.
    gradient: Option<f64>,
    flipped: usize,
}

impl Compared {
    fn tolerance(&self) -> f64 {
        if self.is_last { LAST } else { ELSEWHERE.max(2.0 * self.framework) }
    }
}

fn normalised(map: &Array2<f64>) -> Array2<f64> {
    let most = map.fold(0.0f64, |most, &v| most.max(v));
    if most > 0.0 { map / most } else { map.clone() }
}

fn largest_difference(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn relu_cam(weights: &[f64], activation: &Array3<f64>) -> Array2<f64> {
    let (_, h, w) = activation.dim();
    Array2::from_shape_fn((h, w), |(y, x)| {
        weights.iter().enumerate().map(|(k, weight)| weight * activation[[k, y, x]]).sum::<f64>().max(0.0)
    })
}

fn wide(array: &ArrayD<f32>) -> ArrayD<f64> {
    array.mapv(f64::from)
}

#[allow(clippy::too_many_lines)] // one loop over targets, scores and images
fn network(folder: &Path) -> Vec<Compared> {
    let about: serde_json::Value = serde_json::from_reader(File::open(folder.join("ref.json")).unwrap()).unwrap();
    // A second export of the same weights names the file that holds the arrays; its inputs are its own.
    let mut inputs = Npz::open(&folder.join("ref.npz"));
    let mut npz = Npz::open(&folder.join(about["arrays_from"].as_str().unwrap_or("ref.npz")));
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let mut found = Vec::new();
    let targets = about["targets"].as_object().unwrap();
    for (target, facts) in targets {
        let tensor = facts["onnx_tensor"].as_str();
        let folded = facts["folded_bn"]["post_bn_onnx_tensor"].as_str();
        let layer = match (tensor, folded) {
            (Some(tensor), _) => tensor.to_owned(),
            (None, Some(folded)) => format!("{folded}:unfolded"),
            (None, None) => panic!("{name} {target}: {facts}"),
        };
        for (score_name, classes) in about["score_classes"].as_object().unwrap() {
            let score = if score_name.starts_with("prob") { Score::Probability } else { Score::Logit };
            let wanted = |whole| Wanted { layer: Some(layer.clone()), score, whole };
            let start = |whole| {
                let prepared = Prepared::find(Some(folder)).unwrap_or_else(|e| panic!("{name}: {e:#}"));
                let options = SessionOptions { threads: 1, spinning: false };
                Explainer::start(prepared, &wanted(whole), &options).unwrap_or_else(|e| panic!("{name} {layer}: {e:#}"))
            };
            let (mut inside, mut outside) = (start(false), start(true));
            for image in 0..3 {
                let scored = |npz: &mut Npz, what: &str| -> Option<ArrayD<f32>> {
                    let key = format!("{target}__{what}__{score_name}__{image}");
                    npz.has(&key).then(|| npz.array(&key))
                };
                let x = inputs.array::<f32>(&format!("x__{image}")).into_dimensionality::<Ix4>().unwrap();
                let class = classes[image].as_u64().map(|c| c as usize);
                let ours = inside.explain(&x, class).unwrap_or_else(|e| panic!("{name} {layer}: {e:#}"));
                let whole = outside.explain(&x, class).unwrap();
                assert_eq!(ours.class, class.unwrap(), "{name} {target}");
                let map = ours.map.unwrap().mapv(f64::from);
                let activations = whole.activations.unwrap();
                let w: Vec<f64> = activations
                    .gradient
                    .outer_iter()
                    .map(|g| g.iter().map(|&v| f64::from(v)).sum::<f64>() / g.len() as f64)
                    .collect();
                let again = relu_cam(&w, &activations.activation.mapv(f64::from));
                let inside_outside = largest_difference(&normalised(&map), &normalised(&again));
                assert!(
                    inside_outside <= INSIDE_OUTSIDE,
                    "{name} {target} {score_name}: inside and outside differ by {inside_outside:e}"
                );
                let Some(theirs) = scored(&mut npz, "cam") else { continue };
                let theirs = wide(&theirs).into_dimensionality::<Ix2>().unwrap();
                let map = map.into_shape_with_order(theirs.raw_dim()).unwrap();
                let stat = |key: &str| facts["stats"][score_name][key][image].as_f64().unwrap_or(0.0);
                let gradient64 = scored(&mut npz, "g64");
                let flips: HashSet<usize> = flips(&mut npz, &format!("{target}__flip__{score_name}__{image}"));
                let gradient = gradient64.map(|g64| {
                    let g64 = wide(&g64).into_dimensionality::<Ix3>().unwrap();
                    // The gradient of an unfolded layer is the folded one's times a scale a channel, which a map does not show.
                    let key = format!("{target}__bn_scale");
                    let scale = (tensor.is_none() && npz.has(&key)).then(|| npz.array::<f64>(&key));
                    let ours = activations.gradient.mapv(f64::from).into_shape_with_order(g64.raw_dim()).unwrap();
                    let most = g64.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                    let mut worst = 0.0f64;
                    for (((k, y, x), &theirs), at) in g64.indexed_iter().zip(0..) {
                        if flips.contains(&at) {
                            continue;
                        }
                        let ours = ours[[k, y, x]] * scale.as_ref().map_or(1.0, |s| s[[k]]);
                        worst = worst.max((ours - theirs).abs());
                    }
                    if most > 0.0 { worst / most } else { worst }
                });
                let theirs = normalised(&theirs);
                let mut compared = Compared {
                    what: format!("{name} {target} {score_name} image {image}"),
                    is_last: target == "last",
                    map: largest_difference(&normalised(&map), &theirs),
                    framework: stat("cam_rel"),
                    rounded: None,
                    gradient,
                    flipped: flips.len(),
                };
                if compared.map > compared.tolerance() {
                    let (mut moved, mut nearest) = (0.0f64, f64::INFINITY);
                    for seed in 0..ROUNDINGS {
                        let mut changed = x.clone();
                        changed
                            .iter_mut()
                            .zip(noise(seed, x.len()))
                            .for_each(|(v, n)| *v *= 1.0 + (f32::from(n) / 127.5 - 1.0) * ROUNDING);
                        let again = inside.explain(&changed, class).unwrap().map.unwrap().mapv(f64::from);
                        let again = normalised(&again.into_shape_with_order(theirs.raw_dim()).unwrap());
                        moved = moved.max(largest_difference(&again, &normalised(&map)));
                        nearest = nearest.min(largest_difference(&again, &theirs));
                    }
                    compared.rounded = Some((moved, nearest));
                }
                found.push(compared);
            }
        }
    }
    found
}

/// Elements whose gradient differs in the framework itself, because a rounding took them over a kink; places in row-major order.
fn flips(npz: &mut Npz, key: &str) -> HashSet<usize> {
    if !npz.has(key) {
        return HashSet::new();
    }
    npz.array::<i32>(key).into_iter().map(|at| usize::try_from(at).unwrap()).collect()
}

#[test]
fn maps_are_the_frameworks() {
    let Some(shared) = shared() else { return };
    let all = folders(&shared.join("reference"));
    let compared: Vec<Compared> = on_all_cores(&all, |folder| network(folder)).into_iter().flatten().collect();
    for c in &compared {
        let gradient = c.gradient.map_or("-".to_owned(), |g| format!("{g:.1e}"));
        eprintln!(
            "{:60} map {:.1e} framework {:.1e} gradient {gradient} flipped {}",
            c.what, c.map, c.framework, c.flipped
        );
    }
    let missed: Vec<_> = compared.iter().filter(|c| c.map > c.tolerance()).collect();
    for c in &missed {
        let (moved, nearest) = c.rounded.unwrap();
        eprintln!("{}: {:.1e}; one rounding moves our own by {moved:.1e}, and at best to {nearest:.1e}", c.what, c.map);
    }
    eprintln!("{} of {} maps miss where a rounding decides a kink", missed.len(), compared.len());
    // Right at a kink no map is exact: what the picture's own rounding does to ours has to be more than what the framework's differs by.
    let bad: Vec<_> =
        missed.iter().filter(|c| c.rounded.is_none_or(|(moved, _)| c.map > moved)).map(|c| &c.what).collect();
    assert!(bad.is_empty(), "{} of {}: {bad:#?}", bad.len(), compared.len());
}

#[test]
fn every_network_has_a_default_layer() {
    let Some(shared) = shared() else { return };
    for folder in [folders(&shared.join("models")), folders(&shared.join("reference"))].concat() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let prepared = Prepared::find(Some(&folder)).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        let reading = Reading::of(&prepared).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        let layer = reading.layer(None).unwrap_or_else(|e| panic!("{name}: {e:#}")).clone();
        eprintln!("{name:32} {} {:?} channels in axis {}", layer.name, layer.shape, layer.channel_axis);
        let Ok(file) = File::open(folder.join("ref.json")) else {
            // A trained model: that it can be explained, too; the reference networks are in the other test.
            let [height, width] = prepared.card.input.size.map(|side| side as usize);
            let shape =
                if prepared.card.input.layout == Layout::Nchw { [1, 3, height, width] } else { [1, height, width, 3] };
            let values = noise(3, shape.iter().product()).into_iter().map(|v| f32::from(v) / 128.0 - 1.0).collect();
            let picture = Array4::from_shape_vec(shape, values).unwrap();
            let wanted = Wanted { layer: None, score: Score::Logit, whole: false };
            let mut explainer = Explainer::start(prepared, &wanted, &SessionOptions { threads: 1, spinning: false })
                .unwrap_or_else(|e| panic!("{name}: {e:#}"));
            let map = explainer.explain(&picture, None).unwrap_or_else(|e| panic!("{name}: {e:#}")).map.unwrap();
            assert_eq!(map.dim(), layer.grid(), "{name}");
            continue;
        };
        let about: serde_json::Value = serde_json::from_reader(file).unwrap();
        let last = &about["targets"]["last"];
        let matches: Vec<&str> =
            last["onnx_matches"].as_array().unwrap().iter().filter_map(|m| m["name"].as_str()).collect();
        assert!(matches.contains(&layer.name.as_str()), "{name}: `{}` is not among {matches:?}", layer.name);
        assert_eq!(reading.head.logits, about["onnx"]["logits_tensor"].as_str().unwrap(), "{name}");
    }
}
