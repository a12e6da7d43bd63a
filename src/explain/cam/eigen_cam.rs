//! Eigen-CAM (Muhammad and Yeasin 2020): no weights; the map is the first principal component of the activation ([`super::principal`]).
//!
//! The paper does not subtract the mean before the decomposition; pytorch-grad-cam does, and so does this.
use super::Weights;

pub(super) fn weights() -> Weights {
    Weights::Ones
}
