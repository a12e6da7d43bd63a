//! The layers of a network: which can compute in int8, and why the others cannot or should not.
use super::network::Network;
use crate::onnx::{Node, TensorProto};
use std::collections::HashSet;
use std::fmt;

/// Convolutions of at most so many products a value, and so many channels, stay in float as long as they are at the picture's end of the network. Measured
/// (AVX-512 with VNNI, 112x112): a first convolution of 3 channels takes 2.5 to 3 times its time in float, a depthwise one behind it 2.5 times; and they
/// are the most sensitive ones: on ham-mobilenetv2 the KL falls from 0.013 to 0.006 with the first three in float.
const FEW_PRODUCTS: usize = 32;
const FEW_CHANNELS: usize = 32;

/// A layer: a node with weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its place among the graph's nodes.
    pub node: usize,
    /// Name of what it gives.
    pub name: String,
    /// The operator.
    pub op: String,
    /// Shape of its weights.
    pub shape: Vec<usize>,
    /// How it computes.
    pub state: State,
    /// KL divergence of the answers in nats when this layer alone computes in int8, where it was measured.
    pub sensitivity: Option<f64>,
}

/// How a layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In 8-bit integers.
    Int8,
    /// In float32.
    Float(Reason),
}

/// Why a layer computes in float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no int8 form of it.
    Unsupported,
    /// It is narrow and near the picture.
    Narrow,
    /// Its answers changed too much.
    Sensitive,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Int8 => "int8",
            Self::Float(Reason::Unsupported) => "float, no int8 form",
            Self::Float(Reason::Narrow) => "float, narrow and first",
            Self::Float(Reason::Sensitive) => "float, sensitive",
        })
    }
}

impl Layer {
    /// Number of its weights.
    pub fn parameters(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Operators that have weights, whether int8 is known for them or not.
pub const WITH_WEIGHTS: [&str; 9] =
    ["Conv", "Gemm", "MatMul", "ConvTranspose", "LSTM", "GRU", "RNN", "Einsum", "DeformConv"];

/// All layers of a network, in order.
pub fn layers(network: &Network) -> Vec<Layer> {
    let mut float: HashSet<&str> = network.graph.inputs.iter().map(|input| input.name.as_str()).collect();
    let mut layers = Vec::new();
    for (at, node) in network.graph.nodes.iter().enumerate() {
        let first = network.activations(node).next();
        // Since the picture nothing computed in int8.
        let is_early = first.is_some() && network.activations(node).all(|name| float.contains(name));
        let shape = weight(network, node).and_then(|name| network.shapes.get(name)).map(<[usize]>::to_vec);
        let is_supported = |node: &Node, shape: &[usize]| {
            is_supported(node, shape) && has_known_shapes(network, node) && has_plain_bias(network, node, shape)
        };
        let state = match shape.as_deref() {
            Some(shape) if is_supported(node, shape) && is_early && is_narrow(node, shape) => {
                State::Float(Reason::Narrow)
            }
            Some(shape) if is_supported(node, shape) => State::Int8,
            _ => State::Float(Reason::Unsupported),
        };
        if is_early && state != State::Int8 {
            float.extend(node.output.iter().map(String::as_str));
        }
        let has_weights = node.is_standard() && WITH_WEIGHTS.contains(&node.op_type.as_str());
        if let (true, Some(shape), Some(name)) = (has_weights, shape, node.output.first()) {
            let (name, op) = (name.clone(), node.op_type.clone());
            layers.push(Layer { node: at, name, op, shape, state, sensitivity: None });
        }
    }
    layers
}

/// The layer's weights.
fn weight<'n>(network: &Network, node: &'n Node) -> Option<&'n str> {
    let name = node.given(1)?;
    network.graph.initializer(name).filter(|tensor| tensor.is_float()).map(|_| name)
}

fn is_supported(node: &Node, shape: &[usize]) -> bool {
    let plain = |name: &str| node.float(name).unwrap_or(1.0) == 1.0;
    node.is_standard()
        && match node.op_type.as_str() {
            "Conv" => shape.len() == 4,
            "Gemm" => {
                shape.len() == 2 && plain("alpha") && plain("beta") && node.int("transA").unwrap_or_default() == 0
            }
            "MatMul" => shape.len() == 2,
            _ => false,
        }
}

/// Calibration has to know what it looks at.
fn has_known_shapes(network: &Network, node: &Node) -> bool {
    let mut tensors = network.activations(node).chain(node.output.iter().map(String::as_str));
    tensors.all(|tensor| network.shapes.get(tensor).is_some())
}

/// Whether the bias, if there is one, is a constant of a value for each output channel.
fn has_plain_bias(network: &Network, node: &Node, shape: &[usize]) -> bool {
    let is_first = node.op_type == "Conv" || node.int("transB").unwrap_or_default() == 1;
    let channels = if is_first { shape[0] } else { shape[1] };
    node.given(2).is_none_or(|bias| {
        let is_float = network.graph.initializer(bias).is_some_and(TensorProto::is_float);
        is_float && network.shapes.get(bias).is_some_and(|bias| bias.iter().product::<usize>() == channels)
    })
}

fn is_narrow(node: &Node, shape: &[usize]) -> bool {
    node.op_type == "Conv" && shape[1..].iter().product::<usize>() <= FEW_PRODUCTS && shape[0] <= FEW_CHANNELS
}
