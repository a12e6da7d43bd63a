//! The methods, one small file each, which supplies only its weights; here is their registry and what makes maps of weights.
//!
//! Formulas are pytorch-grad-cam's (1.5.5), which is what people compare with; where it departs from a paper, the file says so. Every sum
//! is one of f64.
mod eigen_cam;
mod grad_cam;
mod grad_cam_plusplus;
mod hires_cam;
mod layer_cam;
pub(super) mod planes;
mod principal;
mod score_cam;
mod upsample;
mod weights;
mod xgrad_cam;

pub use upsample::{Corners, bilinear};
pub use weights::Weights;

use super::smooth::{self, Smooth};
use super::{Activations, Map, Network};
use crate::input::Layout;
use crate::units::Progress;
use anyhow::{Result, anyhow, ensure};
use ndarray::{Array2, Array4};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A way to make a map of a feature map A `[C, h, w]` and of the gradient dS/dA of a class's score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// Each channel weighed by its mean gradient. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    /// Localization", ICCV 2017, arXiv 1610.02391.
    #[serde(rename = "gradcam")]
    GradCam,
    /// Positive gradients only, weighed so that several objects of a class count alike. Chattopadhay et al., "Grad-CAM++: Generalized
    /// Gradient-based Visual Explanations for Deep Convolutional Networks", WACV 2018, arXiv 1710.11063.
    #[serde(rename = "gradcam++")]
    GradCamPlusPlus,
    /// Gradients averaged with the activation as weight. Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation
    /// of CNNs", BMVC 2020, arXiv 2008.02312.
    #[serde(rename = "xgradcam")]
    XGradCam,
    /// Gradient times activation, element by element. Draelos and Carin, "Use `HiResCAM` instead of Grad-CAM for faithful explanations of
    /// convolutional neural networks", 2020, arXiv 2011.08891.
    #[serde(rename = "hirescam")]
    HiResCam,
    /// Positive gradient times activation, element by element; good in earlier layers. Jiang et al., "`LayerCAM`: Exploring Hierarchical
    /// Class Activation Maps for Localization", IEEE Transactions on Image Processing 30, 2021.
    #[serde(rename = "layercam")]
    LayerCam,
    /// The first principal component of the activation; knows nothing of the class. Muhammad and Yeasin, "Eigen-CAM: Class Activation Map
    /// using Principal Components", IJCNN 2020, arXiv 2008.00299.
    #[serde(rename = "eigencam")]
    EigenCam,
    /// Each channel weighed by the score of the picture seen through it: no gradient, one forward pass a channel. Wang et al.,
    /// "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR Workshops 2020, arXiv 1910.01279.
    #[serde(rename = "scorecam")]
    ScoreCam,
}

impl Method {
    /// Every method, in the order in which they are listed to users.
    pub const ALL: [Self; 7] = [
        Self::GradCam,
        Self::GradCamPlusPlus,
        Self::XGradCam,
        Self::HiResCam,
        Self::LayerCam,
        Self::EigenCam,
        Self::ScoreCam,
    ];

    /// The name in commands and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradCam => "gradcam",
            Self::GradCamPlusPlus => "gradcam++",
            Self::XGradCam => "xgradcam",
            Self::HiResCam => "hirescam",
            Self::LayerCam => "layercam",
            Self::EigenCam => "eigencam",
            Self::ScoreCam => "scorecam",
        }
    }

    /// Whether the gradient enters the map; without it any layer will do, whatever operators follow.
    pub fn needs_gradient(self) -> bool {
        !matches!(self, Self::EigenCam | Self::ScoreCam)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|method| method.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(|method| format!("`{method}`")).join(", ");
            anyhow!("there is no method `{text}`; choose one of {names}")
        })
    }
}

/// Which map is wanted.
#[derive(Clone, Debug)]
pub struct Question {
    /// How the map is made.
    pub method: Method,
    /// How it is smoothed; may be empty.
    pub smooth: Vec<Smooth>,
    /// Index of the class that is explained.
    pub class: usize,
    /// Order of the tensor's axes.
    pub layout: Layout,
}

/// The map of what `network` saw in `tensor`, `[h, w]` at the feature map's size.
///
/// With [`Smooth::Aug`] it is the mean of maps that were each brought to 0..1, otherwise it is raw.
pub fn map(
    question: &Question,
    network: &mut dyn Network,
    tensor: &Array4<f32>,
    progress: &mut dyn Progress,
) -> Result<Map> {
    let mut view = |view: &Array4<f32>, progress: &mut dyn Progress| {
        let activations = network.activations(view, question.class)?;
        map_of(question, &activations, network, view, progress)
    };
    if !question.smooth.contains(&Smooth::Aug) {
        return view(tensor, progress);
    }
    if question.method == Method::ScoreCam {
        // One view takes it hundreds of runs, of which it tells itself.
        return smooth::augmented(tensor, question.layout, &mut |tensor| view(tensor, progress));
    }
    progress.start("views", smooth::VIEWS);
    let map = smooth::augmented(tensor, question.layout, &mut |tensor| {
        let map = view(tensor, &mut ());
        progress.step()?;
        map
    });
    progress.finish();
    map
}

/// The raw map of activations that are at hand already, for several methods on one run of the network; [`Smooth::Aug`] is not looked at.
///
/// Only [`Method::ScoreCam`] asks `network` anything further, with parts of `tensor`, which has to be what gave the activations.
pub fn map_of(
    question: &Question,
    activations: &Activations,
    network: &mut dyn Network,
    tensor: &Array4<f32>,
    progress: &mut dyn Progress,
) -> Result<Map> {
    let (a, g) = (&activations.activation, &activations.gradient);
    let finite = |values: &ndarray::Array3<f32>| values.iter().all(|value| value.is_finite());
    ensure!(!a.is_empty(), "the feature map is empty ({:?}); choose another with `--layer`", a.dim());
    ensure!(finite(a), "the feature map has values that are not finite; choose another with `--layer`");
    if question.method.needs_gradient() {
        ensure!(a.dim() == g.dim(), "the gradient is {:?} and the feature map {:?}", g.dim(), a.dim());
        ensure!(finite(g), "the gradient has values that are not finite; try `--layer` or `--score`");
    }
    let weights = match question.method {
        Method::GradCam => grad_cam::weights(activations),
        Method::GradCamPlusPlus => grad_cam_plusplus::weights(activations),
        Method::XGradCam => xgrad_cam::weights(activations),
        Method::HiResCam => hires_cam::weights(),
        Method::LayerCam => layer_cam::weights(),
        Method::EigenCam => eigen_cam::weights(),
        Method::ScoreCam => score_cam::weights(question, activations, network, tensor, progress)?,
    };
    let eigen = question.method == Method::EigenCam || question.smooth.contains(&Smooth::Eigen);
    let map = if eigen { principal::component(&weights, activations) } else { weights.sum(activations) };
    relu(&map)
}

/// A map brought to 0..1, the least value to 0 and the largest to 1; zeros where it is one value all over.
pub fn normalised(map: &Map) -> Map {
    let least = map.iter().copied().fold(f32::INFINITY, f32::min);
    let most = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let span = f64::from(most) - f64::from(least);
    map.mapv(|value| if span > 0.0 { ((f64::from(value) - f64::from(least)) / span) as f32 } else { 0.0 })
}

/// A map without what speaks against the class. Overflow is an error: `ReLU` alone would turn what is not a number into "no heat".
fn relu(map: &Array2<f64>) -> Result<Map> {
    let map = map.mapv(|value| value as f32);
    ensure!(
        map.iter().all(|value| value.is_finite()),
        "the map has values that are not finite; try another `--method`"
    );
    Ok(map.mapv(|value| value.max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_on_the_command_line_and_in_files() {
        for method in Method::ALL {
            assert_eq!(method.name().parse::<Method>().unwrap(), method);
            assert_eq!(serde_json::to_string(&method).unwrap(), format!("\"{method}\""));
        }
        let error = "GradCAM".parse::<Method>().unwrap_err().to_string();
        assert!(error.contains("`GradCAM`") && error.contains("`gradcam++`"), "{error}");
    }

    #[test]
    fn what_is_not_a_number_is_an_error_and_not_a_cold_spot() {
        let error = relu(&ndarray::array![[1.0, f64::NAN]]).unwrap_err().to_string();
        assert!(error.contains("not finite"), "{error}");
        assert!(relu(&ndarray::array![[1e300]]).is_err(), "more than f32 holds");
        assert_eq!(relu(&ndarray::array![[-1.0, 2.0]]).unwrap(), ndarray::array![[0.0, 2.0]]);
    }
}
