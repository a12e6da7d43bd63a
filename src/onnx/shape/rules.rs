//! Output shapes, operator by operator, in the words of the ONNX specification (Operators.md).
use super::layout::{permutation, reshape, slice, split, squeeze};
use super::window::windows;
use super::{Shapes, broadcast, place};
use crate::onnx::graph::Graph;
use crate::onnx::node::Node;

/// The shapes of a node's outputs; `None` when they do not follow from what is known.
#[allow(clippy::too_many_lines)] // one table
pub fn output_shapes(graph: &Graph, node: &Node, shapes: &Shapes) -> Option<Vec<Vec<usize>>> {
    if !node.is_standard() {
        return same_as_first(node, shapes).filter(|_| node.op_type == "Gelu");
    }
    let input = |at: usize| shapes.get(node.given(at)?);
    let ints = |at: usize| shapes.value(node.given(at)?)?.as_ints().map(<[i64]>::to_vec);
    let shape = match node.op_type.as_str() {
        "Constant" => vec![match (node.tensor("value"), node.floats("value_floats"), node.float("value_float")) {
            (Some(tensor), ..) => tensor.dims.iter().map(|&d| d as usize).collect(),
            (_, Some(floats), _) => vec![floats.len()],
            (_, _, Some(_)) => vec![],
            _ => return None,
        }],
        "Shape" => vec![vec![input(0)?.len()]],
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" | "Sum" | "Mean" | "Where" | "Equal" | "Greater"
        | "Less" | "GreaterOrEqual" | "LessOrEqual" | "And" | "Or" | "Xor" | "Mod" | "PRelu" => {
            let mut all = input(0)?.to_vec();
            for at in 1..node.input.len() {
                all = broadcast(&all, input(at)?)?;
            }
            vec![all]
        }
        "Conv" => {
            let (x, w) = (input(0)?, input(1)?);
            let mut out = vec![x[0], *w.first()?];
            out.extend(windows(node, x, w.get(2..)?)?.iter().map(|a| a.out));
            vec![out]
        }
        "ConvTranspose" => vec![conv_transpose(node, input(0)?, input(1)?)?],
        "MaxPool" | "AveragePool" | "LpPool" => {
            let x = input(0)?;
            let kernel: Vec<_> = node.ints("kernel_shape")?.iter().map(|&k| k as usize).collect();
            let mut out = x.get(..2)?.to_vec();
            out.extend(windows(node, x, &kernel)?.iter().map(|a| a.out));
            vec![out.clone(), out]
        }
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            let x = input(0)?;
            vec![x.iter().enumerate().map(|(i, &d)| if i < 2 { d } else { 1 }).collect()]
        }
        "Gemm" => {
            let side = |at: usize, name: &str, which: usize| {
                input(at)?.get(if node.int(name) == Some(1) { 1 - which } else { which }).copied()
            };
            vec![vec![side(0, "transA", 0)?, side(1, "transB", 1)?]]
        }
        "MatMul" => vec![matmul(input(0)?, input(1)?)?],
        "Reshape" => vec![reshape(input(0)?, &ints(1)?, node.int("allowzero") == Some(1))?],
        "Flatten" => {
            let x = input(0)?;
            let number = node.int("axis").unwrap_or(1);
            let at = if number == x.len() as i64 { x.len() } else { place(number, x.len())? };
            vec![vec![x[..at].iter().product(), x[at..].iter().product()]]
        }
        "Transpose" => {
            let x = input(0)?;
            vec![permutation(node, x.len()).iter().map(|&p| x.get(p).copied()).collect::<Option<_>>()?]
        }
        "Squeeze" | "Unsqueeze" => {
            let axes = node.ints("axes").map(<[i64]>::to_vec).or_else(|| ints(1));
            vec![squeeze(node.op_type == "Unsqueeze", input(0)?, axes)?]
        }
        "Concat" => {
            let mut out = input(0)?.to_vec();
            let at = place(node.int("axis")?, out.len())?;
            out[at] = (0..node.input.len()).map(|i| input(i).and_then(|s| s.get(at))).sum::<Option<usize>>()?;
            vec![out]
        }
        "Split" => split(graph, node, input(0)?, ints(1))?,
        "Slice" => vec![slice(graph, node, shapes)?.iter().map(Vec::len).collect()],
        "Gather" => {
            let (x, index) = (input(0)?, input(1)?);
            let at = place(node.int("axis").unwrap_or(0), x.len())?;
            vec![[&x[..at], index, &x[at + 1..]].concat()]
        }
        "Expand" => {
            let target: Vec<_> = ints(1)?.iter().map(|&d| d as usize).collect();
            vec![broadcast(input(0)?, &target)?]
        }
        "Tile" => vec![input(0)?.iter().zip(ints(1)?).map(|(&d, n)| d * n as usize).collect()],
        "Pad" => {
            let pads = node.ints("pads").map(<[i64]>::to_vec).or_else(|| ints(1))?;
            let x = input(0)?;
            let axes: Vec<usize> = match ints(3) {
                Some(axes) => axes.iter().map(|&a| place(a, x.len())).collect::<Option<_>>()?,
                None => (0..x.len()).collect(),
            };
            let mut out: Vec<i64> = x.iter().map(|&d| d as i64).collect();
            for (i, &at) in axes.iter().enumerate() {
                out[at] += pads.get(i)? + pads.get(i + axes.len())?;
            }
            vec![out.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<_>>()?]
        }
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL1" | "ReduceL2" | "ReduceProd"
        | "ReduceSumSquare" | "ReduceLogSum" | "ReduceLogSumExp" => {
            let x = input(0)?;
            let axes = reduced_axes(node, shapes, x.len())?;
            let keep = node.int("keepdims") != Some(0);
            let length = |(i, &d): (usize, &usize)| match (axes.contains(&i), keep) {
                (false, _) => Some(d),
                (true, true) => Some(1),
                (true, false) => None,
            };
            vec![x.iter().enumerate().filter_map(length).collect()]
        }
        "ArgMax" | "ArgMin" => {
            let mut out = input(0)?.to_vec();
            let at = place(node.int("axis").unwrap_or(0), out.len())?;
            if node.int("keepdims") == Some(0) {
                out.remove(at);
            } else {
                out[at] = 1;
            }
            vec![out]
        }
        "Resize" | "Upsample" => vec![resize(node, input(0)?, shapes)?],
        "DepthToSpace" | "SpaceToDepth" => {
            let b = usize::try_from(node.int("blocksize")?).ok().filter(|&b| b > 0)?;
            let &[n, c, h, w] = input(0)? else { return None };
            vec![if node.op_type == "DepthToSpace" {
                vec![n, c / (b * b), h * b, w * b]
            } else {
                vec![n, c * b * b, h / b, w / b]
            }]
        }
        "ConstantOfShape" => vec![ints(0)?.iter().map(|&d| d as usize).collect()],
        "Einsum" => vec![einsum(node, shapes)?],
        "Dropout" => vec![input(0)?.to_vec(); 2],
        "LayerNormalization" => {
            let x = input(0)?;
            let first = place(node.int("axis").unwrap_or(-1), x.len())?;
            let statistics: Vec<_> = x.iter().enumerate().map(|(i, &d)| if i < first { d } else { 1 }).collect();
            vec![x.to_vec(), statistics.clone(), statistics]
        }
        "BatchNormalization" | "ScatterND" | "ScatterElements" | "CumSum" | "Trilu" => vec![input(0)?.to_vec()],
        _ => return same_as_first(node, shapes).filter(|_| is_elementwise(&node.op_type)),
    };
    Some(shape)
}

fn same_as_first(node: &Node, shapes: &Shapes) -> Option<Vec<Vec<usize>>> {
    Some(vec![shapes.get(node.given(0)?)?.to_vec()])
}

/// Operators whose output has the shape of their first input.
fn is_elementwise(op: &str) -> bool {
    const ALL: [&str; 50] = [
        "Abs",
        "Acos",
        "Asin",
        "Atan",
        "Cast",
        "CastLike",
        "Ceil",
        "Celu",
        "Clip",
        "Cos",
        "DequantizeLinear",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "GroupNormalization",
        "HardSigmoid",
        "HardSwish",
        "Hardmax",
        "Identity",
        "InstanceNormalization",
        "IsInf",
        "IsNaN",
        "LRN",
        "LeakyRelu",
        "Log",
        "LogSoftmax",
        "LpNormalization",
        "MeanVarianceNormalization",
        "Mish",
        "Neg",
        "Not",
        "QuantizeLinear",
        "RMSNormalization",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Shrink",
        "Sigmoid",
        "Sign",
        "Sin",
        "Softmax",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Swish",
        "Tanh",
        "ThresholdedRelu",
    ];
    ALL.contains(&op)
}

/// The axes that a Reduce node sums over.
pub fn reduced_axes(node: &Node, shapes: &Shapes, rank: usize) -> Option<Vec<usize>> {
    let axes = match (node.ints("axes"), node.given(1)) {
        (Some(axes), _) => axes.to_vec(),
        (None, Some(name)) => shapes.value(name)?.as_ints()?.to_vec(),
        (None, None) => vec![],
    };
    if axes.is_empty() {
        let none = node.int("noop_with_empty_axes") == Some(1);
        return Some(if none { vec![] } else { (0..rank).collect() });
    }
    axes.iter().map(|&a| place(a, rank)).collect()
}

fn matmul(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let (row, column) = (a.len() == 1, b.len() == 1);
    let (a, b) = (if row { vec![1, a[0]] } else { a.to_vec() }, if column { vec![b[0], 1] } else { b.to_vec() });
    let (batch_a, batch_b) = (a.get(..a.len().checked_sub(2)?)?, b.get(..b.len().checked_sub(2)?)?);
    let mut out = broadcast(batch_a, batch_b)?;
    if !row {
        out.push(a[a.len() - 2]);
    }
    if !column {
        out.push(b[b.len() - 1]);
    }
    Some(out)
}

fn conv_transpose(node: &Node, x: &[usize], w: &[usize]) -> Option<Vec<usize>> {
    let n = x.len().checked_sub(2)?;
    let list = |name: &str, usual: i64, count: usize| {
        node.ints(name).filter(|all| all.len() == count).map_or(vec![usual; count], <[i64]>::to_vec)
    };
    let (strides, dilations) = (list("strides", 1, n), list("dilations", 1, n));
    let (pads, extra) = (list("pads", 0, 2 * n), list("output_padding", 0, n));
    let group = node.int("group").unwrap_or(1) as usize;
    let mut out = vec![x[0], w.get(1)? * group];
    let stated = node.ints("output_shape");
    for i in 0..n {
        if let Some(stated) = stated {
            out.push(usize::try_from(*stated.get(stated.len().checked_sub(n)? + i)?).ok()?);
            continue;
        }
        let extent = (*w.get(2 + i)? as i64 - 1) * dilations[i] + 1;
        let length = match node.text("auto_pad") {
            Some("SAME_UPPER" | "SAME_LOWER") => x[2 + i] as i64 * strides[i],
            Some("VALID") => strides[i] * (x[2 + i] as i64 - 1) + extra[i] + extent,
            _ => strides[i] * (x[2 + i] as i64 - 1) + extra[i] + extent - pads[i] - pads[n + i],
        };
        out.push(usize::try_from(length).ok()?);
    }
    Some(out)
}

fn resize(node: &Node, x: &[usize], shapes: &Shapes) -> Option<Vec<usize>> {
    let value = |at: usize| node.given(at).and_then(|name| shapes.value(name)).filter(|v| !v.is_empty());
    let axes: Vec<usize> = match node.ints("axes") {
        Some(axes) => axes.iter().map(|&a| place(a, x.len())).collect::<Option<_>>()?,
        None => (0..x.len()).collect(),
    };
    let mut out = x.to_vec();
    if let Some(sizes) = value(3).and_then(|v| v.as_ints()) {
        for (&at, &n) in axes.iter().zip(sizes) {
            out[at] = usize::try_from(n).ok()?;
        }
        return Some(out);
    }
    // Upsample and Resize-10 give the scales as their second input, later ones as their third.
    let scales = match (node.floats("scales"), node.input.len()) {
        (Some(scales), _) => scales.iter().map(|&s| s.into()).collect(),
        (None, 2) => value(1)?.to_floats(),
        _ => value(2)?.to_floats(),
    };
    for (&at, scale) in axes.iter().zip(scales) {
        out[at] = (x[at] as f32 * scale as f32).floor() as usize; // in float32, as the runtime: 5 times 2.6 are 13
    }
    Some(out)
}

fn einsum(node: &Node, shapes: &Shapes) -> Option<Vec<usize>> {
    let equation: String = node.text("equation")?.split_whitespace().collect();
    let (inputs, output) = equation.split_once("->")?;
    let mut lengths = std::collections::HashMap::new();
    for (term, name) in inputs.split(',').zip(&node.input) {
        let shape = shapes.get(name)?;
        if term.chars().count() != shape.len() {
            return None;
        }
        lengths.extend(term.chars().zip(shape.iter().copied()));
    }
    output.chars().map(|c| lengths.get(&c).copied()).collect()
}
