//! A tensor `[1, 3, H, W]` or `[1, H, W, 3]` seen as its planes `[3, H, W]`; nothing is copied.
use crate::input::Layout;
use ndarray::{Array4, ArrayView3, ArrayViewMut3, Axis};

/// Where H and W are once the first axis is gone, and where the channels are.
fn order(layout: Layout) -> [usize; 3] {
    match layout {
        Layout::Nchw => [0, 1, 2],
        Layout::Nhwc => [2, 0, 1], // [H, W, 3] -> [3, H, W]
    }
}

/// The planes of the first picture of `tensor`.
pub(in crate::explain) fn planes(tensor: &Array4<f32>, layout: Layout) -> ArrayView3<'_, f32> {
    tensor.index_axis(Axis(0), 0).permuted_axes(order(layout))
}

/// The same to write to.
pub(in crate::explain) fn planes_mut(tensor: &mut Array4<f32>, layout: Layout) -> ArrayViewMut3<'_, f32> {
    tensor.index_axis_mut(Axis(0), 0).permuted_axes(order(layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_show_the_same_planes() {
        let value = |c: usize, y: usize, x: usize| (100 * c + 10 * y + x) as f32;
        let mut nchw = Array4::from_shape_fn((1, 3, 4, 5), |(_, c, y, x)| value(c, y, x));
        let mut nhwc = Array4::from_shape_fn((1, 4, 5, 3), |(_, y, x, c)| value(c, y, x));
        for (tensor, layout) in [(&mut nchw, Layout::Nchw), (&mut nhwc, Layout::Nhwc)] {
            assert_eq!(planes(tensor, layout).dim(), (3, 4, 5));
            assert!(planes(tensor, layout).indexed_iter().all(|((c, y, x), &v)| v == value(c, y, x)), "{layout}");
            planes_mut(tensor, layout)[[1, 2, 3]] = -1.0;
        }
        assert_eq!((nchw[[0, 1, 2, 3]], nhwc[[0, 2, 3, 1]]), (-1.0, -1.0));
    }
}
