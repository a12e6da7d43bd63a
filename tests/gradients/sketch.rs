//! Graphs in the making: one float32 input `x`, nodes, constants, and a last tensor whose gradient is looked at.
use crate::support::rng::Rng;
use dermai::onnx::{Graph, Node, Patch, Port, TensorProto, infer};

/// Name of the input.
pub const X: &str = "x";
/// Version of the file format; it has to be no older than the operator sets are.
const IR_VERSION: u8 = 10;

/// `onnx.TensorProto.DataType`.
pub mod data_type {
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const INT32: i32 = 6;
    pub const BOOL: i32 = 9;
}

/// What has been drawn so far.
#[derive(Clone, Debug)]
pub struct Sketch {
    /// Where random numbers come from.
    pub rng: Rng,
    /// Version of the default operator set.
    pub opset: i64,
    /// Shape of `x`.
    pub shape: Vec<usize>,
    /// Between which bounds `x` lies.
    pub range: (f32, f32),
    /// Operators so far.
    pub nodes: Vec<Node>,
    constants: Vec<TensorProto>,
}

impl Sketch {
    /// A graph that holds nothing but its input.
    pub fn new(rng: Rng, opset: i64, shape: Vec<usize>, range: (f32, f32)) -> Self {
        Self { rng, opset, shape, range, nodes: Vec::new(), constants: Vec::new() }
    }

    /// Adds a node with `count` outputs and names them.
    pub fn nodes(&mut self, mut node: Node, count: usize) -> Vec<String> {
        let at = self.nodes.len();
        node.output = (0..count).map(|i| format!("{}.{at}.{i}", node.op_type)).collect();
        node.name = format!("node {at}");
        let outputs = node.output.clone();
        self.nodes.push(node);
        outputs
    }

    /// Adds a node with one output.
    pub fn node(&mut self, node: Node) -> String {
        self.nodes(node, 1).remove(0)
    }

    /// Adds a node without attributes.
    pub fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.node(Node::new(op, inputs, &[]))
    }

    fn constant(&mut self, mut tensor: TensorProto) -> String {
        tensor.name = format!("c{}", self.constants.len());
        self.constants.push(tensor);
        format!("c{}", self.constants.len() - 1)
    }

    /// Floats of `[low, high)`.
    pub fn floats_in(&mut self, shape: &[usize], low: f32, high: f32) -> String {
        let values = self.rng.floats(shape.iter().product(), low, high);
        self.constant(TensorProto::of_floats("", shape, &values))
    }

    /// Floats of a size between 0.3 and 1.3 and of either sign.
    pub fn floats(&mut self, shape: &[usize]) -> String {
        let values = self.rng.signed(shape.iter().product(), 0.3, 1.3);
        self.constant(TensorProto::of_floats("", shape, &values))
    }

    /// These very floats.
    pub fn these(&mut self, shape: &[usize], values: &[f32]) -> String {
        self.constant(TensorProto::of_floats("", shape, values))
    }

    /// A float32 scalar.
    pub fn float(&mut self, value: f32) -> String {
        self.these(&[], &[value])
    }

    /// An int64 constant of one axis.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.int_tensor(&[values.len()], values)
    }

    /// An int64 constant.
    pub fn int_tensor(&mut self, shape: &[usize], values: &[i64]) -> String {
        self.constant(TensorProto::of_ints("", shape, values))
    }

    /// A constant of another element type ([`data_type`]).
    pub fn typed(&mut self, data_type: i32, shape: &[usize], values: &[i32]) -> String {
        let dims = shape.iter().map(|&d| d as i64).collect();
        self.constant(TensorProto { dims, data_type, int32_data: values.to_vec(), ..TensorProto::default() })
    }

    /// Lengths as int64, for the shape inputs.
    pub fn lengths(&mut self, values: &[usize]) -> String {
        let values: Vec<i64> = values.iter().map(|&d| d as i64).collect();
        self.ints(&values)
    }

    /// `x` in another shape.
    pub fn reshape(&mut self, x: &str, shape: &[usize]) -> String {
        let shape = self.lengths(shape);
        self.op("Reshape", &[x, &shape])
    }

    /// The shape of a tensor, as our own inference has it; the test compares it with the runtime's.
    pub fn shape_of(&self, tensor: &str) -> Vec<usize> {
        if tensor == X {
            return self.shape.clone();
        }
        let (_, graph) = self.model(tensor);
        let shapes = infer(&graph, &[(X, &self.shape)]);
        let about = || panic!("the shape of `{tensor}` is not inferred: {:?}", self.nodes);
        shapes.get(tensor).unwrap_or_else(about).to_vec()
    }

    /// A tensor of `shape` between the bounds of `range`, all of whose values depend on all of `x`'s.
    pub fn mixed(&mut self, x: &str, shape: &[usize], range: (f32, f32)) -> String {
        let (from, to) = (self.shape_of(x).iter().product(), shape.iter().product());
        let flat = self.reshape(x, &[1, from]);
        let most = 1.5 / (from as f32).sqrt();
        let weights = self.floats_in(&[from, to], -most, most);
        let mixed = self.op("MatMul", &[&flat, &weights]);
        let bounded = self.op("Sin", &[&mixed]);
        let (half, middle) = ((range.1 - range.0) / 2.0, f32::midpoint(range.0, range.1));
        let (half, middle) = (self.float(half), self.float(middle));
        let stretched = self.op("Mul", &[&bounded, &half]);
        let moved = self.op("Add", &[&stretched, &middle]);
        self.reshape(&moved, shape)
    }

    /// The model as bytes, with `output` as its output, and its graph.
    pub fn model(&self, output: &str) -> (Vec<u8>, Graph) {
        let header = header(self.opset);
        let patch = Patch {
            back: self.nodes.clone(),
            initializers: self.constants.clone(),
            inputs: vec![Port::float(X, Some(self.shape.clone()))],
            outputs: vec![Port::float(output, None)],
            ..Patch::default()
        };
        let empty = Graph::parse(header.clone()).expect("an empty graph");
        let model = patch.write(&empty, header).unwrap_or_else(|e| panic!("{e:#}: {:?}", self.nodes));
        let graph = Graph::parse(model.clone()).expect("a graph");
        (model, graph)
    }
}

/// A model with an empty graph: `ir_version`, `graph`, and an `opset_import` each for the standard operators and the runtime's own.
fn header(opset: i64) -> Vec<u8> {
    const CONTRIB: &[u8] = b"com.microsoft";
    let opset = u8::try_from(opset).expect("a small number");
    let mut bytes = vec![0x08, IR_VERSION, 0x3a, 0, 0x42, 2, 0x10, opset, 0x42, CONTRIB.len() as u8 + 4];
    bytes.extend([0x0a, CONTRIB.len() as u8]);
    bytes.extend(CONTRIB);
    bytes.extend([0x10, 1]);
    bytes
}
