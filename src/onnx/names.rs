//! Short names for the tensors of a graph that no person reads: in a graph of many small nodes they take more bytes than all else.
use super::wire::{Field, fields, put};
use anyhow::Result;
use prost::bytes::Bytes;
use std::collections::{HashMap, HashSet};

// Field numbers of onnx.proto3.
const MODEL_GRAPH: u32 = 7;
const GRAPH_NODE: u32 = 1;
const GRAPH_INITIALIZER: u32 = 5;
const GRAPH_INPUT: u32 = 11;
const GRAPH_OUTPUT: u32 = 12;
const GRAPH_VALUE_INFO: u32 = 13;
const GRAPH_ANNOTATION: u32 = 14;
const GRAPH_SPARSE: u32 = 15;
const NODE_INPUT: u32 = 1;
const NODE_OUTPUT: u32 = 2;
const NODE_NAME: u32 = 3;
const NODE_ATTRIBUTE: u32 = 5;
const ATTRIBUTE_GRAPH: u32 = 6;
const ATTRIBUTE_GRAPHS: u32 = 11;
const VALUE_NAME: u32 = 1;
const TENSOR_NAME: u32 = 8;

/// The model with tensors called `t0`, `t1`, … in the order of the nodes that give or take them, each node called as its first output is, and
/// without the shapes of what lies in between, which the runtime infers. Inputs and outputs keep their names; a graph with graphs inside, whose
/// nodes take tensors from around them, is left as it is.
///
/// # Errors
/// When it is no ONNX model.
pub fn short_names(model: Vec<u8>) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(model.len());
    let model = Bytes::from(model);
    // A patched model has its graph in parts, which protobuf joins.
    let (parts, rest): (Vec<_>, Vec<_>) = fields(&model)?.into_iter().partition(|field| field.number == MODEL_GRAPH);
    let parts = parts.into_iter().filter_map(|field| field.content).map(|part| fields(&part));
    let graph: Vec<Field> = parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    if !is_flat(&graph)? {
        return Ok(model.into());
    }
    for field in rest {
        out.extend_from_slice(&field.whole);
    }
    put(MODEL_GRAPH, &renamed(&graph)?, &mut out);
    Ok(out)
}

/// Whether all names stand where they are looked for.
fn is_flat(graph: &[Field]) -> Result<bool> {
    for field in graph {
        match (&field.content, field.number) {
            (_, GRAPH_ANNOTATION | GRAPH_SPARSE) => return Ok(false),
            (Some(node), GRAPH_NODE) => {
                for attribute in of(&fields(node)?, NODE_ATTRIBUTE) {
                    let is_graph = |field: &Field| matches!(field.number, ATTRIBUTE_GRAPH | ATTRIBUTE_GRAPHS);
                    if fields(&attribute)?.iter().any(is_graph) {
                        return Ok(false);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(true)
}

/// The contents of all fields of a number.
fn of(fields: &[Field], number: u32) -> impl Iterator<Item = Bytes> {
    fields.iter().filter(move |field| field.number == number).filter_map(|field| field.content.clone())
}

/// New names by old ones, given as they are asked for.
struct Names {
    given: HashMap<Bytes, Bytes>,
    taken: HashSet<Bytes>,
    next: usize,
}

impl Names {
    fn of(&mut self, name: Bytes) -> Bytes {
        if let Some(given) = self.given.get(&name) {
            return given.clone();
        }
        let short = loop {
            let short = Bytes::from(format!("t{}", self.next));
            self.next += 1;
            if !self.taken.contains(&short) {
                break short;
            }
        };
        self.given.insert(name, short.clone());
        short
    }
}

fn renamed(graph: &[Field]) -> Result<Vec<u8>> {
    let mut kept = HashSet::from([Bytes::new()]); // an input that is left out has no name
    for port in of(graph, GRAPH_INPUT).chain(of(graph, GRAPH_OUTPUT)) {
        kept.extend(of(&fields(&port)?, VALUE_NAME));
    }
    let given = kept.iter().map(|name| (name.clone(), name.clone())).collect();
    let mut names = Names { given, taken: kept, next: 0 };
    let mut out = Vec::new();
    // Nodes first: they settle the order of the names.
    for node in of(graph, GRAPH_NODE) {
        put(GRAPH_NODE, &node_renamed(&node, &mut names)?, &mut out);
    }
    for field in graph.iter().filter(|field| !matches!(field.number, GRAPH_NODE | GRAPH_VALUE_INFO)) {
        match &field.content {
            Some(tensor) if field.number == GRAPH_INITIALIZER => {
                put(GRAPH_INITIALIZER, &tensor_renamed(tensor, &mut names)?, &mut out);
            }
            _ => out.extend_from_slice(&field.whole),
        }
    }
    Ok(out)
}

fn node_renamed(node: &Bytes, names: &mut Names) -> Result<Vec<u8>> {
    let (mut out, mut first) = (Vec::new(), Bytes::new());
    for field in fields(node)? {
        match (field.content, field.number) {
            (Some(name), NODE_INPUT | NODE_OUTPUT) => {
                let name = names.of(name);
                if field.number == NODE_OUTPUT && first.is_empty() {
                    first = name.clone();
                }
                put(field.number, &name, &mut out);
            }
            (_, NODE_NAME) => {}
            _ => out.extend_from_slice(&field.whole),
        }
    }
    put(NODE_NAME, &first, &mut out);
    Ok(out)
}

fn tensor_renamed(tensor: &Bytes, names: &mut Names) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for field in fields(tensor)? {
        match field.content {
            Some(name) if field.number == TENSOR_NAME => put(TENSOR_NAME, &names.of(name), &mut out),
            _ => out.extend_from_slice(&field.whole),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{GraphProto, ModelProto, TensorProto, ValueInfoProto};
    use crate::onnx::{Graph, Node};
    use prost::Message;

    fn model(nodes: &[Node]) -> Vec<u8> {
        let port = |name: &str| ValueInfoProto { name: name.into(), ..Default::default() };
        let graph = GraphProto {
            node: nodes.to_vec(),
            initializer: vec![TensorProto { name: "stem/weight".into(), data_type: 1, ..Default::default() }],
            input: vec![port("t0")],
            output: vec![port("y")],
            ..Default::default()
        };
        ModelProto { ir_version: 8, graph: Some(graph), ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn inputs_and_outputs_keep_their_names() {
        let nodes = [
            Node::new("Conv", &["t0", "stem/weight"], &["stem/Conv_output"]),
            Node::new("Clip", &["stem/Conv_output", "", "stem/weight"], &["y"]),
        ];
        let mut long = model(&nodes);
        let more = Node::new("Neg", &["y"], &["behind/it"]);
        long.extend(
            ModelProto { graph: Some(GraphProto { node: vec![more], ..Default::default() }), ..Default::default() }
                .encode_to_vec(),
        );
        let graph = Graph::parse(short_names(long).unwrap()).unwrap();
        let all: Vec<_> = graph.nodes.iter().map(|node| (node.input.join(" "), node.output.join(" "))).collect();
        let expected = [("t0 t1", "t2"), ("t2  t1", "y"), ("y", "t3")];
        assert_eq!(all, expected.map(|(takes, gives)| (takes.to_owned(), gives.to_owned())));
        assert_eq!(graph.initializer_names().collect::<Vec<_>>(), ["t1"]);
        assert_eq!(graph.nodes[0].name, "t2");
    }

    #[test]
    fn a_graph_with_graphs_inside_is_left_as_it_is() {
        let [mut attribute, mut node, mut graph] = [const { Vec::new() }; 3];
        put(ATTRIBUTE_GRAPH, &[], &mut attribute);
        put(NODE_OUTPUT, b"long/name", &mut node);
        put(NODE_ATTRIBUTE, &attribute, &mut node);
        put(GRAPH_NODE, &node, &mut graph);
        let mut bytes = model(&[Node::new("Neg", &["t0"], &["y"])]);
        put(MODEL_GRAPH, &graph, &mut bytes);
        assert_eq!(short_names(bytes.clone()).unwrap(), bytes);
    }
}
