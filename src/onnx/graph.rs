//! A graph as a network of nodes: who produces a tensor, who consumes it, what is constant.
use super::constant::Constant;
use super::facts::{Tensor, tensor};
use super::node::Node;
use super::proto::{GraphProto, ModelProto, TensorProto, ValueInfoProto};
use anyhow::{Context, Result, bail};
use prost::Message;
use prost::bytes::Bytes;
use std::collections::{BTreeSet, HashMap, HashSet};

/// A graph's nodes in an order in which each stands behind what it needs, with the ways between them.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Version of the default operator set.
    pub opset: i64,
    /// Operators, producers before consumers.
    pub nodes: Vec<Node>,
    /// Inputs that have to be fed.
    pub inputs: Vec<Tensor>,
    /// Outputs.
    pub outputs: Vec<Tensor>,
    /// Shapes that the file states for other tensors.
    pub stated: Vec<Tensor>,
    initializers: HashMap<String, TensorProto>,
    producer: HashMap<String, usize>,
    consumers: HashMap<String, Vec<usize>>,
}

impl Graph {
    /// Reads a serialised model, such as one that [`Patch::write`](super::Patch::write) gave.
    ///
    /// # Errors
    /// When it is no ONNX model, two nodes give the same tensor, or nodes wait for each other in a circle.
    pub fn parse(model: Vec<u8>) -> Result<Self> {
        Self::of(ModelProto::decode(Bytes::from(model)).context("not an ONNX model")?)
    }

    /// Files beside the model's that hold weights of it (external data; onnx/docs/ExternalData.md), as it names them.
    pub fn external_files(&self) -> BTreeSet<&str> {
        let entries = self.initializers.values().flat_map(|tensor| &tensor.external_data);
        entries.filter(|entry| entry.key == "location").map(|entry| entry.value.as_str()).collect()
    }

    /// Builds the view of a parsed model; weights stay ranges of the file.
    ///
    /// # Errors
    /// When two nodes give the same tensor, or nodes wait for each other in a circle.
    pub(super) fn of(model: ModelProto) -> Result<Self> {
        let opset =
            model.opset_import.iter().find(|o| matches!(o.domain.as_str(), "" | "ai.onnx")).map_or(0, |o| o.version);
        let GraphProto { node, initializer, input, output, value_info } = model.graph.context("it holds no graph")?;
        let initializers: HashMap<_, _> = initializer.into_iter().map(|t| (t.name.clone(), t)).collect();
        let tensors = |all: &[ValueInfoProto]| all.iter().map(tensor).collect::<Vec<_>>();
        let mut graph = Self {
            opset,
            nodes: sorted(node)?,
            inputs: tensors(&input).into_iter().filter(|i| !initializers.contains_key(&i.name)).collect(),
            outputs: tensors(&output),
            stated: tensors(&value_info),
            initializers,
            producer: HashMap::new(),
            consumers: HashMap::new(),
        };
        for (at, node) in graph.nodes.iter().enumerate() {
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                if graph.producer.insert(output.clone(), at).is_some() {
                    bail!("tensor `{output}` has two producers");
                }
            }
            for input in node.input.iter().filter(|i| !i.is_empty()) {
                let consumers = graph.consumers.entry(input.clone()).or_default();
                if consumers.last() != Some(&at) {
                    consumers.push(at);
                }
            }
        }
        Ok(graph)
    }

    /// The node that gives `tensor`, by its place in [`Graph::nodes`]; `None` for inputs and weights.
    pub fn producer(&self, tensor: &str) -> Option<usize> {
        self.producer.get(tensor).copied()
    }

    /// The nodes that take `tensor`, by their places in [`Graph::nodes`], rising.
    pub fn consumers(&self, tensor: &str) -> &[usize] {
        self.consumers.get(tensor).map_or(&[], Vec::as_slice)
    }

    /// A weight or constant that stands in the file.
    pub fn initializer(&self, name: &str) -> Option<&TensorProto> {
        self.initializers.get(name)
    }

    /// Names of all weights.
    pub fn initializer_names(&self) -> impl Iterator<Item = &str> {
        self.initializers.keys().map(String::as_str)
    }

    /// The values of a small constant: an initializer or a `Constant` node with its values in the file.
    pub fn constant(&self, name: &str, most: usize) -> Option<Constant> {
        if let Some(tensor) = self.initializer(name) {
            return Constant::read(tensor, most);
        }
        let node = &self.nodes[self.producer(name)?];
        if node.op_type != "Constant" {
            return None;
        }
        if let Some(tensor) = node.tensor("value") {
            return Constant::read(tensor, most);
        }
        if let Some(i) = node.int("value_int") {
            return Some(Constant { shape: vec![], values: super::constant::Numbers::Ints(vec![i]) });
        }
        node.ints("value_ints").map(|ints| Constant::ints(ints.to_vec()))
    }

    /// Whether `name` is a tensor of this graph.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.producer.contains_key(name)
            || self.initializers.contains_key(name)
            || self.inputs.iter().any(|i| i.name == name)
    }
}

/// Producers before consumers: as they stand where the file keeps to the specification, sorted where it does not.
fn sorted(nodes: Vec<Node>) -> Result<Vec<Node>> {
    let made: HashSet<&str> = nodes.iter().flat_map(|n| n.output.iter().map(String::as_str)).collect();
    let mut ready: HashSet<&str> = HashSet::new();
    let mut order = Vec::with_capacity(nodes.len());
    let mut waiting: Vec<usize> = (0..nodes.len()).collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut still = Vec::new();
        for at in waiting {
            if nodes[at].input.iter().all(|i| !made.contains(i.as_str()) || ready.contains(i.as_str())) {
                ready.extend(nodes[at].output.iter().map(String::as_str));
                order.push(at);
            } else {
                still.push(at);
            }
        }
        if still.len() == before {
            bail!("node `{}` and others wait for each other in a circle", nodes[still[0]].label());
        }
        waiting = still;
    }
    if order.windows(2).all(|pair| pair[0] < pair[1]) {
        return Ok(nodes);
    }
    let mut nodes: Vec<_> = nodes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| nodes[at].take()).collect())
}
