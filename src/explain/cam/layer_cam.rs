//! `LayerCAM` (Jiang et al. 2021): an element's weight is its gradient where that is positive.
use super::Weights;

pub(super) fn weights() -> Weights {
    Weights::Elements(|gradient| gradient.max(0.0))
}
