//! What a method multiplies the feature map with, and the sum over channels that makes a map.
use super::super::Activations;
use ndarray::Array2;

/// Weights of a feature map `[C, h, w]`.
#[derive(Clone, Debug)]
pub enum Weights {
    /// One a channel.
    Channels(Vec<f64>),
    /// One an element, made of the gradient there; a function, so that no second array of that size is needed.
    Elements(fn(f64) -> f64),
    /// 1 everywhere.
    Ones,
}

impl Weights {
    /// The weight of an element of `channel` where the gradient is `gradient`.
    fn of(&self, channel: usize, gradient: f32) -> f64 {
        match self {
            Self::Channels(weights) => weights[channel],
            Self::Elements(weight) => weight(gradient.into()),
            Self::Ones => 1.0,
        }
    }

    /// Calls `each` with channel, row-major position and weighted activation of every element.
    pub(super) fn for_each(&self, activations: &Activations, mut each: impl FnMut(usize, usize, f64)) {
        let channels = activations.activation.outer_iter();
        // Methods that need no gradient may be given none.
        let mut gradients = activations.gradient.outer_iter();
        for (channel, values) in channels.enumerate() {
            let gradient = gradients.next();
            let gradient = gradient.iter().flatten().copied().chain(std::iter::repeat(0.0));
            for (position, (&value, gradient)) in values.iter().zip(gradient).enumerate() {
                each(channel, position, self.of(channel, gradient) * f64::from(value));
            }
        }
    }

    /// The weighted activations summed over channels, `[h, w]`.
    pub(super) fn sum(&self, activations: &Activations) -> Array2<f64> {
        let (_, height, width) = activations.activation.dim();
        let mut sums = vec![0.0; height * width];
        self.for_each(activations, |_, position, value| sums[position] += value);
        Array2::from_shape_fn((height, width), |(y, x)| sums[y * width + x])
    }
}
