//! How far a map can be believed: what the network answers when the places that it calls important, or the others, are changed.
//!
//! One file a check, each with its paper. They take the probability of the class that the map explains as a function of the tensor, so
//! that they know nothing of networks, logits or temperatures. None of them proves a map right.
mod average_drop;
mod blur;
mod impute;
mod insertion_deletion;
mod noise;
mod pointing;
mod road;
mod similarity;

pub use average_drop::{AverageDrop, Confidence, average, confidence};
pub use impute::impute;
pub use insertion_deletion::{AucSettings, Curve, InsertionDeletion, insertion_deletion};
pub(super) use noise::Noise;
pub use pointing::{HeatInMask, heat_in_mask};
pub use road::{Road, RoadSettings, RoadStep, road};
pub use similarity::{Similarity, similarity};

use super::Map;
use super::cam::planes::{planes, planes_mut};
use super::cam::{Corners, bilinear};
use crate::input::Layout;
use anyhow::{Result, ensure};
use ndarray::{Array4, ArrayView3, ArrayViewMut3, Axis};

/// The probability, 0 to 1, of the class that a map explains.
pub type Probability<'a> = dyn FnMut(&Array4<f32>) -> Result<f32> + 'a;

/// What takes the place of a removed pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The picture's own mean colour: the same for a card that subtracts a mean and for one that does not.
    Mean,
    /// 0 in the tensor, as RISE and pytorch-grad-cam have it: the training pictures' mean colour where the card subtracts that, black
    /// where it subtracts nothing.
    Zero,
}

impl Baseline {
    /// The value that each plane is filled with.
    fn of(self, planes: &ArrayView3<f32>) -> Vec<f32> {
        let mean = |plane: ndarray::ArrayView2<f32>| {
            (plane.iter().map(|&value| f64::from(value)).sum::<f64>() / plane.len() as f64) as f32
        };
        planes.outer_iter().map(|plane| if self == Self::Mean { mean(plane) } else { 0.0 }).collect()
    }
}

/// A picture as the network sees it, and the heat of each of its pixels.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    tensor: &'a Array4<f32>,
    layout: Layout,
    heat: Map,
}

impl<'a> Subject<'a> {
    /// `map` at any size; it is brought to the tensor's by [`bilinear`] with [`Corners::Edges`], which leaves one of that size as it is.
    pub fn new(tensor: &'a Array4<f32>, layout: Layout, map: &Map) -> Result<Self> {
        let (channels, height, width) = planes(tensor, layout).dim();
        ensure!(
            tensor.len_of(Axis(0)) == 1 && channels == 3 && height * width > 0,
            "the tensor is {:?}, which is not one picture of three channels in {layout}",
            tensor.dim()
        );
        ensure!(
            !map.is_empty() && map.iter().all(|heat| heat.is_finite()),
            "the map is empty or has values that are not finite"
        );
        Ok(Self { tensor, layout, heat: bilinear(&map.view(), height, width, Corners::Edges) })
    }

    fn planes(&self) -> ArrayView3<'a, f32> {
        planes(self.tensor, self.layout)
    }

    /// The planes of a changed copy of the tensor.
    fn planes_of<'b>(&self, tensor: &'b mut Array4<f32>) -> ArrayViewMut3<'b, f32> {
        planes_mut(tensor, self.layout)
    }

    /// Heat of each pixel in row-major order.
    fn heats(&self) -> Vec<f32> {
        self.heat.iter().copied().collect()
    }

    /// Number of pixels.
    fn pixels(&self) -> usize {
        self.heat.len()
    }

    /// Row and column of the pixel at a row-major position.
    fn place(&self, position: usize) -> (usize, usize) {
        (position / self.heat.ncols(), position % self.heat.ncols())
    }
}
