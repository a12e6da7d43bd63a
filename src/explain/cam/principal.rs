//! The first principal component of a weighted feature map: each position is a sample of C values.
use super::super::Activations;
use super::Weights;
use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array1, Array2, Axis};

/// Positions projected on the direction of largest variance over positions, `[h, w]`; its mean is 0.
///
/// A principal component has no sign. It is chosen so that the map correlates positively with the sum over channels, which is the mean
/// activation for Eigen-CAM and the plain map for other methods; where the two do not correlate at all, so that the farthest value is
/// positive. (pytorch-grad-cam leaves the sign to its SVD.)
pub(super) fn component(weights: &Weights, activations: &Activations) -> Array2<f64> {
    let (channels, height, width) = activations.activation.dim();
    let mut samples = Array2::zeros((height * width, channels));
    weights.for_each(activations, |channel, position, value| samples[[position, channel]] = value);
    if let Some(mean) = samples.mean_axis(Axis(0)) {
        samples -= &mean;
    }
    let mut projection = projection(&samples);
    let along = projection.dot(&samples.sum_axis(Axis(1)));
    let farthest = projection.iter().fold(0.0f64, |far, &value| if value.abs() > far.abs() { value } else { far });
    if along < 0.0 || along == 0.0 && farthest < 0.0 {
        projection.mapv_inplace(|value| -value);
    }
    Array2::from_shape_fn((height, width), |(y, x)| projection[y * width + x])
}

/// Samples `[N, C]`, centred, on their first right singular vector: by the eigenvectors of the smaller of the two Gram matrices, which
/// have the same largest eigenvalue, the square of the singular value.
fn projection(samples: &Array2<f64>) -> Array1<f64> {
    let (count, channels) = samples.dim();
    let by_position = count <= channels;
    let gram = if by_position { samples.dot(&samples.t()) } else { samples.t().dot(samples) };
    let side = gram.nrows();
    // Symmetric: rows and columns may change places.
    let eigen = SymmetricEigen::new(DMatrix::from_iterator(side, side, gram));
    let largest = eigen.eigenvalues.imax();
    let vector = Array1::from_iter(eigen.eigenvectors.column(largest).iter().copied());
    if by_position { vector * eigen.eigenvalues[largest].max(0.0).sqrt() } else { samples.dot(&vector) }
}
