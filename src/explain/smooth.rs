//! Smoother maps: the mean over slightly changed pictures, or the first principal component instead of the sum over channels.
use super::Map;
use super::cam;
use super::cam::planes::{planes, planes_mut};
use crate::input::Layout;
use anyhow::{Result, bail};
use ndarray::{Array4, s};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the normalised tensor is multiplied by.
const FACTORS: [f32; 3] = [0.9, 1.0, 1.1];
/// Runs of the network for one map.
pub(super) const VIEWS: u64 = 2 * FACTORS.len() as u64;

/// A way to smooth a map, as in pytorch-grad-cam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Smooth {
    /// Test-time augmentation: the picture and its mirror image, the tensor times 0.9, 1 and 1.1; six runs. Each map is brought to 0..1,
    /// turned back, and the mean taken. (pytorch-grad-cam brings them to 0..1 once more after it has upsampled them.)
    Aug,
    /// The first principal component of the weighted activations takes the place of their sum. The sign is that of the sum.
    Eigen,
}

impl fmt::Display for Smooth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Aug => "aug",
            Self::Eigen => "eigen",
        })
    }
}

impl FromStr for Smooth {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "aug" => Ok(Self::Aug),
            "eigen" => Ok(Self::Eigen),
            _ => bail!("there is no smoothing `{text}`; choose `aug` or `eigen`"),
        }
    }
}

/// The mean of the maps that `explain` makes of six views of `tensor`, each brought to 0..1 and turned back.
pub(super) fn augmented(
    tensor: &Array4<f32>,
    layout: Layout,
    explain: &mut dyn FnMut(&Array4<f32>) -> Result<Map>,
) -> Result<Map> {
    let mut view = tensor.clone();
    let mut mean = Map::default((0, 0));
    for mirrored in [false, true] {
        let step = if mirrored { -1 } else { 1 };
        for factor in FACTORS {
            planes_mut(&mut view, layout).assign(&planes(tensor, layout).slice(s![.., .., ..;step]));
            view.mapv_inplace(|value| value * factor);
            let map = cam::normalised(&explain(&view)?) / VIEWS as f32;
            let map = map.slice_move(s![.., ..;step]);
            mean = if mean.is_empty() { map } else { mean + map };
        }
    }
    Ok(mean)
}
