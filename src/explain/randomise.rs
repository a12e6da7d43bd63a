//! A network whose head is random: what the sanity check of Adebayo et al. (Sanity Checks for Saliency Maps, NeurIPS 2018) compares a map with.
use super::backward::path;
use super::explainer::Reading;
use super::faithfulness::Noise;
use super::layers::Layer;
use crate::onnx::{Constant, Node, TensorProto};
use std::collections::HashSet;

/// More weights than any head has; larger ones are left as they are.
const MOST: usize = 64 << 20;

/// Random weights for every projection behind `layer`, of the size and the standard deviation of those that they replace; empty where there is none.
pub fn head(reading: &Reading, layer: &Layer, seed: u64) -> Vec<TensorProto> {
    let graph = &reading.graph;
    let behind = path(graph, &layer.tensor, &reading.head.logits);
    let mut places: Vec<usize> = behind.into_iter().collect();
    places.sort_unstable();
    let mut noise = Noise::new(seed);
    let mut seen = HashSet::new();
    let weights = places.iter().flat_map(|&at| weights(&graph.nodes[at])).filter(|name| seen.insert(name.to_string()));
    weights.filter_map(|name| random(name, graph.initializer(name)?, &mut noise)).collect()
}

/// The inputs of a projection that may be weights.
fn weights(node: &Node) -> impl Iterator<Item = &str> {
    let projects = matches!(node.op_type.as_str(), "Gemm" | "MatMul" | "Conv" | "ConvTranspose");
    node.input.iter().take(if projects { 2 } else { 0 }).map(String::as_str)
}

fn random(name: &str, tensor: &TensorProto, noise: &mut Noise) -> Option<TensorProto> {
    let constant = Constant::read(tensor, MOST)?;
    if constant.as_ints().is_some() || constant.len() < 2 {
        return None;
    }
    let values = constant.to_floats();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
    let values: Vec<f32> = values.iter().map(|_| (noise.normal() * variance.sqrt()) as f32).collect();
    Some(TensorProto::of_floats(name, &constant.shape, &values))
}
