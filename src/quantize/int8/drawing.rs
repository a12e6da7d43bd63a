//! Small networks that unit tests draw, node by node, and have quantized.
use crate::model::Prepared;
use crate::onnx::{Graph, Node, Patch, Port, TensorProto};
use std::fs;
use tempfile::TempDir;

/// The input, `[1, 3, 8, 8]`: a picture's values, 0 to 1.
pub const X: &str = "x";

/// `ir_version` 10, an empty `graph`, and an `opset_import` of version 17.
const HEADER: [u8; 8] = [0x08, 10, 0x3a, 0, 0x42, 2, 0x10, 17];

const CARD: &str = "\
card: 1
name: drawn
model: {file: model.onnx}
input: {layout: NCHW, size: [8, 8], color: RGB, resize: {mode: stretch, filter: nearest}, scale: 0.00392156862745098, mean: [0, 0, 0], std: [1, 1, 1]}
output: {kind: softmax}
labels: [{id: r}, {id: g}, {id: b}]
";

/// What has been drawn so far.
#[derive(Debug, Default)]
pub struct Drawing {
    nodes: Vec<Node>,
    constants: Vec<TensorProto>,
}

impl Drawing {
    /// Adds a node, which is called as what it gives.
    pub fn op(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.node(Node::new(op, inputs, &[output]));
    }

    /// Adds a node.
    pub fn node(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Adds a layer with its weights. A convolution pads, so that with an odd kernel its output is as large as its input.
    pub fn layer(&mut self, op: &str, input: &str, output: &str, (shape, weights): (&[usize], &[f32])) {
        let name = format!("{output}/weight");
        self.constants.push(TensorProto::of_floats(&name, shape, weights));
        let node = Node::new(op, &[input, &name], &[output]);
        let pad = shape.get(2).map_or(0, |side| side / 2) as i64;
        self.nodes.push(if pad > 0 { node.with("pads", vec![pad; 4]) } else { node });
    }

    /// The model `x` to `y`, in a folder of its own.
    pub fn model(self) -> (TempDir, Prepared) {
        let folder = tempfile::tempdir().unwrap();
        let patch = Patch {
            back: self.nodes,
            initializers: self.constants,
            inputs: vec![Port::float(X, Some(vec![1, 3, 8, 8]))],
            outputs: vec![Port::float("y", None)],
            ..Patch::default()
        };
        let model = patch.write(&Graph::parse(HEADER.to_vec()).unwrap(), HEADER.to_vec()).unwrap();
        fs::write(folder.path().join("model.onnx"), model).unwrap();
        fs::write(folder.path().join("model.yaml"), CARD).unwrap();
        let model = Prepared::find(Some(folder.path())).unwrap();
        (folder, model)
    }
}
