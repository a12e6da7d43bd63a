//! One order and one set of names for the nodes of a graph, whatever order a program's hash tables gave them: the same graph is the same bytes.
use super::node::Node;
use super::wire::{fields, put};
use anyhow::{Context, Result};
use prost::Message;
use prost::bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

// Field numbers of onnx.proto3.
const MODEL_GRAPH: u32 = 7;
const GRAPH_NODE: u32 = 1;
const GRAPH_OUTPUT: u32 = 12;
const NODE_NAME: u32 = 3;
const NODE_DOC: u32 = 6;

/// The model with its nodes in the order in which a walk back from the outputs leaves them, each named after its first output and without what
/// is written about it for people. Everything else, tensors' names included, is copied as it stands.
///
/// # Errors
/// When it is no ONNX model.
pub fn canonical(model: Vec<u8>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for field in fields(&Bytes::from(model))? {
        match field.content {
            Some(graph) if field.number == MODEL_GRAPH => put(MODEL_GRAPH, &ordered(&graph)?, &mut out),
            _ => out.extend_from_slice(&field.whole),
        }
    }
    Ok(out)
}

fn ordered(graph: &Bytes) -> Result<Vec<u8>> {
    let fields = fields(graph)?;
    let of = |number: u32| {
        fields.iter().filter(move |field| field.number == number).filter_map(|field| field.content.clone())
    };
    let nodes: Vec<(Bytes, Node)> =
        of(GRAPH_NODE).map(|bytes| Ok((bytes.clone(), Node::decode(bytes)?))).collect::<Result<_>>()?;
    let mut out = Vec::new();
    for at in walk(&nodes, &of(GRAPH_OUTPUT).map(name_of).collect::<Result<Vec<_>>>()?) {
        let (bytes, node) = &nodes[at];
        put(GRAPH_NODE, &renamed(bytes, node.output.first().map_or("", String::as_str))?, &mut out);
    }
    for field in fields.iter().filter(|field| field.number != GRAPH_NODE) {
        out.extend_from_slice(&field.whole);
    }
    Ok(out)
}

/// `ValueInfoProto.name`.
fn name_of(output: Bytes) -> Result<String> {
    Ok(super::proto::ValueInfoProto::decode(output).context("an output is broken")?.name)
}

/// Places of the nodes, producers before consumers: each output's in turn, inputs in their order. What no output needs comes last, by its name.
fn walk(nodes: &[(Bytes, Node)], outputs: &[String]) -> Vec<usize> {
    let outputs_of = |(at, (_, node)): (usize, &(Bytes, Node))| {
        node.output.iter().filter(|name| !name.is_empty()).map(move |name| (name.clone(), at)).collect::<Vec<_>>()
    };
    let producers: HashMap<String, usize> = nodes.iter().enumerate().flat_map(outputs_of).collect();
    let rest: BTreeMap<&String, usize> =
        nodes.iter().enumerate().filter_map(|(at, (_, node))| Some((node.output.first()?, at))).collect();
    let mut done = vec![false; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    let roots = outputs.iter().filter_map(|name| producers.get(name).copied()).chain(rest.into_values());
    for root in roots {
        // A deep network would overflow the stack of a function that calls itself: the place of a node, and its next input.
        let mut open = vec![(root, 0)];
        while let Some((at, next)) = open.pop() {
            if done[at] {
                continue;
            }
            match nodes[at].1.input.get(next) {
                None => {
                    done[at] = true;
                    order.push(at);
                }
                Some(input) => {
                    open.push((at, next + 1));
                    let producer = producers.get(input).copied().filter(|&producer| !done[producer]);
                    open.extend(producer.map(|producer| (producer, 0)));
                }
            }
        }
    }
    // Nodes without an output do nothing; they stay.
    order.extend((0..nodes.len()).filter(|&at| !done[at]));
    order
}

/// The node under another name.
fn renamed(node: &Bytes, name: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for field in fields(node)?.iter().filter(|field| !matches!(field.number, NODE_NAME | NODE_DOC)) {
        out.extend_from_slice(&field.whole);
    }
    put(NODE_NAME, name.as_bytes(), &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{GraphProto, ModelProto, ValueInfoProto};

    fn model(nodes: &[Node]) -> Vec<u8> {
        let output = ValueInfoProto { name: "y".into(), ..Default::default() };
        let graph = GraphProto { node: nodes.to_vec(), output: vec![output], ..Default::default() };
        ModelProto { ir_version: 8, graph: Some(graph), ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn the_same_graph_is_the_same_bytes() {
        let named = |name: &str, node: Node| Node { name: name.into(), ..node };
        let (a, b, c) =
            (Node::new("Relu", &["x"], &["a"]), Node::new("Abs", &["x"], &["b"]), Node::new("Neg", &["x"], &["c"]));
        let y = Node::new("Add", &["a", "b"], &["y"]);
        let one = canonical(model(&[named("token_1", b.clone()), a.clone(), c.clone(), y.clone()])).unwrap();
        let other = canonical(model(&[c, named("token_9", a), named("token_2", b), y])).unwrap();
        assert_eq!(one, other);
        let nodes = ModelProto::decode(&one[..]).unwrap().graph.unwrap().node;
        let order: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.op_type.as_str())).collect();
        assert_eq!(order, [("a", "Relu"), ("b", "Abs"), ("y", "Add"), ("c", "Neg")]);
    }
}
