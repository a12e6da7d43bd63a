//! How a graph's weights are stored: as they are, as half floats, or as 8-bit integers, with nodes in front that make float32 of them.
//!
//! Such a node stands before all others, so that the runtime executes it right before its consumer and frees what it gave at once (DESIGN.md,
//! section 4): the process holds the small weights, and one layer's large ones.
use crate::onnx::{External, Graph, Node, Patch, SMALLEST, TensorProto, WeightsWriter, upgrade};
use anyhow::{Context, Result};
use half::f16;
use std::collections::BTreeMap;
use std::io::Write;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// As they are.
    Exact,
    /// IEEE 754 binary16; computed in float32.
    Half,
    /// Symmetric int8 with a scale for each output channel; computed in float32.
    Int8,
}

/// Names of what is added begin with this.
const PREFIX: &str = "dermai.weights/";
/// Blocked scales need this operator set (onnx/docs/Changelog.md: `DequantizeLinear`-21).
const BLOCKED: i64 = 21;
/// The operators of the runtime's blocked layout (onnxruntime: `core/graph/contrib_ops/nchwc_schema_defs.cc`).
const NCHWC: &str = "com.microsoft.nchwc";
/// The largest int8 of a symmetric scale.
const LARGEST: f32 = 127.0;

/// The edit that stores the weights of `graph` in `weights`; their values are read through `external`. `block` is the number of channels in
/// a block of the runtime's blocked layout.
///
/// # Errors
/// When a weight cannot be read or written.
pub fn store<W: Write>(
    graph: &Graph,
    external: &mut External,
    storage: Storage,
    block: usize,
    weights: &mut WeightsWriter<W>,
) -> Result<Patch> {
    let mut patch = Patch::default();
    let mut is_blocked = false;
    // Their order decides where they lie in the file: the same input has to give the same bytes.
    let all: BTreeMap<&str, &TensorProto> =
        graph.initializer_names().filter_map(|name| Some((name, graph.initializer(name)?))).collect();
    for (name, tensor) in all {
        let values = external.bytes(tensor)?;
        if values.len() < SMALLEST {
            // It may lie beside the graph all the same, in a file that does not stay.
            if tensor.data_location != 0 {
                patch.initializers.push(tensor.with_values(&values));
            }
            continue;
        }
        let kept = if tensor.is_float() { small(graph, name, tensor, &values, storage, block) } else { None };
        match kept {
            None => patch.initializers.push(weights.put(tensor, &values)?),
            Some(small) => {
                is_blocked |= small.is_blocked;
                patch.initializers.push(weights.put(&small.tensor, &small.values)?);
                patch.initializers.extend(small.constants);
                patch.front.extend(small.nodes);
                patch.dropped.push(name.to_owned());
            }
        }
    }
    if is_blocked {
        let raised = upgrade(graph, BLOCKED, PREFIX).context("its weights cannot be stored in blocks")?;
        patch.opset = raised.opset;
        patch.replaced = raised.replaced;
        patch.initializers.extend(raised.initializers);
    }
    Ok(patch)
}

/// A weight in a smaller type, and the nodes that make float32 of it.
struct Small {
    /// Name, type and shape.
    tensor: TensorProto,
    values: Vec<u8>,
    /// Scales and shapes.
    constants: Vec<TensorProto>,
    nodes: Vec<Node>,
    is_blocked: bool,
}

/// The weight in the wanted type; none where it stays as it is.
fn small(
    graph: &Graph,
    name: &str,
    tensor: &TensorProto,
    values: &[u8],
    storage: Storage,
    block: usize,
) -> Option<Small> {
    let floats = || values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    match storage {
        Storage::Exact => None,
        Storage::Half => halved(name, tensor, floats()),
        Storage::Int8 => {
            let channels = Channels::of(graph, name, tensor, block)?;
            Some(channels.quantized(name, tensor, &floats().collect::<Vec<_>>()))
        }
    }
}

/// None where a value is too large for a half float: the weight stays as it is.
fn halved(name: &str, tensor: &TensorProto, floats: impl Iterator<Item = f32>) -> Option<Small> {
    let mut values = Vec::new();
    for value in floats {
        let half = f16::from_f32(value);
        if half.is_infinite() && value.is_finite() {
            return None;
        }
        values.extend(half.to_le_bytes());
    }
    let stored = format!("{PREFIX}{name}");
    Some(Small {
        tensor: tensor.described(&stored, TensorProto::FLOAT16),
        values,
        constants: Vec::new(),
        nodes: vec![Node::new("Cast", &[&stored], &[name]).with("to", i64::from(TensorProto::FLOAT))],
        is_blocked: false,
    })
}

/// Where the output channels of a weight lie: it is seen as `[outer, middle, inner]`, and each has a scale for every pair of outer and inner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Channels {
    outer: usize,
    middle: usize,
    inner: usize,
}

impl Channels {
    /// None for what is no weight of a layer.
    fn of(graph: &Graph, name: &str, tensor: &TensorProto, block: usize) -> Option<Self> {
        let &[at] = graph.consumers(name) else { return None };
        let node = &graph.nodes[at];
        if node.given(1) != Some(name) {
            return None;
        }
        let shape: Vec<usize> = tensor.dims.iter().map(|&side| usize::try_from(side).ok()).collect::<Option<_>>()?;
        let count: usize = shape.iter().product();
        let rows = |outer: usize| Self { outer, middle: count / outer.max(1), inner: 1 };
        let columns = |inner: usize| Self { outer: 1, middle: count / inner.max(1), inner };
        match (node.domain.as_str(), node.op_type.as_str(), &shape[..]) {
            // OIHWBiBo and OIHWBo alike: the output channel within its block is the innermost axis.
            (NCHWC, "Conv", &[out, ..]) if out % block == 0 => {
                Some(Self { outer: out / block, middle: count / out, inner: block })
            }
            (_, "Conv" | "FusedConv", &[out, ..]) => Some(rows(out)),
            (_, "Gemm" | "FusedGemm", &[first, second]) => {
                Some(if node.int("transB").unwrap_or_default() == 1 { rows(first) } else { columns(second) })
            }
            (_, "MatMul" | "FusedMatMul", &[.., last]) if shape.len() >= 2 => Some(columns(last)),
            _ => None,
        }
    }

    fn quantized(self, name: &str, tensor: &TensorProto, values: &[f32]) -> Small {
        let Self { outer, middle, inner } = self;
        let at = |place: usize| place / (middle * inner) * inner + place % inner;
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
        let is_last = outer == 1 && tensor.dims.last() == Some(&(inner as i64));
        if inner == 1 || is_last {
            // Along an axis that the weight has by itself: the first, or the last.
            let axis = if inner == 1 { 0 } else { tensor.dims.len() as i64 - 1 };
            return Small {
                tensor: described,
                values: quantized,
                constants: vec![TensorProto::of_floats(&scale, &[scales.len()], &scales)],
                nodes: vec![dequantize(name).with("axis", axis)],
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
