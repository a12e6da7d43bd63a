//! Where the output channels of a weight lie, and its 8-bit integers with a scale for each of them.
use super::small::{LARGEST, PREFIX, Small};
use crate::onnx::{Graph, Node, TensorProto};

/// The operators of the runtime's blocked layout (onnxruntime: `core/graph/contrib_ops/nchwc_schema_defs.cc`).
const NCHWC: &str = "com.microsoft.nchwc";

/// A weight is seen as `[outer, middle, inner, rest]`, and has a scale for every pair of outer and inner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    outer: usize,
    middle: usize,
    inner: usize,
    rest: usize,
    /// The weight's own axis that `inner` is, where it is one and `outer` is 1.
    axis: Option<usize>,
}

impl Channels {
    /// None for what is no weight of a layer; of a layer that is also led back through, its own kind of channel counts. `block` is the number of
    /// channels in a block of the runtime's layout.
    pub fn of(graph: &Graph, name: &str, tensor: &TensorProto, block: usize) -> Option<Self> {
        graph.consumers(name).iter().find_map(|&at| Self::at(&graph.nodes[at], name, tensor, block))
    }

    /// By what one node makes of the weight.
    fn at(node: &Node, name: &str, tensor: &TensorProto, block: usize) -> Option<Self> {
        if node.given(1) != Some(name) {
            return None;
        }
        let shape: Vec<usize> = tensor.dims.iter().map(|&side| usize::try_from(side).ok()).collect::<Option<_>>()?;
        let along = |axis: usize| Self {
            outer: 1,
            middle: shape[..axis].iter().product(),
            inner: shape[axis],
            rest: shape[axis + 1..].iter().product(),
            axis: Some(axis),
        };
        match (node.domain.as_str(), node.op_type.as_str(), &shape[..]) {
            // OIHWBiBo and OIHWBo alike: the output channel within its block is the innermost axis.
            (NCHWC, "Conv", &[out, ..]) if out % block == 0 => {
                let middle = shape[1..].iter().product();
                Some(Self { outer: out / block, middle, inner: block, rest: 1, axis: None })
            }
            (_, "Conv" | "FusedConv", &[_, ..]) => Some(along(0)),
            // [in, out / group, height, width]: where there are groups, what is apart for certain are the input channels.
            (_, "ConvTranspose", &[_, _, ..]) => Some(along(usize::from(node.int("group").unwrap_or(1) == 1))),
            (_, "Gemm" | "FusedGemm", &[_, _]) => Some(along(usize::from(node.int("transB").unwrap_or_default() != 1))),
            (_, "MatMul" | "FusedMatMul", &[.., _]) if shape.len() >= 2 => Some(along(shape.len() - 1)),
            _ => None,
        }
    }

    /// The weight as int8, its largest value in every channel being 127 steps.
    pub fn quantized(self, name: &str, tensor: &TensorProto, values: &[f32]) -> Small {
        let Self { outer, middle, inner, rest, axis } = self;
        let at = |place: usize| place / (middle * inner * rest) * inner + place / rest % inner;
        let mut scales = vec![0f32; outer * inner];
        for (place, value) in values.iter().enumerate() {
            let scale = &mut scales[at(place)];
            *scale = scale.max(value.abs() / LARGEST);
        }
        let quantize = |(place, value): (usize, &f32)| {
            let scale = scales[at(place)];
            let steps = if scale > 0.0 { (value / scale).round_ties_even().clamp(-LARGEST, LARGEST) } else { 0.0 };
            (steps as i8).cast_unsigned()
        };
        let quantized: Vec<u8> = values.iter().enumerate().map(quantize).collect();
        let [stored, scale, blocks, shape] =
            ["", "/scale", "/blocks", "/shape"].map(|end| format!("{PREFIX}{name}{end}"));
        let dequantize = |output: &str| Node::new("DequantizeLinear", &[&stored, &scale], &[output]);
        let described = tensor.described(&stored, TensorProto::INT8);
        if let Some(axis) = axis {
            return Small {
                tensor: described,
                values: quantized,
                constants: vec![TensorProto::of_floats(&scale, &[scales.len()], &scales)],
                nodes: vec![dequantize(name).with("axis", axis as i64)],
                is_blocked: false,
            };
        }
        let seen = [outer, middle, inner];
        Small {
            tensor: TensorProto { dims: seen.iter().map(|&side| side as i64).collect(), ..described },
            values: quantized,
            constants: vec![
                TensorProto::of_floats(&scale, &[outer, 1, inner], &scales),
                TensorProto::of_ints(&shape, &[tensor.dims.len()], &tensor.dims),
            ],
            nodes: vec![
                dequantize(&blocks).with("axis", 1).with("block_size", middle as i64),
                Node::new("Reshape", &[&blocks, &shape], &[name]),
            ],
            is_blocked: true,
        }
    }
}
