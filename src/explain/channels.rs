//! Which axis of a tensor holds the channels, followed from the picture through the graph: exporters mix NCHW and NHWC in one file.
use crate::onnx::{Graph, Node, Shapes, permutation};
use std::collections::HashMap;

/// The channel axis of each tensor for which it is known, given that of the graph's input.
pub fn axes(graph: &Graph, shapes: &Shapes, input: (&str, usize)) -> HashMap<String, usize> {
    let mut known = HashMap::from([(input.0.to_owned(), input.1)]);
    for node in &graph.nodes {
        if let Some(axis) = of_output(node, shapes, &known) {
            known.extend(node.output.iter().filter(|o| !o.is_empty()).map(|o| (o.clone(), axis)));
        }
    }
    known
}

fn of_output(node: &Node, shapes: &Shapes, known: &HashMap<String, usize>) -> Option<usize> {
    let output = shapes.get(node.output.first()?)?;
    match node.op_type.as_str() {
        // These are defined on [N, C, ...].
        "Conv"
        | "ConvTranspose"
        | "MaxPool"
        | "AveragePool"
        | "GlobalAveragePool"
        | "GlobalMaxPool"
        | "BatchNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "LRN"
        | "PRelu"
        | "DepthToSpace"
        | "SpaceToDepth" => Some(1),
        "Transpose" => {
            let before = *known.get(node.given(0)?)?;
            permutation(node, output.len()).iter().position(|&from| from == before)
        }
        // A projection gives new channels in the last axis.
        "MatMul" | "Gemm" => Some(output.len().checked_sub(1)?),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
            let (axis, before) = (*known.get(node.given(0)?)?, shapes.get(node.given(0)?)?);
            let channels = *before.get(axis)?;
            if axis + 1 == before.len() && output.last() == Some(&channels) {
                return Some(output.len() - 1);
            }
            let same_start = before.get(..=axis)? == output.get(..=axis)?;
            same_start.then_some(axis)
        }
        _ => {
            let same_rank = |name: &&String| shapes.get(name).is_some_and(|s| s.len() == output.len());
            node.input.iter().filter(same_rank).find_map(|name| known.get(name)).copied()
        }
    }
}
