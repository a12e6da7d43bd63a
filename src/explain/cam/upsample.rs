//! Bilinear interpolation of a map to the size of what the network saw.
use ndarray::{Array2, ArrayView2};

/// Which positions of the two grids lie on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corners {
    /// The centres of the corner elements (`align_corners=True`), as Score-CAM's masks have it.
    Aligned,
    /// The outer edges, so that an element covers the part of the picture that it came from (`cv2.resize`, `align_corners=False`).
    Edges,
}

/// Two neighbours along an axis, and how much of the second is taken.
struct Between {
    first: usize,
    second: usize,
    share: f64,
}

fn axis(source: usize, target: usize, corners: Corners) -> Vec<Between> {
    let between = |position: usize| {
        let at = match corners {
            Corners::Aligned if target > 1 => position as f64 * (source - 1) as f64 / (target - 1) as f64,
            Corners::Aligned => 0.0,
            Corners::Edges => ((position as f64 + 0.5) * source as f64 / target as f64 - 0.5).max(0.0),
        };
        let first = (at as usize).min(source - 1);
        Between { first, second: (first + 1).min(source - 1), share: at - first as f64 }
    };
    (0..target).map(between).collect()
}

/// `map` at `[height, width]`. Between the outermost centres and the edge the outermost value stays. Panics if `map` is empty.
pub fn bilinear(map: &ArrayView2<f32>, height: usize, width: usize, corners: Corners) -> Array2<f32> {
    let (rows, columns) = (axis(map.nrows(), height, corners), axis(map.ncols(), width, corners));
    Array2::from_shape_fn((height, width), |(y, x)| {
        let (row, column) = (&rows[y], &columns[x]);
        let along = |y: usize| {
            let [left, right] = [column.first, column.second].map(|x| f64::from(map[[y, x]]));
            left + (right - left) * column.share
        };
        let (above, below) = (along(row.first), along(row.second));
        (above + (below - above) * row.share) as f32
    })
}
