//! The energy-based pointing game (Wang et al., "Score-CAM", CVPR Workshops 2020, arXiv 1910.01279): how much of the heat lies on the object?
use crate::explain::Map;
use anyhow::{Result, ensure};
use ndarray::Array2;
use serde::Serialize;

/// Heat within a mask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HeatInMask {
    /// Share of the heat that lies inside the mask, 0 to 1; what the paper calls the proportion. Higher is better, but a large object
    /// gets a large share from any map.
    pub heat: f64,
    /// Share of the picture that the mask covers, which is what a map that is one value all over would give: 0 to 1.
    pub picture: f64,
}

impl HeatInMask {
    /// One over the other: 1 is chance, higher is better, at most 1 over the mask's share.
    pub fn ratio(self) -> f64 {
        self.heat / self.picture
    }
}

/// The share of `heat` (upsampled, `[H, W]`, nothing negative) inside `mask`. `None` where there is no heat or the mask is empty.
pub fn heat_in_mask(heat: &Map, mask: &Array2<bool>) -> Result<Option<HeatInMask>> {
    ensure!(
        heat.dim() == mask.dim(),
        "the map is {:?} and the mask {:?}; bring the map to the mask's size",
        heat.dim(),
        mask.dim()
    );
    ensure!(
        heat.iter().all(|heat| heat.is_finite() && *heat >= 0.0),
        "a map of heat has no values below 0 or not finite"
    );
    let total: f64 = heat.iter().map(|&heat| f64::from(heat)).sum();
    let inside: f64 = heat.iter().zip(mask).filter(|(_, mask)| **mask).map(|(&heat, _)| f64::from(heat)).sum();
    let covered = mask.iter().filter(|mask| **mask).count();
    let defined = total > 0.0 && covered > 0;
    Ok(defined.then(|| HeatInMask { heat: inside / total, picture: covered as f64 / mask.len() as f64 }))
}
