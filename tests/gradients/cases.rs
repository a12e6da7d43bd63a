//! The cases, a file for each family of rules, and the shapes that they share.
pub mod arithmetic;
pub mod computed;
pub mod conv;
pub mod elementwise;
pub mod layout;
pub mod linear;
pub mod norm;
pub mod pool;
pub mod reduce;
pub mod resize;
pub mod softmax;
pub mod typed;

use crate::support::rng::Rng;

/// Usual values: both signs.
const USUAL: (f32, f32) = (-1.5, 1.5);
/// Values of which logarithms and roots exist.
const POSITIVE: (f32, f32) = (0.4, 2.0);

/// One to four axes of one to four positions.
fn any(rng: &mut Rng) -> Vec<usize> {
    let rank = rng.within(1, 4);
    let mut shape: Vec<usize> = (0..rank).map(|_| rng.within(1, 4)).collect();
    let at = rng.below(rank);
    shape[at] = rng.within(3, 5);
    shape
}

/// A feature map of two or three channels, higher or wider than square.
fn map(rng: &mut Rng) -> Vec<usize> {
    vec![rng.within(1, 2), rng.within(2, 3), rng.within(5, 7), rng.within(4, 8)]
}

/// A feature map of four channels, for groups.
fn groups(rng: &mut Rng) -> Vec<usize> {
    vec![rng.within(1, 2), 4, rng.within(4, 6), rng.within(5, 7)]
}

/// A map with one spatial axis.
fn line(rng: &mut Rng) -> Vec<usize> {
    vec![rng.within(1, 2), rng.within(2, 3), rng.within(7, 11)]
}

/// A map with three spatial axes.
fn volume(rng: &mut Rng) -> Vec<usize> {
    vec![1, rng.within(1, 2), rng.within(4, 5), rng.within(3, 4), rng.within(4, 6)]
}

/// A matrix.
fn matrix(rng: &mut Rng) -> Vec<usize> {
    vec![rng.within(2, 5), rng.within(2, 5)]
}
