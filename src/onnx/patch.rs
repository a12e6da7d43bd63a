//! An edit of a graph as data: what is added, removed and replaced; checked against the graph, then written.
use super::facts::ElementType;
use super::graph::Graph;
use super::node::Node;
use super::proto::{
    DimensionProto, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::wire::{fields, put};
use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use prost::bytes::Bytes;
use std::collections::{HashMap, HashSet};

/// An edit. Nothing is changed until it is written by [`Patch::write`].
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Nodes that come before all others: the runtime executes them in this order, each as late as its consumers allow.
    pub front: Vec<Node>,
    /// Nodes that come behind all others.
    pub back: Vec<Node>,
    /// Nodes that go, by the name of their first output; a node in `front` or `back` may give that tensor instead.
    pub removed: Vec<String>,
    /// Nodes that stand where the graph's node with the same first output stood.
    pub replaced: Vec<Node>,
    /// Weights and constants; one whose name stands in the graph replaces the graph's.
    pub initializers: Vec<TensorProto>,
    /// Weights that go, by name; a node in `front` or `back` may give that tensor instead.
    pub dropped: Vec<String>,
    /// Version of the default operator set that the graph is to have. The patch has to bring its nodes to it ([`upgrade`](super::upgrade)).
    pub opset: Option<i64>,
    /// Inputs that are added: name, element type and shape.
    pub inputs: Vec<Port>,
    /// Outputs that are added.
    pub outputs: Vec<Port>,
    /// What the file says about itself: keys and texts.
    pub notes: Vec<(String, String)>,
}

/// An added input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name of the tensor.
    pub name: String,
    /// Element type.
    pub element: ElementType,
    /// Its shape; `None` leaves it to the runtime.
    pub shape: Option<Vec<usize>>,
}

impl Patch {
    /// Whether the edited graph is still one: every tensor has one producer and every node finds what it takes.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        let removed: HashSet<&str> = self.removed.iter().map(String::as_str).collect();
        for name in &self.removed {
            ensure!(graph.producer(name).is_some(), "patch: no node gives `{name}`, so none can be removed");
        }
        let dropped: HashSet<&str> = self.dropped.iter().map(String::as_str).collect();
        for name in &self.dropped {
            ensure!(graph.initializer(name).is_some(), "patch: there is no weight `{name}`, so none can be dropped");
        }
        let replaced = self.replacements();
        for name in replaced.keys() {
            ensure!(graph.producer(name).is_some(), "patch: no node gives `{name}`, so none can be replaced");
        }
        let first = |node: &Node| node.output.first().cloned().unwrap_or_default();
        let kept = graph.nodes.iter().filter(|node| !removed.contains(first(node).as_str()));
        let kept: Vec<&Node> = kept.map(|node| replaced.get(first(node).as_str()).copied().unwrap_or(node)).collect();
        let mut known: HashSet<&str> = graph.inputs.iter().map(|i| i.name.as_str()).collect();
        known.extend(graph.initializer_names().filter(|name| !dropped.contains(name)));
        known.extend(self.initializers.iter().map(|t| t.name.as_str()));
        known.extend(self.inputs.iter().map(|p| p.name.as_str()));
        let nodes = || self.front.iter().chain(kept.iter().copied()).chain(&self.back);
        for output in nodes().flat_map(|n| &n.output).filter(|o| !o.is_empty()) {
            if !known.insert(output) {
                bail!("patch: tensor `{output}` would have two producers");
            }
        }
        for node in nodes() {
            if let Some(missing) = node.input.iter().find(|i| !i.is_empty() && !known.contains(i.as_str())) {
                // A subgraph's names are not looked into, but its node's own inputs are.
                bail!("patch: node `{}` ({}) takes `{missing}`, which nothing gives", node.label(), node.op_type);
            }
        }
        for port in &self.outputs {
            ensure!(known.contains(port.name.as_str()), "patch: output `{}` is given by no node", port.name);
        }
        Ok(())
    }

    /// The edited model. `model` is a serialised model, such as a skeleton; its weights are not parsed.
    ///
    /// A pure addition at the back is `model` with a second message behind it: protobuf joins the repeated fields of the two.
    pub fn write(&self, graph: &Graph, model: Vec<u8>) -> Result<Vec<u8>> {
        self.check(graph)?;
        let replaced: HashSet<&str> =
            self.initializers.iter().map(|t| t.name.as_str()).filter(|n| graph.initializer(n).is_some()).collect();
        let goes: HashSet<&str> = replaced.into_iter().chain(self.dropped.iter().map(String::as_str)).collect();
        let is_addition = self.front.is_empty()
            && self.removed.is_empty()
            && self.replaced.is_empty()
            && goes.is_empty()
            && self.opset.is_none();
        let mut out = if is_addition { model } else { self.rewritten(&Bytes::from(model), &goes)? };
        for (key, value) in &self.notes {
            let entry = StringStringEntryProto { key: key.clone(), value: value.clone() };
            out.extend(ModelProto { metadata_props: vec![entry], ..ModelProto::default() }.encode_to_vec());
        }
        out.extend(delta(GraphProto {
            node: self.back.clone(),
            initializer: self.initializers.clone(),
            input: self.inputs.iter().map(Port::info).collect(),
            output: self.outputs.iter().map(Port::info).collect(),
            ..GraphProto::default()
        }));
        let written = ModelProto::decode(&out[..]).map_err(anyhow::Error::from).and_then(Graph::of);
        written.context("patch: the edited graph is broken, which is a bug: please report it with the model")?;
        Ok(out)
    }

    /// By first output.
    fn replacements(&self) -> HashMap<&str, &Node> {
        self.replaced.iter().filter_map(|node| Some((node.output.first()?.as_str(), node))).collect()
    }

    /// `model` with the nodes of `front` first, without nodes that are removed and weights that go, and at the wanted version; all else as it
    /// stands.
    fn rewritten(&self, model: &Bytes, goes: &HashSet<&str>) -> Result<Vec<u8>> {
        const MODEL_GRAPH: u32 = 7;
        const MODEL_OPSET: u32 = 8;
        const GRAPH_NODE: u32 = 1;
        const GRAPH_INITIALIZER: u32 = 5;
        let mut out = delta(GraphProto { node: self.front.clone(), ..GraphProto::default() });
        let removed: HashSet<&str> = self.removed.iter().map(String::as_str).collect();
        let replacements = self.replacements();
        for field in fields(model)? {
            if let (Some(opset), Some(version), MODEL_OPSET) = (&field.content, self.opset, field.number) {
                let set = OperatorSetIdProto::decode(opset.clone())?;
                let is_default = matches!(set.domain.as_str(), "" | "ai.onnx");
                let version = if is_default { version } else { set.version };
                put(MODEL_OPSET, &OperatorSetIdProto { version, ..set }.encode_to_vec(), &mut out);
                continue;
            }
            let Some(graph) = field.content.filter(|_| field.number == MODEL_GRAPH) else {
                out.extend_from_slice(&field.whole);
                continue;
            };
            let mut kept = Vec::new();
            for field in fields(&graph)? {
                let goes = match (&field.content, field.number) {
                    (Some(node), GRAPH_NODE) => {
                        let node = Node::decode(node.clone())?;
                        if let Some(node) = node.output.first().and_then(|first| replacements.get(first.as_str())) {
                            put(GRAPH_NODE, &node.encode_to_vec(), &mut kept);
                            continue;
                        }
                        node.output.first().is_some_and(|o| removed.contains(o.as_str()))
                    }
                    (Some(tensor), GRAPH_INITIALIZER) => {
                        goes.contains(TensorProto::decode(tensor.clone())?.name.as_str())
                    }
                    _ => false,
                };
                if !goes {
                    kept.extend_from_slice(&field.whole);
                }
            }
            put(MODEL_GRAPH, &kept, &mut out);
        }
        Ok(out)
    }
}

impl Port {
    /// A float32 tensor.
    pub fn float(name: &str, shape: Option<Vec<usize>>) -> Self {
        Self { name: name.to_owned(), element: ElementType::FLOAT, shape }
    }

    fn info(&self) -> ValueInfoProto {
        let dim = |&n: &usize| DimensionProto { dim_value: Some(n as i64), dim_param: None };
        let shape = self.shape.as_ref().map(|shape| TensorShapeProto { dim: shape.iter().map(dim).collect() });
        let tensor_type = TensorTypeProto { elem_type: self.element.0, shape };
        ValueInfoProto { name: self.name.clone(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
    }
}

/// A model message that holds nothing but `graph`.
fn delta(graph: GraphProto) -> Vec<u8> {
    ModelProto { graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
}
