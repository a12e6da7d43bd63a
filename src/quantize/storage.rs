//! How a graph's weights are stored: as they are, as half floats, or as 8-bit integers, with nodes in front that make float32 of them.
//!
//! Such a node stands before all others, so that the runtime executes it right before its consumer and frees what it gave at once (DESIGN.md,
//! section 4): the process holds the small weights, and one layer's large ones.
use super::blocked::{Blocked, LEAST_OPSET};
use super::channels::Channels;
use super::small::{PREFIX, Small};
use crate::onnx::{External, Graph, Node, Patch, SMALLEST, TensorProto, WeightsWriter, upgrade};
use anyhow::{Context, Result};
use half::f16;
use std::collections::{BTreeMap, HashSet};
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

/// Constants from this size on lie in the file of weights, where all graphs share them; smaller ones are not worth an entry.
const SHARED: usize = 256;
/// Blocked scales need this operator set (onnx/docs/Changelog.md: `DequantizeLinear`-21).
const BLOCKED: i64 = 21;

/// What is wanted of a graph's weights.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Their type.
    pub storage: Storage,
    /// Channels in a block of the runtime's blocked layout.
    pub block: usize,
    /// Whether a weight that the file holds in blocks is not stored again: nodes in front lead back from the blocks.
    pub from_blocks: bool,
}

/// The edit that stores the weights of `graph` in `weights`; their values are read through `external`.
///
/// # Errors
/// When a weight cannot be read or written.
pub fn store<W: Write>(
    graph: &Graph,
    external: &mut External,
    wanted: Wanted,
    weights: &mut WeightsWriter<W>,
) -> Result<Patch> {
    let mut patch = Patch::default();
    let mut is_blocked = false;
    // Their order decides where they lie in the file: the same input has to give the same bytes.
    let all: BTreeMap<&str, &TensorProto> =
        graph.initializer_names().filter_map(|name| Some((name, graph.initializer(name)?))).collect();
    for (name, tensor) in all {
        let values = external.bytes(tensor)?;
        let is_weight = values.len() >= SMALLEST;
        // Shapes are read before weights are.
        let is_shared = !tensor.is_integer64() && values.len() >= SHARED;
        if !is_weight && !is_shared {
            // It may lie beside the graph all the same, in a file that does not stay.
            if tensor.data_location != 0 {
                patch.initializers.push(tensor.with_values(&values));
            }
            continue;
        }
        let may_be_small = tensor.is_float() && is_weight && !is_scale(graph, name);
        let kept = if may_be_small { small(graph, name, tensor, &values, wanted) } else { None };
        let (whole, values, nodes) = match kept {
            None => (tensor.described(name, tensor.data_type), values, Vec::new()),
            Some(small) => {
                is_blocked |= small.is_blocked;
                for constant in small.constants {
                    let is_shared = !constant.is_integer64() && constant.raw_data.len() >= SHARED;
                    let kept = if is_shared { weights.put(&constant, &constant.raw_data)? } else { constant };
                    patch.initializers.push(kept);
                }
                (small.tensor, small.values.into(), small.nodes)
            }
        };
        let may_lie_in_blocks = wanted.from_blocks && graph.opset >= LEAST_OPSET && is_kernel(graph, name);
        let found = if may_lie_in_blocks { in_blocks(&whole, &values, wanted.block, weights) } else { None };
        let (stored, bytes) = match found {
            None => (whole, values),
            Some((layout, blocked)) => {
                let undone = layout.undone(&whole, PREFIX);
                patch.initializers.extend(undone.constants);
                patch.front.extend(undone.nodes);
                (undone.stored, blocked.into())
            }
        };
        if stored.name != name {
            patch.dropped.push(name.to_owned());
        }
        patch.initializers.push(weights.put(&stored, &bytes)?);
        patch.front.extend(nodes);
    }
    if is_blocked {
        let raised = upgrade(graph, BLOCKED, PREFIX).context("its weights cannot be stored in blocks")?;
        patch.opset = raised.opset;
        patch.replaced = raised.replaced;
        patch.initializers.extend(raised.initializers);
    }
    let mut named = HashSet::new();
    patch.initializers.retain(|tensor| named.insert(tensor.name.clone()));
    Ok(patch)
}

/// Whether a convolution takes `name` as its weight.
fn is_kernel(graph: &Graph, name: &str) -> bool {
    let takes = |node: &Node| matches!(node.op_type.as_str(), "Conv" | "FusedConv") && node.given(1) == Some(name);
    graph.consumers(name).iter().any(|&at| takes(&graph.nodes[at]))
}

/// Whether an operator on integers takes it: its scales have to be constants in float32.
fn is_scale(graph: &Graph, name: &str) -> bool {
    graph.consumers(name).iter().any(|&at| is_quantized(&graph.nodes[at]))
}

/// Whether an operator takes or gives integers in place of floats: those of onnx/docs/Operators.md, and the runtime's own (onnxruntime:
/// docs/ContribOperators.md).
pub fn is_quantized(node: &Node) -> bool {
    const NAMED: [&str; 9] = [
        "QuantizeLinear",
        "DequantizeLinear",
        "QAttention",
        "QEmbedLayerNormalization",
        "QGemm",
        "QMoE",
        "MatMulBnb4",
        "MatMulNBits",
        "GatherBlockQuantized",
    ];
    const FAMILIES: [&str; 3] = ["QLinear", "QOrdered", "DynamicQuantize"];
    let op = node.op_type.as_str();
    NAMED.contains(&op) || FAMILIES.iter().any(|family| op.starts_with(family)) || op.contains("Integer")
}

/// The layout in which the file holds a weight's blocks, where it does not hold the weight itself, and the bytes that it holds.
fn in_blocks<W: Write>(
    whole: &TensorProto,
    values: &[u8],
    block: usize,
    weights: &WeightsWriter<W>,
) -> Option<(Blocked, Vec<u8>)> {
    if weights.holds(values) {
        return None;
    }
    let mut layouts = Blocked::all(&whole.dims, block).into_iter().map(|layout| (layout, layout.applied(values)));
    layouts.find(|(_, blocked)| weights.holds(blocked))
}

/// The weight in the wanted type; none where it stays as it is.
fn small(graph: &Graph, name: &str, tensor: &TensorProto, values: &[u8], wanted: Wanted) -> Option<Small> {
    let floats = || values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    match wanted.storage {
        Storage::Exact => None,
        Storage::Half => halved(name, tensor, floats()),
        Storage::Int8 => {
            let channels = Channels::of(graph, name, tensor, wanted.block)?;
            // What is no number stays so: it has no place among integers.
            let values = floats().map(|value| value.is_finite().then_some(value)).collect::<Option<Vec<_>>>()?;
            Some(channels.quantized(name, tensor, &values))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_on_integers_are_known_from_those_that_sound_alike() {
        let is = |op: &str| is_quantized(&Node::new(op, &["x"], &["y"]));
        for op in ["QuantizeLinear", "QLinearConv", "DynamicQuantizeMatMul", "ConvInteger", "MatMulNBits", "QGemm"] {
            assert!(is(op), "{op}");
        }
        for op in ["QuickGelu", "Conv", "Gemm", "MatMul", "Cast"] {
            assert!(!is(op), "{op}");
        }
    }
}
