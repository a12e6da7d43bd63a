//! The graph with quantized layers in the operators of ONNX (`QuantizeLinear`, `DequantizeLinear`), which the runtime fuses into its own of int8.
use super::network::Network;
use super::scheme::Scheme;
use super::settle::Settled;
use super::weights::Bound;
use crate::onnx::{Node, Patch, TensorProto, canonical};
use crate::quantize::calibrate::{Method, Observed, Steps, range};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

/// Names of what is added begin with this.
const PREFIX: &str = "dermai.int8/";

/// Scores may be so much higher than any that was observed. Measured on imagenet-mobilenetv1, 10 photos (KL to float32, correlation of maps): within the
/// range of least squared error 0.167 and 0.60, all that was observed 1.1 times 0.016 and 0.70, 1.5 times 0.003 and 0.997, twice 0.004 and 0.997.
const ROOM: f32 = 1.5;

/// How it is quantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// How ranges are chosen.
    pub method: Method,
    /// How weights are bounded.
    pub bound: Bound,
}

/// What is computed in int8, and what is known of the tensors.
#[derive(Clone, Copy, Debug)]
pub struct Quantized<'a> {
    /// Places of the layers.
    pub layers: &'a BTreeSet<usize>,
    /// What was observed of the tensors, with the network's weights as they are now.
    pub observed: &'a Observed,
    /// How.
    pub recipe: Recipe,
}

/// Writes the network with layers in int8 to `to`, in the folder of the float one, whose weights it shares.
///
/// # Errors
/// When a tensor was not observed, or the file cannot be written.
pub fn write(network: &mut Network, quantized: Quantized<'_>, to: &Path) -> Result<()> {
    let mut writing = Writing::of(network, quantized)?;
    for &at in quantized.layers {
        writing.layer(at)?;
    }
    let patch = writing.patch();
    let model = canonical(network.model.edited(&network.graph, &patch)?)?;
    fs::write(to, model).with_context(|| format!("`{}` cannot be written", to.display()))
}

struct Writing<'a> {
    network: &'a mut Network,
    quantized: Quantized<'a>,
    scheme: Scheme,
    steps: HashMap<String, Steps>,
    /// Changed nodes by their place.
    nodes: BTreeMap<usize, Node>,
    added: Vec<Node>,
    constants: Vec<TensorProto>,
}

impl<'a> Writing<'a> {
    fn of(network: &'a mut Network, quantized: Quantized<'a>) -> Result<Self> {
        let scheme = Scheme::of(network, quantized.layers);
        let mut steps = HashMap::new();
        for (tensor, source) in &scheme.stored {
            let seen = quantized.observed.get(source).with_context(|| format!("tensor `{source}` was not observed"))?;
            // A score that is cut off is the very one that wins, and nothing leads back from it.
            let is_score = scheme.scores.contains(source);
            let method = if is_score { Method::MinMax } else { quantized.recipe.method };
            let given = network.graph.producer(source).map(|at| network.graph.nodes[at].op_type.as_str());
            // A clip says itself where it ends.
            let room = if is_score && given != Some("Clip") { ROOM } else { 1.0 };
            let (low, high) = range(seen, method);
            steps.insert(tensor.clone(), Steps::over(low * room, high * room));
        }
        let nodes = scheme.nodes.iter().map(|&at| (at, network.graph.nodes[at].clone())).collect();
        Ok(Self { network, quantized, scheme, steps, nodes, added: Vec::new(), constants: Vec::new() })
    }

    /// Weights and bias of a layer in integers.
    fn layer(&mut self, at: usize) -> Result<()> {
        let input = self.network.graph.nodes[at].input[0].clone();
        let scale = self.steps.get(&input).with_context(|| format!("`{input}` has no steps"))?.scale;
        let seen = self.quantized.observed.get(&input).and_then(|seen| seen.channels.as_ref());
        let means = seen.map(|seen| &seen.mean[..]);
        let layer = Settled::of(self.network, at, means, self.quantized.recipe.bound, Some(scale))?;
        let Settled { name, shape, form, weights: found, bias, .. } = &layer;
        let axis = if form.is_last { shape.len() as i64 - 1 } else { 0 };
        let named = |what: &str| format!("{PREFIX}{name}/{what}");
        let stored = TensorProto::of_int8s(&named("weight"), shape, &found.values);
        let taken = self.dequantized(stored, &found.scales, Zeros::Int8, axis);
        let mut inputs = vec![(1, taken)];
        if layer.has_bias() {
            let scales: Vec<f32> = found.scales.iter().map(|of_weight| of_weight * scale).collect();
            let step = |(bias, scale): (&f32, &f32)| (f64::from(*bias) / f64::from(*scale)).round_ties_even() as i32;
            let steps: Vec<i32> = bias.iter().zip(&scales).map(step).collect();
            let stored = TensorProto::of_int32s(&named("bias"), &[steps.len()], &steps);
            inputs.push((2, self.dequantized(stored, &scales, Zeros::Int32, 0)));
        }
        let changed = self.nodes.get_mut(&at).context("a layer is no node of its scheme")?;
        changed.input.resize(changed.input.len().max(inputs.len() + 1), String::new());
        for (place, name) in inputs {
            changed.input[place] = name;
        }
        Ok(())
    }

    /// Adds a stored constant and the node that reads it; gives that node's output.
    fn dequantized(&mut self, stored: TensorProto, scales: &[f32], zeros: Zeros, axis: i64) -> String {
        let [scale, zero, output] = ["scale", "zero", "float"].map(|what| format!("{}/{what}", stored.name));
        let shape = [scales.len()];
        self.constants.push(TensorProto::of_floats(&scale, &shape, scales));
        self.constants.push(match zeros {
            Zeros::Int8 => TensorProto::of_int8s(&zero, &shape, &vec![0; scales.len()]),
            Zeros::Int32 => TensorProto::of_int32s(&zero, &shape, &vec![0; scales.len()]),
        });
        self.added.push(Node::new("DequantizeLinear", &[&stored.name, &scale, &zero], &[&output]).with("axis", axis));
        self.constants.push(stored);
        output
    }

    /// Stores tensors in 8 bits, and gives the whole edit.
    fn patch(mut self) -> Patch {
        let stored: Vec<String> = self.scheme.stored.keys().cloned().collect();
        for tensor in stored {
            let is_given = self.scheme.gives(self.network, &tensor);
            let named = |what: &str| format!("{PREFIX}{tensor}/{what}");
            let (float, read) = if is_given {
                // Whoever takes the tensor takes what was stored of it.
                (named("float"), tensor.clone())
            } else {
                (tensor.clone(), named("read"))
            };
            self.rewire(&tensor, is_given, &float, &read);
            let steps = self.steps[&tensor];
            let [scale, zero, kept] = ["scale", "zero", "stored"].map(named);
            self.constants.push(TensorProto::of_floats(&scale, &[], &[steps.scale]));
            self.constants.push(TensorProto::of_uint8(&zero, steps.zero));
            self.added.push(Node::new("QuantizeLinear", &[&float, &scale, &zero], &[&kept]));
            self.added.push(Node::new("DequantizeLinear", &[&kept, &scale, &zero], &[&read]));
        }
        let first = |at: &usize| self.network.graph.nodes[*at].output.first().cloned();
        let removed = self.nodes.keys().filter_map(first).collect();
        let back = self.nodes.into_values().chain(self.added).collect();
        let initializers = self.network.changes().into_iter().chain(self.constants).collect();
        Patch { back, removed, initializers, ..Patch::default() }
    }

    /// The node that gives `tensor` gives `float`, or those of the scheme that take it take `read`.
    fn rewire(&mut self, tensor: &str, is_given: bool, float: &str, read: &str) {
        let rename = |names: &mut Vec<String>, to: &str| {
            names.iter_mut().filter(|name| *name == tensor).for_each(|name| to.clone_into(name));
        };
        if is_given {
            let node = self.network.graph.producer(tensor).and_then(|at| self.nodes.get_mut(&at));
            if let Some(node) = node {
                rename(&mut node.output, float);
            }
        } else {
            for at in self.network.graph.consumers(tensor) {
                if let Some(node) = self.nodes.get_mut(at) {
                    rename(&mut node.input, read);
                }
            }
        }
    }
}

/// The type of a stored constant, whose zero is zero.
#[derive(Clone, Copy)]
enum Zeros {
    Int8,
    Int32,
}
