//! What can be known of a classifier from its graph: inputs, outputs, metadata, and the operators at both ends.
use super::proto::{GraphProto, ModelProto, ValueInfoProto};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// A graph's interface.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Version of the default operator set.
    pub opset: i64,
    /// Inputs that have to be fed (initializers that are listed as inputs are not).
    pub inputs: Vec<Tensor>,
    /// Outputs.
    pub outputs: Vec<Tensor>,
    /// `metadata_props`.
    pub metadata: BTreeMap<String, String>,
    /// For each output, the operator that computes it, before whatever only moves or converts values.
    pub output_ops: BTreeMap<String, String>,
    /// Operators on the way from the first input, up to the first that is neither layout nor type: tells preprocessing inside the graph.
    pub first_op: Option<String>,
}

/// Name, element type and shape of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name in the graph.
    pub name: String,
    /// Element type.
    pub element: ElementType,
    /// Shape; `None` when the file does not say.
    pub shape: Option<Vec<Dim>>,
}

/// Length of one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Fixed in the file.
    Fixed(u64),
    /// Any, with the name that the file gives it.
    Any(String),
}

impl Dim {
    /// The length, if it is fixed.
    pub fn fixed(&self) -> Option<u64> {
        match self {
            Self::Fixed(n) => Some(*n),
            Self::Any(_) => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Any(name) if name.is_empty() => f.write_str("?"),
            Self::Any(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}", self.name, self.element)?;
        if let Some(shape) = &self.shape {
            write!(f, " [{}]", shape.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "))?;
        }
        f.write_str(")")
    }
}

/// `onnx.TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElementType(pub i32);

impl ElementType {
    /// 32-bit float.
    pub const FLOAT: Self = Self(1);
    /// 16-bit float.
    pub const FLOAT16: Self = Self(10);
    /// 64-bit integer.
    pub const INT64: Self = Self(7);
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [
            "undefined",
            "float32",
            "uint8",
            "int8",
            "uint16",
            "int16",
            "int32",
            "int64",
            "string",
            "bool",
            "float16",
            "float64",
        ];
        match usize::try_from(self.0).ok().and_then(|at| known.get(at)) {
            Some(name) => f.write_str(name),
            None => write!(f, "element type {}", self.0),
        }
    }
}

impl Facts {
    /// Reads the interface off a parsed model.
    pub(super) fn of(model: ModelProto) -> Result<Self> {
        let opset =
            model.opset_import.iter().find(|o| matches!(o.domain.as_str(), "" | "ai.onnx")).map_or(0, |o| o.version);
        let graph = model.graph.context("it holds no graph")?;
        let weights: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        let inputs: Vec<_> = graph.input.iter().filter(|i| !weights.contains(i.name.as_str())).map(tensor).collect();
        let outputs: Vec<_> = graph.output.iter().map(tensor).collect();
        let output_ops = outputs.iter().filter_map(|o| Some((o.name.clone(), last_op(&graph, &o.name)?))).collect();
        let first_op = inputs.first().and_then(|input| first_op(&graph, &input.name));
        let metadata = model.metadata_props.into_iter().map(|entry| (entry.key, entry.value)).collect();
        Ok(Self { opset, inputs, outputs, metadata, output_ops, first_op })
    }
}

/// Operators that only move or convert values.
pub const MOVES: [&str; 7] = ["Transpose", "Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"];

/// Follows an output back through what only moves or converts it.
fn last_op(graph: &GraphProto, output: &str) -> Option<String> {
    let mut at = output;
    for _ in 0..graph.node.len() {
        let node = graph.node.iter().find(|n| n.output.iter().any(|o| o == at))?;
        if !MOVES.contains(&node.op_type.as_str()) {
            return Some(node.op_type.clone());
        }
        at = node.input.first()?;
    }
    None
}

/// Follows the input through what only moves or converts it.
fn first_op(graph: &GraphProto, input: &str) -> Option<String> {
    let mut at = input.to_owned();
    for _ in 0..graph.node.len() {
        let node = graph.node.iter().find(|n| n.input.contains(&at))?;
        if !MOVES.contains(&node.op_type.as_str()) {
            return Some(node.op_type.clone());
        }
        at = node.output.first()?.clone();
    }
    None
}

/// Name, type and shape as the file describes them.
pub(super) fn tensor(info: &ValueInfoProto) -> Tensor {
    let kind = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let shape = kind.and_then(|t| t.shape.as_ref()).map(|shape| {
        let dim = |d: &super::proto::DimensionProto| match d.dim_value {
            Some(n) if n > 0 => Dim::Fixed(n.unsigned_abs()),
            _ => Dim::Any(d.dim_param.clone().unwrap_or_default()),
        };
        shape.dim.iter().map(dim).collect()
    });
    Tensor { name: info.name.clone(), element: ElementType(kind.map_or(0, |t| t.elem_type)), shape }
}
