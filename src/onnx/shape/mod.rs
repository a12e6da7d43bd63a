//! Shape inference: the static shape of every tensor once the input's shape is fixed, and the values of what is computed from shapes alone.
//!
//! Own inference, because exporters leave shapes out and a free batch axis makes the file's own ones symbolic. What it cannot infer is
//! absent from [`Shapes`]; whoever needs it says which node is in the way.
mod layout;
mod rules;
mod values;
mod window;

pub use layout::{permutation, slice};
pub use rules::reduced_axes;
pub use window::{WindowAxis, windows};

use super::constant::Constant;
use super::graph::Graph;
use super::node::Node;
use anyhow::{Context, Result};
use std::collections::HashMap;

/// Most values that are computed with at this stage: shapes, indices, masks of windowed attention; never feature maps.
const MOST_VALUES: usize = 1 << 16;

/// Most floats of an initializer that are read.
const MOST_FLOATS: usize = 64;

/// Shapes of tensors, and values of those that depend on shapes and constants only.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    shapes: HashMap<String, Vec<usize>>,
    values: HashMap<String, Constant>,
}

impl Shapes {
    /// The shape of `tensor`, if it is known.
    pub fn get(&self, tensor: &str) -> Option<&[usize]> {
        self.shapes.get(tensor).map(Vec::as_slice)
    }

    /// The shape of `tensor`.
    ///
    /// # Errors
    /// Naming the tensor when it could not be inferred.
    pub fn of(&self, tensor: &str) -> Result<&[usize]> {
        self.get(tensor).with_context(|| format!("the shape of `{tensor}` cannot be inferred"))
    }

    /// The values of `tensor`, if they follow from shapes and constants.
    pub fn value(&self, tensor: &str) -> Option<&Constant> {
        self.values.get(tensor)
    }

    fn set(&mut self, tensor: &str, shape: Vec<usize>) {
        self.shapes.insert(tensor.to_owned(), shape);
    }
}

/// Infers all it can, with the graph's inputs shaped as `inputs` says.
pub fn infer(graph: &Graph, inputs: &[(&str, &[usize])]) -> Shapes {
    let mut shapes = Shapes::default();
    for name in graph.initializer_names() {
        if let Some(tensor) = graph.initializer(name) {
            let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
            if let Some(dims) = dims {
                shapes.set(name, dims);
            }
            // Weights are never read: only integers, and floats as few as the scales of a Resize.
            let most = if tensor.is_integer() { MOST_VALUES } else { MOST_FLOATS };
            if let Some(constant) = graph.constant(name, most) {
                shapes.values.insert(name.to_owned(), constant);
            }
        }
    }
    for (name, shape) in inputs {
        shapes.set(name, shape.to_vec());
    }
    let stated: HashMap<&str, Vec<usize>> =
        graph.stated.iter().chain(&graph.outputs).filter_map(|t| Some((t.name.as_str(), stated(t)?))).collect();
    for node in &graph.nodes {
        infer_node(graph, node, &mut shapes);
        for output in &node.output {
            if let (None, Some(shape)) = (shapes.get(output), stated.get(output.as_str())) {
                shapes.set(output, shape.clone());
            }
        }
    }
    shapes
}

/// A shape that the file states in full.
fn stated(tensor: &super::facts::Tensor) -> Option<Vec<usize>> {
    tensor.shape.as_ref()?.iter().map(|d| d.fixed().and_then(|n| usize::try_from(n).ok())).collect()
}

fn infer_node(graph: &Graph, node: &Node, shapes: &mut Shapes) {
    if let Some(value) = values::compute(graph, node, shapes).filter(|value| value.len() <= MOST_VALUES)
        && let Some(output) = node.output.first()
    {
        shapes.set(output, value.shape.clone());
        shapes.values.insert(output.clone(), value);
        return;
    }
    let Some(found) = rules::output_shapes(graph, node, shapes) else { return };
    for (output, shape) in node.output.iter().zip(found) {
        if !output.is_empty() {
            shapes.set(output, shape);
        }
    }
}

/// The shape that numpy-style broadcasting gives; `None` when the two do not fit.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// A possibly negative axis number as a place among `rank` axes.
pub fn place(number: i64, rank: usize) -> Option<usize> {
    let number = if number < 0 { number + rank as i64 } else { number };
    usize::try_from(number).ok().filter(|&at| at < rank.max(1))
}
