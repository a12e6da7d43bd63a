//! Where a classifier looked: class activation maps from a plain ONNX graph, with gradients computed by nodes that are added to it.
//!
//! Invariants: prints nothing; every map that is not zero comes from the network that answered; an operator without a backward rule is an
//! error, never a wrong map.
pub mod backward;
pub mod cam;
mod channels;
mod check;
mod engine;
mod explainer;
pub mod faithfulness;
mod layers;
pub mod overlay;
mod randomise;
mod rehearsal;
mod run;
mod score;
pub mod smooth;

pub use check::{Checked, Mean, Report, check};
pub use engine::Engine;
pub use explainer::{Explained, Explainer, Reading, Wanted, layer_named, layers_of};
pub use layers::{Layer, Layers};
pub use rehearsal::Rehearsal;
pub use run::{Classes, Explanation, Options, Sink, Watch, picture, run};
pub use score::{Head, Score};

use anyhow::Result;
use ndarray::{Array2, Array3, Array4};

/// What a map explains: `[h, w]`, at the feature map's size, after ReLU, before normalisation and upsampling.
pub type Map = Array2<f32>;

/// A feature map and the gradient of the score with respect to it, both `[C, h, w]`, whatever the graph's layout.
#[derive(Clone, Debug)]
pub struct Activations {
    /// The feature map A.
    pub activation: Array3<f32>,
    /// dS/dA.
    pub gradient: Array3<f32>,
}

/// What methods and checks ask of a network. Tensors are `[1, 3, H, W]` or `[1, H, W, 3]`, as the card's layout says.
pub trait Network {
    /// The scores of all classes, logits or probabilities as the user chose.
    fn scores(&mut self, tensor: &Array4<f32>) -> Result<Vec<f32>>;
    /// The feature map of the chosen layer and the gradient of `class`'s score with respect to it.
    fn activations(&mut self, tensor: &Array4<f32>, class: usize) -> Result<Activations>;
}
