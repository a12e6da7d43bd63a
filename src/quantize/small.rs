//! A weight in a smaller type than float32.
use crate::onnx::{Node, TensorProto};

/// Names of what is added begin with this.
pub const PREFIX: &str = "dermai.weights/";
/// The largest int8 of a symmetric scale.
pub const LARGEST: f32 = 127.0;

/// A weight in a smaller type, and the nodes that make float32 of it.
pub struct Small {
    /// Name, type and shape.
    pub tensor: TensorProto,
    /// Its values, little-endian.
    pub values: Vec<u8>,
    /// Scales and shapes.
    pub constants: Vec<TensorProto>,
    /// From the small type to float32.
    pub nodes: Vec<Node>,
    /// Whether its scales are blocked.
    pub is_blocked: bool,
}
