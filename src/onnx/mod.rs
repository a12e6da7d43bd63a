//! ONNX files: what a graph takes and gives, its nodes and shapes, an edit as data, and the same graph with its weights left in the file.
//!
//! Invariants: the file is mapped, weights are never parsed or copied; nothing here knows a runtime.
mod canonical;
mod compact;
mod constant;
mod emit;
mod external;
mod facts;
mod file;
mod graph;
mod node;
mod patch;
mod proto;
mod shape;
mod skeleton;
mod upgrade;
mod weights;
mod wire;

pub use canonical::canonical;
pub use compact::compact;
pub use constant::{Constant, Numbers};
pub use emit::{Emit, Name};
pub use external::External;
pub use facts::{Dim, ElementType, Facts, MOVES, Tensor};
pub use file::{ModelFile, stands_at};
pub use graph::Graph;
pub use node::{Node, Value};
pub use patch::{Patch, Port};
pub use proto::TensorProto;
pub use shape::{Shapes, WindowAxis, infer, permutation, place, reduced_axes, slice, windows};
pub use upgrade::upgrade;
pub use weights::{SMALLEST, WeightsWriter, WrittenWeights};
