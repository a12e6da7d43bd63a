//! The backward pass as ONNX nodes: from a score back to a feature map, by one rule an operator.
//!
//! Reverse-mode differentiation (Griewank and Walther, Evaluating Derivatives, 2008, chapter 3) on the graph itself: what is added are
//! ordinary nodes, so the runtime that answers also computes the gradient. Kinks and ties are as the frameworks have them: relu'(0) = 0,
//! MaxPool gives the whole gradient to the first maximum in row-major order, reductions to a maximum share it among ties.
#![allow(clippy::unnecessary_wraps)] // the rules of a table have one type
mod arithmetic;
mod conv;
mod elementwise;
mod layout;
mod linear;
mod norm;
mod pool;
mod reduce;
mod resize;
mod selection;
mod softmax;
mod typed;

pub use crate::onnx::{Emit, Name};

use crate::onnx::{Graph, Node, Shapes};
use anyhow::{Context, Result, bail};
use std::collections::{HashMap, HashSet};

/// One node whose gradient is being written.
pub struct Step<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Shapes of its tensors.
    pub shapes: &'a Shapes,
    /// The node.
    pub node: &'a Node,
    /// Where nodes go.
    pub emit: &'a mut Emit,
    /// For each input, whether its gradient is wanted.
    wanted: Vec<bool>,
    /// For each output, the gradient of the score with respect to it.
    gradients: Vec<Option<Name>>,
}

/// Writes the gradients of a node's inputs; pairs of an input's number and its gradient's name, wanted inputs only.
pub type Rule = fn(&mut Step<'_>) -> Result<Vec<(usize, Name)>>;

/// The rule for an operator.
fn rule(op: &str) -> Option<Rule> {
    arithmetic::rule(op)
        .or_else(|| elementwise::rule(op))
        .or_else(|| conv::rule(op))
        .or_else(|| pool::rule(op))
        .or_else(|| linear::rule(op))
        .or_else(|| softmax::rule(op))
        .or_else(|| norm::rule(op))
        .or_else(|| reduce::rule(op))
        .or_else(|| layout::rule(op))
        .or_else(|| resize::rule(op))
        .or_else(|| typed::rule(op))
}

/// Whether the operator has a backward rule.
pub fn is_supported(node: &Node) -> bool {
    rule(&node.op_type).is_some() && (node.is_standard() || is_contrib(node))
}

/// Operators of the runtime's own set that mean what the standard one of the same name means.
fn is_contrib(node: &Node) -> bool {
    node.domain == "com.microsoft" && node.op_type == "Gelu"
}

impl Step<'_> {
    /// Name of input `at`.
    pub fn input(&self, at: usize) -> Result<&str> {
        self.node.given(at).with_context(|| format!("input {at} is missing"))
    }

    /// Name of the first output.
    pub fn output(&self) -> &str {
        &self.node.output[0]
    }

    /// Shape of input `at`.
    pub fn shape(&self, at: usize) -> Result<&[usize]> {
        self.shapes.of(self.input(at)?)
    }

    /// Shape of the first output.
    pub fn output_shape(&self) -> Result<&[usize]> {
        self.shapes.of(self.output())
    }

    /// Whether the gradient of input `at` is wanted.
    pub fn wants(&self, at: usize) -> bool {
        self.wanted.get(at).copied().unwrap_or(false)
    }

    /// The gradient of the score with respect to the first output.
    pub fn gradient(&self) -> Result<Name> {
        self.gradients.first().cloned().flatten().context("no gradient reaches its first output")
    }

    /// The gradient with respect to output `at`, if the score depends on it.
    pub fn gradient_of(&self, at: usize) -> Option<&Name> {
        self.gradients.get(at).and_then(Option::as_ref)
    }

    /// The only gradient of a node with one differentiable input.
    fn only(gradient: Name) -> Vec<(usize, Name)> {
        vec![(0, gradient)]
    }

    /// The integers of a constant input.
    pub fn ints(&self, at: usize) -> Result<Vec<i64>> {
        let name = self.input(at)?;
        let value = self.shapes.value(name).and_then(|v| v.as_ints());
        Ok(value.with_context(|| format!("its input `{name}` is not a constant"))?.to_vec())
    }
}

/// The nodes on a way from `target` to `score`, by their places in the graph.
pub fn path(graph: &Graph, target: &str, score: &str) -> HashSet<usize> {
    let mut forward: HashSet<&str> = HashSet::from([target]);
    let mut reached = HashSet::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        if passing(node).any(|i| forward.contains(i)) {
            forward.extend(node.output.iter().map(String::as_str).filter(|o| *o != target));
            reached.insert(at);
        }
    }
    let mut needed: HashSet<&str> = HashSet::from([score]);
    let mut on_path = HashSet::new();
    for (at, node) in graph.nodes.iter().enumerate().rev() {
        if reached.contains(&at) && node.output.iter().any(|o| needed.contains(o.as_str())) {
            on_path.insert(at);
            needed.extend(passing(node).filter(|i| forward.contains(i) && *i != target));
        }
    }
    on_path
}

/// The inputs that gradients pass.
fn passing(node: &Node) -> impl Iterator<Item = &str> {
    node.input.iter().enumerate().filter(|(at, _)| !is_blocked(node, *at)).map(|(_, name)| name.as_str())
}

/// Whether gradients do not pass an input: indices, shapes, conditions, and whatever a node only reads.
fn is_blocked(node: &Node, at: usize) -> bool {
    match node.op_type.as_str() {
        "Where" => at == 0,
        "Shape" | "Size" | "ArgMax" | "ArgMin" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual"
        | "Not" | "And" | "Or" | "IsNaN" | "Floor" | "Ceil" | "Round" | "Sign" | "ConstantOfShape" | "NonZero"
        | "OneHot" | "Range" => true,
        "Reshape" | "Expand" | "Tile" | "Slice" | "Gather" | "Pad" | "Resize" | "Upsample" | "Unsqueeze"
        | "Squeeze" | "Split" | "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceL2" | "ReduceL1"
        | "ReduceSumSquare" | "Dropout" | "Clip" | "QuantizeLinear" | "DequantizeLinear" => at > 0,
        _ => false,
    }
}

/// Writes the backward pass from `score`, whose gradient is `seed`, to `target`, and gives the name of the target's gradient.
///
/// # Errors
/// When a node on the path has no rule, or its rule cannot be applied (a shape is not static): names node and operator.
pub fn append(graph: &Graph, shapes: &Shapes, emit: &mut Emit, target: &str, score: &str, seed: Name) -> Result<Name> {
    if target == score {
        return Ok(seed);
    }
    let on_path = path(graph, target, score);
    if on_path.is_empty() {
        bail!("`{target}` has no influence on the score `{score}`");
    }
    let made_on_path: HashSet<&str> =
        on_path.iter().flat_map(|&at| &graph.nodes[at].output).map(String::as_str).collect();
    let differentiable = |name: &str| name == target || made_on_path.contains(name);
    let mut gradients: HashMap<String, Vec<Name>> = HashMap::from([(score.to_owned(), vec![seed])]);
    for (at, node) in graph.nodes.iter().enumerate().rev() {
        if !on_path.contains(&at) || !node.output.iter().any(|o| gradients.contains_key(o)) {
            continue;
        }
        let of_outputs: Vec<_> = node.output.iter().map(|o| total(emit, gradients.get(o))).collect();
        let wanted: Vec<_> =
            node.input.iter().enumerate().map(|(i, name)| differentiable(name) && !is_blocked(node, i)).collect();
        if !wanted.contains(&true) {
            continue;
        }
        let named = || format!("node `{}` ({})", node.label(), node.op_type);
        let rule = rule(&node.op_type).filter(|_| is_supported(node));
        let rule = rule.with_context(|| format!("{} has no backward rule", named()))?;
        let mut step = Step { graph, shapes, node, emit, wanted: wanted.clone(), gradients: of_outputs };
        for (input, gradient) in rule(&mut step).with_context(named)? {
            if wanted[input] {
                gradients.entry(node.input[input].clone()).or_default().push(gradient);
            }
        }
    }
    total(emit, gradients.get(target)).with_context(|| format!("no gradient reaches `{target}`"))
}

/// The sum of the gradients that reach a tensor on several ways.
fn total(emit: &mut Emit, parts: Option<&Vec<Name>>) -> Option<Name> {
    let (first, rest) = parts?.split_first()?;
    Some(rest.iter().fold(first.clone(), |sum, part| emit.add(&sum, part)))
}
