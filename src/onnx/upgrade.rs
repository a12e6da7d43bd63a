//! Raising a graph's operator set: rules for every operator whose signature changed on the way (onnx/docs/Changelog.md).
use super::graph::Graph;
use super::node::Node;
use super::patch::Patch;
use super::proto::{TensorProto, attribute_type};
use anyhow::{Result, bail};
use std::collections::HashSet;

/// The highest version that rules are written for.
pub const NEWEST: i64 = 21;
/// Since version 18 their axes are an input.
const REDUCTIONS: [&str; 9] = [
    "ReduceMax",
    "ReduceMin",
    "ReduceMean",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
];
/// Operators between versions 13 and 21 whose meaning changed in a way that no rule here follows.
const UNKNOWN: [(&str, i64); 2] = [("DFT", 20), ("GroupNormalization", 21)];

/// The edit that brings `graph` to operator set `version`: nodes whose signature changed are replaced. A graph that has it, or a newer one,
/// stays as it is. Names that are added begin with `prefix`.
///
/// # Errors
/// When an operator has no rule: the node is named.
pub fn upgrade(graph: &Graph, version: i64, prefix: &str) -> Result<Patch> {
    let mut patch = Patch::default();
    if graph.opset >= version {
        return Ok(patch);
    }
    patch.opset = Some(version);
    let passes = |at: i64| graph.opset < at && version >= at;
    if version > NEWEST || graph.opset < 13 {
        bail!(
            "the graph has operator set {}; only sets from 13 on can be raised, up to {NEWEST}: export it with a newer one",
            graph.opset
        );
    }
    let mut shared = HashSet::new();
    for node in graph.nodes.iter().filter(|node| node.is_standard()) {
        if let Some((_, at)) = UNKNOWN.iter().find(|(op, at)| *op == node.op_type && passes(*at)) {
            bail!(
                "node `{}` ({}) changed its meaning in operator set {at}, and has no rule to follow it: export the model with that set",
                node.label(),
                node.op_type
            );
        }
        let raised = if passes(18) && REDUCTIONS.contains(&node.op_type.as_str()) {
            axes_as_input(node, prefix, &mut patch, &mut shared)
        } else if passes(18) && node.op_type == "Split" && node.given(1).is_none() && node.int("num_outputs").is_none()
        {
            // Equal parts have to be counted since then.
            Some(node.clone().with("num_outputs", node.output.len() as i64))
        } else if passes(20) && node.op_type == "GridSample" {
            renamed_mode(node)
        } else {
            None
        };
        if let Some(raised) = raised {
            patch.replaced.push(raised);
        }
    }
    Ok(patch)
}

fn axes_as_input(node: &Node, prefix: &str, patch: &mut Patch, shared: &mut HashSet<String>) -> Option<Node> {
    let axes = node.ints("axes")?;
    let text: Vec<_> = axes.iter().map(ToString::to_string).collect();
    let name = format!("{prefix}axes/{}", text.join(","));
    if shared.insert(name.clone()) {
        patch.initializers.push(TensorProto::of_ints(&name, &[axes.len()], axes));
    }
    let mut raised = node.clone();
    raised.attribute.retain(|attribute| attribute.name != "axes");
    raised.input.truncate(1);
    raised.input.push(name);
    Some(raised)
}

/// `bilinear` and `bicubic` are `linear` and `cubic` since version 20.
fn renamed_mode(node: &Node) -> Option<Node> {
    let mode = match node.text("mode").unwrap_or("bilinear") {
        "bilinear" => "linear",
        "bicubic" => "cubic",
        _ => return None,
    };
    let mut raised = node.clone();
    raised.attribute.retain(|attribute| attribute.name != "mode" || attribute.r#type != attribute_type::STRING);
    Some(raised.with("mode", mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{GraphProto, ModelProto, OperatorSetIdProto};
    use prost::Message;

    /// A chain of these nodes, each with one input and one output.
    fn model(opset: i64, nodes: &[Node]) -> (Vec<u8>, Graph) {
        let set = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
        let model = ModelProto {
            ir_version: 8,
            graph: Some(GraphProto { node: nodes.to_vec(), ..Default::default() }),
            opset_import: vec![set("", opset), set("com.microsoft", 1)],
            ..Default::default()
        };
        let bytes = model.encode_to_vec();
        (bytes.clone(), Graph::parse(bytes).unwrap())
    }

    #[test]
    fn changed_signatures_follow_and_the_rest_stays() {
        let nodes = [
            Node::new("ReduceMean", &["x"], &["a"]).with("axes", vec![2, 3]).with("keepdims", 0),
            Node::new("ReduceMax", &["a"], &["b"]).with("axes", vec![2, 3]),
            Node::new("ReduceL2", &["b"], &["c"]),
            Node::new("Split", &["c"], &["d", "e"]),
            Node::new("GridSample", &["d"], &["f"]),
            Node::new("Relu", &["f"], &["g"]),
        ];
        let (bytes, graph) = model(17, &nodes);
        let patch = upgrade(&graph, 21, "p/").unwrap();
        let raised = |name: &str| patch.replaced.iter().find(|node| node.output[0] == name);
        assert_eq!(raised("a").unwrap().input, ["x", "p/axes/2,3"]);
        assert_eq!((raised("a").unwrap().int("keepdims"), raised("a").unwrap().ints("axes")), (Some(0), None));
        assert_eq!(patch.initializers.len(), 1, "equal axes are one constant");
        assert_eq!(
            (raised("d").unwrap().int("num_outputs"), raised("f").unwrap().text("mode")),
            (Some(2), Some("linear"))
        );
        assert!(raised("c").is_none() && raised("g").is_none());
        let patch = Patch { inputs: vec![crate::onnx::Port::float("x", None)], ..patch };
        let written = ModelProto::decode(&patch.write(&graph, bytes).unwrap()[..]).unwrap();
        let sets: Vec<_> = written.opset_import.iter().map(|set| (set.domain.as_str(), set.version)).collect();
        assert_eq!(sets, [("", 21), ("com.microsoft", 1)]);
        let names: Vec<_> = written.graph.unwrap().node.iter().map(|node| node.output[0].clone()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "f", "g"], "each stands where it stood");
    }

    #[test]
    fn what_no_rule_follows_is_named() {
        let (_, graph) = model(18, &[Node { name: "norm".into(), ..Node::new("GroupNormalization", &["x"], &["y"]) }]);
        assert!(upgrade(&graph, 20, "p/").is_ok());
        let error = upgrade(&graph, 21, "p/").unwrap_err().to_string();
        assert!(error.contains("`norm` (GroupNormalization)") && error.contains("set 21"), "{error}");
        assert!(upgrade(&model(12, &[]).1, 21, "p/").is_err() && upgrade(&model(17, &[]).1, 22, "p/").is_err());
        assert!(upgrade(&model(22, &[]).1, 21, "p/").unwrap().opset.is_none());
    }
}
