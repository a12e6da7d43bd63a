//! `HiResCAM` (Draelos and Carin 2020): an element's weight is its gradient.
use super::Weights;

pub(super) fn weights() -> Weights {
    Weights::Elements(|gradient| gradient)
}
