//! The arithmetic of sliding windows (Conv, ConvTranspose, pooling): strides, dilations and pads of each spatial axis, `auto_pad` resolved.
use crate::onnx::node::Node;

/// One spatial axis of a sliding window. The output has `out` positions; window `o` starts at `o * stride - pad_begin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAxis {
    /// Length of the input axis.
    pub input: usize,
    /// Window positions.
    pub kernel: usize,
    /// Step from window to window.
    pub stride: usize,
    /// Step within a window.
    pub dilation: usize,
    /// Padding before the axis.
    pub pad_begin: usize,
    /// Padding behind the axis, as the node states it; a window may reach beyond it with `ceil_mode`.
    pub pad_end: usize,
    /// Length of the output axis.
    pub out: usize,
}

impl WindowAxis {
    /// Input positions from the first to the last that a window covers.
    pub fn extent(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// How far the last window ends behind the input (positive: in the padding) or before its end (negative: a rest is never seen).
    pub fn overhang(&self) -> i64 {
        ((self.out - 1) * self.stride + self.extent()) as i64 - (self.pad_begin + self.input) as i64
    }
}

/// The windows of a Conv or pooling node over an input of `shape` `[N, C, ...]`, one a spatial axis.
pub fn windows(node: &Node, shape: &[usize], kernel: &[usize]) -> Option<Vec<WindowAxis>> {
    let spatial = shape.get(2..)?;
    let n = spatial.len();
    if kernel.len() != n {
        return None;
    }
    let list = |name: &str, usual: usize| -> Option<Vec<usize>> {
        match node.ints(name).filter(|all| !all.is_empty()) {
            None => Some(vec![usual; n]),
            Some(all) => all.iter().map(|&v| usize::try_from(v).ok()).collect(),
        }
    };
    let (strides, dilations) = (list("strides", 1)?, list("dilations", 1)?);
    let pads = match node.ints("pads").filter(|all| !all.is_empty()) {
        None => vec![0; 2 * n],
        Some(all) => all.iter().map(|&v| usize::try_from(v).ok()).collect::<Option<Vec<_>>>()?,
    };
    if strides.len() != n || dilations.len() != n || pads.len() != 2 * n || strides.contains(&0) || kernel.contains(&0)
    {
        return None;
    }
    let ceil = node.int("ceil_mode") == Some(1);
    let auto = node.text("auto_pad").unwrap_or("NOTSET");
    (0..n)
        .map(|i| {
            let mut axis = WindowAxis {
                input: spatial[i],
                kernel: kernel[i],
                stride: strides[i],
                dilation: dilations[i],
                pad_begin: pads[i],
                pad_end: pads[n + i],
                out: 0,
            };
            match auto {
                "SAME_UPPER" | "SAME_LOWER" => {
                    axis.out = axis.input.div_ceil(axis.stride);
                    let all = ((axis.out - 1) * axis.stride + axis.extent()).saturating_sub(axis.input);
                    axis.pad_begin = if auto == "SAME_UPPER" { all / 2 } else { all.div_ceil(2) };
                    axis.pad_end = all - axis.pad_begin;
                    return Some(axis);
                }
                "VALID" => (axis.pad_begin, axis.pad_end) = (0, 0),
                _ => {}
            }
            let room = (axis.input + axis.pad_begin + axis.pad_end).checked_sub(axis.extent())?;
            axis.out = if ceil { room.div_ceil(axis.stride) } else { room / axis.stride } + 1;
            // A last window that starts in the padding behind the input is left out (ONNX 1.16 and later, PyTorch).
            if ceil && (axis.out - 1) * axis.stride >= axis.input + axis.pad_begin {
                axis.out -= 1;
            }
            Some(axis)
        })
        .collect()
}
