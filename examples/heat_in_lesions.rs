//! How much of each method's heat lies on the lesion: `cargo run --release --example heat_in_lesions -- MODEL IMAGES MASKS`.
//!
//! Over the pictures of IMAGES with a mask of the same name (`.png`, white is lesion) in MASKS: the mean share of the map's heat inside the
//! mask, over the mask's mean share of what the network saw (energy-based pointing game, Wang et al. 2020). 1 is chance. Prints JSON, a line
//! a method.
#![allow(clippy::print_stdout, missing_docs)]
use anyhow::{Context, Result, bail};
use dermai::explain::cam::{Corners, Method, Question, bilinear, map_of};
use dermai::explain::faithfulness::heat_in_mask;
use dermai::explain::{Explainer, Score, Wanted};
use dermai::input::{Filter, Layout, Limits, Preprocessing, Resize, Source, expand};
use dermai::model::{Prepared, SessionOptions};
use dermai::units::Bytes;
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Score-CAM runs the network once a channel, so only every tenth picture is put to it.
const SCORE_CAM_STEP: usize = 10;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let [model, images, masks] = arguments.as_slice() else { bail!("give MODEL IMAGES MASKS") };
    let prepared = Prepared::find(Some(model))?;
    let spec = prepared.card.input.clone();
    let limits = Limits::within(Bytes::mb(512));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = Wanted { layer: None, score: Score::Logit, whole: true };
    let mut explainer = Explainer::start(prepared, &wanted, &SessionOptions { threads, spinning: false })?;
    let mut sums = Method::ALL.map(|method| (method, Sum::default()));
    let pictures: Vec<(PathBuf, PathBuf)> = pairs(images, masks)?;
    for (at, (picture, mask)) in pictures.iter().enumerate() {
        let open = |path: &Path| Source::Path(path.to_owned()).open(&limits);
        let read = spec.read(open(picture)?, &limits).with_context(|| format!("`{}`", picture.display()))?;
        let mask = lesion(&spec, &read_mask(&spec, mask, &limits)?);
        let explained = explainer.explain(&read.tensor, None)?;
        let activations = explained.activations.context("the graph gave no feature map")?;
        for (method, sum) in &mut sums {
            if *method == Method::ScoreCam && at % SCORE_CAM_STEP != 0 {
                continue;
            }
            let question = Question { method: *method, smooth: vec![], class: explained.class, layout: spec.layout };
            let map = map_of(&question, &activations, &mut explainer, &read.tensor, &mut ())?;
            let [height, width] = spec.size.map(|side| side as usize);
            let heat = bilinear(&map.view(), height, width, Corners::Edges);
            match heat_in_mask(&heat, &mask)? {
                Some(share) => {
                    sum.heat += share.heat;
                    sum.picture += share.picture;
                    sum.images += 1;
                }
                None => sum.flat += 1,
            }
        }
    }
    for (method, Sum { heat, picture, images, flat }) in sums {
        let ratio = heat / picture;
        println!("{{\"method\": \"{method}\", \"ratio\": {ratio:.4}, \"images\": {images}, \"flat\": {flat}}}");
    }
    Ok(())
}

/// Shares summed over pictures.
#[derive(Default)]
struct Sum {
    heat: f64,
    picture: f64,
    images: usize,
    /// Maps without heat, and masks without a lesion in what the network saw.
    flat: usize,
}

/// Pictures that have a mask, sorted.
fn pairs(images: &Path, masks: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mask = |picture: &Path| {
        let stem = picture.file_stem()?.to_str()?;
        ["", "_segmentation"].iter().map(|end| masks.join(format!("{stem}{end}.png"))).find(|path| path.is_file())
    };
    let found = expand(&[images.to_owned()])?.into_iter().filter_map(|source| match source {
        Source::Path(path) if !path.starts_with(masks) => mask(&path).map(|mask| (path, mask)),
        _ => None,
    });
    Ok(found.collect())
}

/// The mask as the network would see it, by the nearest pixel: 0 to 255.
fn read_mask(spec: &Preprocessing, path: &Path, limits: &Limits) -> Result<ndarray::Array4<f32>> {
    let filter = Filter::Nearest;
    let resize = match spec.resize {
        Resize::Stretch { .. } => Resize::Stretch { filter },
        Resize::Crop { shortest, .. } => Resize::Crop { shortest, filter },
        Resize::Pad { .. } => Resize::Pad { color: [0; 3], filter },
    };
    let spec = Preprocessing { resize, scale: 1.0, mean: [0.0; 3], std: [1.0; 3], ..spec.clone() };
    let stream = Source::Path(path.to_owned()).open(limits)?;
    Ok(spec.read(stream, limits).with_context(|| format!("`{}`", path.display()))?.tensor)
}

/// Where the mask is white.
fn lesion(spec: &Preprocessing, mask: &ndarray::Array4<f32>) -> Array2<bool> {
    let [height, width] = spec.size.map(|side| side as usize);
    Array2::from_shape_fn((height, width), |(y, x)| {
        let value = if spec.layout == Layout::Nchw { mask[[0, 0, y, x]] } else { mask[[0, y, x, 0]] };
        value > 127.0
    })
}
