//! A graph that no person reads: short names, small constants that are equal there once, and no attribute that says what goes without saying.
//! Where nodes are many and small, names take more bytes than all else, and the runtime keeps hundreds of bytes for each constant and attribute.
use super::node::Node;
use super::proto::AttributeProto;
use super::wire::{Field, fields, put};
use anyhow::Result;
use prost::Message;
use prost::bytes::Bytes;
use std::collections::{BTreeMap, HashMap, HashSet};

// Field numbers of onnx.proto3.
const MODEL_GRAPH: u32 = 7;
const MODEL_OPSET: u32 = 8;
const MODEL_FUNCTION: u32 = 25;
const OPSET_DOMAIN: u32 = 1;
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
const NODE_DOMAIN: u32 = 7;
const ATTRIBUTE_GRAPH: u32 = 6;
const ATTRIBUTE_GRAPHS: u32 = 11;
const VALUE_NAME: u32 = 1;
const TENSOR_NAME: u32 = 8;

/// Constants that take more bytes of the graph are not compared.
const SMALL: usize = 256;

/// The model with tensors called `t0`, `t1`, … in the order of the nodes that give or take them, each node called as its first output is. Constants
/// stand in that order, too, whatever order the file had them in. Shapes of what lies in between go, the runtime infers them. Inputs and outputs keep
/// their names; sets of operators that no node is of go, and attributes that have their default value. A graph with graphs inside, whose nodes take
/// tensors from around them, is left as it is.
///
/// # Errors
/// When it is no ONNX model.
pub fn compact(model: Vec<u8>) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(model.len());
    let model = Bytes::from(model);
    // A patched model has its graph in parts, which protobuf joins.
    let (parts, rest): (Vec<_>, Vec<_>) = fields(&model)?.into_iter().partition(|field| field.number == MODEL_GRAPH);
    let parts = parts.into_iter().filter_map(|field| field.content).map(|part| fields(&part));
    let graph: Vec<Field> = parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    if !is_flat(&graph)? || rest.iter().any(|field| field.number == MODEL_FUNCTION) {
        return Ok(model.into());
    }
    let mut domains = HashSet::from(["", "ai.onnx"].map(Bytes::from));
    for node in of(&graph, GRAPH_NODE) {
        domains.extend(of(&fields(&node)?, NODE_DOMAIN));
    }
    for field in rest {
        // The runtime names every set of operators that it knows.
        let is_set = field.content.as_ref().filter(|_| field.number == MODEL_OPSET);
        let domain = is_set.map(fields).transpose()?.map(|set| of(&set, OPSET_DOMAIN).next_back());
        if domain.is_none_or(|domain| domains.contains(&domain.unwrap_or_default())) {
            out.extend_from_slice(&field.whole);
        }
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
fn of(fields: &[Field], number: u32) -> impl DoubleEndedIterator<Item = Bytes> {
    fields.iter().filter(move |field| field.number == number).filter_map(|field| field.content.clone())
}

/// New names by old ones, given as they are asked for.
struct Names {
    given: HashMap<Bytes, Bytes>,
    /// Names of constants by those of their equals.
    equal: HashMap<Bytes, Bytes>,
    taken: HashSet<Bytes>,
    next: usize,
}

impl Names {
    fn of(&mut self, name: &Bytes) -> Bytes {
        let name = self.equal.get(name).unwrap_or(name);
        if let Some(given) = self.given.get(name) {
            return given.clone();
        }
        let short = loop {
            let short = Bytes::from(format!("t{}", self.next));
            self.next += 1;
            if !self.taken.contains(&short) {
                break short;
            }
        };
        self.given.insert(name.clone(), short.clone());
        short
    }
}

/// A constant: its name, and all else.
struct Constant {
    name: Bytes,
    rest: Vec<u8>,
}

impl Constant {
    fn of(tensor: &Bytes) -> Result<Self> {
        let (name, rest): (Vec<_>, Vec<_>) = fields(tensor)?.into_iter().partition(|field| field.number == TENSOR_NAME);
        let name = name.into_iter().filter_map(|field| field.content).next_back().unwrap_or_default();
        Ok(Self { name, rest: rest.iter().flat_map(|field| field.whole.clone()).collect() })
    }
}

fn renamed(graph: &[Field]) -> Result<Vec<u8>> {
    let mut kept = HashSet::from([Bytes::new()]); // an input that is left out has no name
    for port in of(graph, GRAPH_INPUT).chain(of(graph, GRAPH_OUTPUT)) {
        kept.extend(of(&fields(&port)?, VALUE_NAME));
    }
    let constants: Vec<Constant> =
        of(graph, GRAPH_INITIALIZER).map(|tensor| Constant::of(&tensor)).collect::<Result<_>>()?;
    let (mut first, mut equal) = (HashMap::new(), HashMap::new());
    for constant in constants.iter().filter(|constant| constant.rest.len() < SMALL && !kept.contains(&constant.name)) {
        let first = first.entry(&constant.rest).or_insert(&constant.name);
        equal.insert(constant.name.clone(), (*first).clone());
    }
    let given = kept.iter().map(|name| (name.clone(), name.clone())).collect();
    let mut names = Names { given, equal, taken: kept, next: 0 };
    let mut out = Vec::new();
    // Nodes first: they settle the order of the names.
    for node in of(graph, GRAPH_NODE) {
        put(GRAPH_NODE, &node_renamed(&node, &mut names)?, &mut out);
    }
    // One that no node takes goes, as do equal ones but the first.
    let taken = constants.into_iter().filter_map(|constant| Some((names.given.get(&constant.name)?, constant.rest)));
    let by_number: BTreeMap<(usize, &Bytes), Vec<u8>> = taken.map(|(name, rest)| ((name.len(), name), rest)).collect();
    for ((_, name), mut tensor) in by_number {
        put(TENSOR_NAME, name, &mut tensor);
        put(GRAPH_INITIALIZER, &tensor, &mut out);
    }
    let done = [GRAPH_NODE, GRAPH_VALUE_INFO, GRAPH_INITIALIZER];
    for field in graph.iter().filter(|field| !done.contains(&field.number)) {
        out.extend_from_slice(&field.whole);
    }
    Ok(out)
}

fn node_renamed(node: &Bytes, names: &mut Names) -> Result<Vec<u8>> {
    let (mut out, mut first) = (Vec::new(), Bytes::new());
    let Node { op_type: op, domain, .. } = Node::decode(node.clone())?;
    let is_known = matches!(&domain[..], "" | "ai.onnx" | "com.microsoft" | "com.microsoft.nchwc");
    for field in fields(node)? {
        match (field.content, field.number) {
            (Some(name), NODE_INPUT | NODE_OUTPUT) => {
                let name = names.of(&name);
                if field.number == NODE_OUTPUT && first.is_empty() {
                    first = name.clone();
                }
                put(field.number, &name, &mut out);
            }
            (_, NODE_NAME) => {}
            (Some(attribute), NODE_ATTRIBUTE)
                if is_known && goes_without_saying(&op, &AttributeProto::decode(attribute.clone())?) => {}
            _ => out.extend_from_slice(&field.whole),
        }
    }
    put(NODE_NAME, &first, &mut out);
    Ok(out)
}

/// Whether an attribute has its default value (onnx/docs/Operators.md; of com.microsoft's operators, onnxruntime/docs/ContribOperators.md).
fn goes_without_saying(op: &str, attribute: &AttributeProto) -> bool {
    let all = |value: i64| attribute.ints.iter().all(|&each| each == value);
    let (name, int) = (attribute.name.as_str(), attribute.i);
    match op {
        "Conv" | "FusedConv" | "QLinearConv" | "MaxPool" | "AveragePool" => match name {
            "auto_pad" => &attribute.s[..] == b"NOTSET",
            "group" => int == 1,
            "dilations" | "strides" => all(1),
            "pads" => all(0),
            "ceil_mode" | "storage_order" | "count_include_pad" => int == 0,
            _ => false,
        },
        "Gemm" | "QGemm" => match name {
            "alpha" | "beta" => attribute.f == 1.0,
            "transA" | "transB" => int == 0,
            _ => false,
        },
        "QuantizeLinear" | "DequantizeLinear" => match name {
            "axis" | "saturate" => int == 1,
            "block_size" | "output_dtype" => int == 0,
            _ => false,
        },
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" => match name {
            "keepdims" => int == 1,
            "noop_with_empty_axes" => int == 0,
            _ => false,
        },
        "Reshape" => name == "allowzero" && int == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{
        GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, ValueInfoProto,
    };
    use crate::onnx::{Graph, Node, Value};
    use prost::Message;
    use std::collections::BTreeSet;

    /// The weight has a value of its own, the others' is the same.
    fn constant(name: &str) -> TensorProto {
        let value = u8::from(name == "stem/weight");
        TensorProto { name: name.into(), data_type: 2, raw_data: vec![value].into(), ..Default::default() }
    }

    /// From `t0` to `y`, with sets of operators.
    fn whole(node: Vec<Node>, initializer: Vec<TensorProto>, sets: &[&str]) -> Vec<u8> {
        let port = |name: &str| ValueInfoProto { name: name.into(), ..Default::default() };
        let (input, output) = (vec![port("t0")], vec![port("y")]);
        let graph = GraphProto { node, initializer, input, output, ..Default::default() };
        let opset_import = sets.iter().map(|&set| OperatorSetIdProto { domain: set.into(), version: 1 }).collect();
        ModelProto { ir_version: 8, graph: Some(graph), opset_import, ..Default::default() }.encode_to_vec()
    }

    fn model(nodes: &[Node]) -> Vec<u8> {
        whole(nodes.to_vec(), ["nobody's", "zero", "stem/weight", "nil"].map(constant).into(), &[])
    }

    fn compacted(model: Vec<u8>) -> ModelProto {
        ModelProto::decode(&compact(model).unwrap()[..]).unwrap()
    }

    #[test]
    fn tensors_get_short_names_and_equal_constants_one() {
        let nodes = [
            Node::new("Conv", &["t0", "stem/weight"], &["stem/Conv_output"]),
            Node::new("Clip", &["stem/Conv_output", "", "stem/weight"], &["x"]),
            Node::new("Sum", &["nil", "x", "zero"], &["y"]),
        ];
        let mut long = model(&nodes);
        let more = Node::new("Neg", &["y"], &["behind/it"]);
        long.extend(
            ModelProto { graph: Some(GraphProto { node: vec![more], ..Default::default() }), ..Default::default() }
                .encode_to_vec(),
        );
        let graph = Graph::parse(compact(long).unwrap()).unwrap();
        let all: Vec<_> = graph.nodes.iter().map(|node| (node.input.join(" "), node.output.join(" "))).collect();
        let expected = [("t0 t1", "t2"), ("t2  t1", "t3"), ("t4 t3 t4", "y"), ("y", "t5")];
        assert_eq!(all, expected.map(|(takes, gives)| (takes.to_owned(), gives.to_owned())));
        let constants: BTreeSet<_> = graph.initializer_names().collect();
        assert_eq!(constants, ["t1", "t4"].into());
        assert_eq!(graph.nodes[0].name, "t2");
    }

    #[test]
    fn attributes_go_where_their_default_says_the_same() {
        let int = Value::Int;
        let ints = |ints: &[i64]| Value::Ints(ints.to_vec());
        let kept = |domain: &str, op: &str, name: &str, value: &Value| {
            let node = Node { domain: domain.into(), ..Node::new(op, &["t0"], &["y"]).with(name, value.clone()) };
            let found = compacted(whole(vec![node.clone()], Vec::new(), &[])).graph.unwrap().node.remove(0).attribute;
            assert!(found.is_empty() || found == node.attribute, "{found:?} of {node:?}");
            !found.is_empty()
        };
        for (op, name, default, other) in [
            ("Conv", "auto_pad", Value::Text("NOTSET".into()), Value::Text("SAME_UPPER".into())),
            ("Conv", "dilations", ints(&[1, 1]), ints(&[1, 2])),
            ("Conv", "group", int(1), int(2)),
            ("Conv", "pads", ints(&[0; 4]), ints(&[0, 0, 0, 1])),
            ("FusedConv", "strides", ints(&[1, 1]), ints(&[2, 1])),
            ("MaxPool", "ceil_mode", int(0), int(1)),
            ("MaxPool", "storage_order", int(0), int(1)),
            ("AveragePool", "count_include_pad", int(0), int(1)),
            ("Gemm", "alpha", Value::Float(1.0), Value::Float(0.5)),
            ("Gemm", "beta", Value::Float(1.0), Value::Float(0.0)),
            ("Gemm", "transA", int(0), int(1)),
            ("QGemm", "transB", int(0), int(1)),
            ("DequantizeLinear", "axis", int(1), int(0)),
            ("DequantizeLinear", "block_size", int(0), int(32)),
            ("QuantizeLinear", "output_dtype", int(0), int(2)),
            ("QuantizeLinear", "saturate", int(1), int(0)),
            ("ReduceMean", "keepdims", int(1), int(0)),
            ("ReduceSum", "noop_with_empty_axes", int(0), int(1)),
            ("Reshape", "allowzero", int(0), int(1)),
        ] {
            assert!(!kept("", op, name, &default), "{op} {name} {default:?}");
            assert!(!kept("com.microsoft.nchwc", op, name, &default), "{op} {name} {default:?}");
            assert!(kept("", op, name, &other), "{op} {name} {other:?}");
            assert!(kept("somebody.else", op, name, &default), "{op} {name} {default:?}");
        }
        // What says nothing in one place does in another.
        assert!(kept("", "Concat", "axis", &int(1)) && kept("", "Conv", "kernel_shape", &ints(&[1, 1])));
    }

    #[test]
    fn sets_of_operators_that_no_node_is_of_go() {
        let node = Node { domain: "com.microsoft.nchwc".into(), ..Node::new("Conv", &["t0"], &["y"]) };
        let sets = ["ai.onnx.ml", "", "com.microsoft", "com.microsoft.nchwc", "ai.onnx"];
        let kept = compacted(whole(vec![node], Vec::new(), &sets)).opset_import;
        let kept: Vec<_> = kept.iter().map(|set| set.domain.as_str()).collect();
        assert_eq!(kept, ["", "com.microsoft.nchwc", "ai.onnx"]);
    }

    #[test]
    fn constants_that_differ_in_anything_stay_apart() {
        let of = |name: &str, dims: &[i64]| TensorProto { dims: dims.to_vec(), ..constant(name) };
        let large = |name: &str| TensorProto { raw_data: vec![0; SMALL].into(), ..of(name, &[SMALL as i64]) };
        let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
        let outside = |name: &str, offset: &str| TensorProto {
            raw_data: Bytes::new(),
            external_data: vec![entry("location", "weights.bin"), entry("offset", offset), entry("length", "1")],
            data_location: 1,
            ..constant(name)
        };
        let constants = vec![
            constant("equal"),
            constant("to it"),
            of("of one axis", &[1]),
            TensorProto { data_type: 3, ..constant("of another type") },
            large("large"),
            large("as large"),
            outside("outside", "0"),
            outside("behind it", "1"),
            // Who runs the graph may feed another value.
            constant("t0"),
        ];
        let names: Vec<&str> = constants.iter().map(|constant| constant.name.as_str()).collect();
        let graph = compacted(whole(vec![Node::new("Sum", &names, &["y"])], constants.clone(), &[])).graph.unwrap();
        let taken = &graph.node[0].input;
        assert_eq!(taken[0], taken[1]);
        assert_eq!(taken[8], "t0");
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), names.len() - 1, "{taken:?}");
        assert_eq!(graph.initializer.len(), names.len() - 1);
        for (name, before) in taken.iter().zip(&constants) {
            let after = graph.initializer.iter().find(|after| after.name == *name);
            assert_eq!(after, Some(&TensorProto { name: name.clone(), ..before.clone() }));
        }
    }

    #[test]
    fn the_order_of_constants_in_the_file_changes_nothing() {
        let nodes = [Node::new("Conv", &["t0", "stem/weight", "zero"], &["y"])];
        let mut constants = ["nil", "zero", "stem/weight"].map(constant).to_vec();
        let one = compact(whole(nodes.to_vec(), constants.clone(), &[])).unwrap();
        constants.reverse();
        assert_eq!(compact(whole(nodes.to_vec(), constants, &[])).unwrap(), one);
    }

    #[test]
    fn a_graph_whose_names_stand_elsewhere_too_is_left_as_it_is() {
        let within = |number: u32, content: &[u8]| {
            let mut out = Vec::new();
            put(number, content, &mut out);
            out
        };
        let holding = |number: u32| {
            let node = [within(NODE_OUTPUT, b"long/name"), within(NODE_ATTRIBUTE, &within(number, &[]))].concat();
            within(MODEL_GRAPH, &within(GRAPH_NODE, &node))
        };
        let plain = model(&[Node::new("Neg", &["t0"], &["y"])]);
        for (what, more) in [
            ("a graph inside", holding(ATTRIBUTE_GRAPH)),
            ("graphs inside", holding(ATTRIBUTE_GRAPHS)),
            ("a function", within(MODEL_FUNCTION, &[])),
            ("an annotation", within(MODEL_GRAPH, &within(GRAPH_ANNOTATION, &[]))),
            ("a sparse constant", within(MODEL_GRAPH, &within(GRAPH_SPARSE, &[]))),
        ] {
            let bytes = [plain.clone(), more].concat();
            assert_eq!(compact(bytes.clone()).unwrap(), bytes, "{what}");
        }
        assert_ne!(compact(plain.clone()).unwrap(), plain);
    }
}
