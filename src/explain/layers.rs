//! The feature maps of a graph: which can be explained, which is explained by default, and finding one by the name that a user gives.
use super::Map;
use super::backward::{is_supported, path};
use super::channels;
use super::score::Head;
use crate::onnx::{Graph, Shapes};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Behind a layer's name: the layer as it was before the exporter folded its normalisation into it.
const UNFOLDED: &str = ":unfolded";
/// How many names an error suggests.
const SUGGESTED: usize = 3;

/// A feature map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The name that `--layer` takes: a tensor's, or `NAME:unfolded`.
    pub name: String,
    /// The tensor.
    pub tensor: String,
    /// The operator that gives it.
    pub op: String,
    /// Its shape in the graph.
    pub shape: Vec<usize>,
    /// Which axis of it holds the channels.
    pub channel_axis: usize,
    /// For an unfolded layer, the convolution's bias, which is subtracted: it is what the folded normalisation added.
    pub bias: Option<String>,
    /// Whether the score depends on it.
    pub on_path: bool,
    /// The first node behind it that has no backward rule, as `node (operator)`.
    pub obstacle: Option<String>,
}

impl Layer {
    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.shape[self.channel_axis]
    }

    /// Height and width of its map; a sequence of tokens is a column.
    pub fn grid(&self) -> (usize, usize) {
        let axes = self.spatial_axes();
        (self.shape[axes[0]], axes.get(1).map_or(1, |&axis| self.shape[axis]))
    }

    /// Whether it is a sequence of tokens, as transformers have them, and not rows and columns.
    pub fn is_sequence(&self) -> bool {
        self.shape.len() == 3
    }

    /// A map of tokens as rows and columns: a square of patches, after the class token where there is one more (ViT, Dosovitskiy 2021). A
    /// map that has rows and columns stays as it is.
    ///
    /// # Errors
    /// When the tokens make no square.
    pub fn arranged(&self, map: Map) -> Result<Map> {
        if !self.is_sequence() {
            return Ok(map);
        }
        let tokens = map.len();
        let square = |count: usize| Some(count.isqrt()).filter(|side| side * side == count);
        let (skipped, side) = match (square(tokens), square(tokens.saturating_sub(1))) {
            (Some(side), _) => (0, side),
            (None, Some(side)) => (1, side),
            (None, None) => bail!(
                "layer `{}` has {tokens} tokens, which make no square; choose a layer with rows and columns, `dermai gradcam --list-layers` shows them",
                self.name
            ),
        };
        let patches: Vec<f32> = map.into_iter().skip(skipped).collect();
        Ok(Map::from_shape_vec((side, side), patches)?)
    }

    /// The axes that are neither batch nor channels.
    pub fn spatial_axes(&self) -> Vec<usize> {
        (1..self.shape.len()).filter(|&axis| axis != self.channel_axis).collect()
    }
}

/// All feature maps between picture and score, in the order of the graph, and the place of the default one among them.
#[derive(Clone, Debug)]
pub struct Layers {
    /// The maps.
    pub all: Vec<Layer>,
    /// The last one before global pooling.
    pub default: Option<usize>,
}

/// Finds the feature maps of a graph whose `input` has its channels in axis `input.1`.
pub fn find(graph: &Graph, shapes: &Shapes, input: (&str, usize), head: &Head) -> Layers {
    let channels = channels::axes(graph, shapes, input);
    let on_path = path(graph, input.0, &head.logits);
    let reached = reached(graph, input.0);
    let obstacles = obstacles(graph, &on_path);
    let cuts = cuts(graph, &on_path);
    let mut all: Vec<Layer> = Vec::new();
    let mut default = None;
    for (at, node) in graph.nodes.iter().enumerate().filter(|(at, _)| reached.contains(at)) {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            let Some(shape) = shapes.get(output).filter(|s| is_map(s)) else { continue };
            let layer = Layer {
                name: output.clone(),
                tensor: output.clone(),
                op: node.op_type.clone(),
                shape: shape.to_vec(),
                channel_axis: channels.get(output).copied().filter(|&a| a > 0).unwrap_or_else(|| guess(shape)),
                bias: None,
                on_path: on_path.contains(&at) && output != &head.logits,
                obstacle: obstacles[at].clone(),
            };
            if layer.spatial_axes().iter().map(|&a| layer.shape[a]).product::<usize>() < 2 {
                continue;
            }
            if layer.on_path && cuts.contains(output.as_str()) && !only_moves_or_pools(&node.op_type) {
                let better = default.is_none_or(|d: usize| all[d].shape.len() <= layer.shape.len());
                if better {
                    default = Some(all.len());
                }
            }
            let unfolded =
                Layer { name: format!("{output}{UNFOLDED}"), bias: node.given(2).map(str::to_owned), ..layer.clone() };
            all.push(layer);
            if node.op_type == "Conv" && unfolded.bias.is_some() {
                all.push(unfolded);
            }
        }
    }
    Layers { all, default }
}

impl Layers {
    /// The default layer.
    pub fn default_layer(&self) -> Result<&Layer> {
        let layer = self.default.map(|at| &self.all[at]).context(
            "no feature map lies on every way from the picture to the classes; choose one with `--layer`, `dermai gradcam --list-layers` shows them",
        )?;
        self.usable(layer)
    }

    /// The layer that a user names: a tensor, a node (its first output), or either with `:unfolded`.
    pub fn named(&self, graph: &Graph, name: &str) -> Result<&Layer> {
        let (plain, suffix) = name.strip_suffix(UNFOLDED).map_or((name, ""), |plain| (plain, UNFOLDED));
        let of_node = graph.nodes.iter().find(|n| n.name == plain).and_then(|n| n.output.first());
        let wanted = [Some(name.to_owned()), of_node.map(|tensor| format!("{tensor}{suffix}"))];
        let found = wanted.into_iter().flatten().find_map(|name| self.all.iter().find(|layer| layer.name == name));
        if let Some(layer) = found {
            return self.usable(layer);
        }
        if graph.has_tensor(plain) || of_node.is_some() {
            let why = if suffix.is_empty() { "is not a feature map" } else { "is not a convolution with a bias" };
            bail!("layer `{name}` {why}; `dermai gradcam --list-layers` shows those that can be explained");
        }
        let near = self.nearest(plain);
        bail!("the model has no layer `{name}`; the nearest are {near}; `dermai gradcam --list-layers` shows all")
    }

    fn usable<'l>(&'l self, layer: &'l Layer) -> Result<&'l Layer> {
        if !layer.on_path {
            bail!(
                "layer `{}` has no influence on the classes; `dermai gradcam --list-layers` shows those that have",
                layer.name
            );
        }
        if let Some(obstacle) = &layer.obstacle {
            let place = self.all.iter().position(|l| l == layer).unwrap_or(0);
            let later = self.all[place..].iter().find(|l| l.on_path && l.obstacle.is_none());
            let advice = later.map_or("no later layer can be explained either".to_owned(), |l| {
                format!("the nearest later layer that can be explained is `{}`", l.name)
            });
            bail!("layer `{}` cannot be explained: {obstacle} has no backward rule; {advice}", layer.name);
        }
        Ok(layer)
    }

    fn nearest(&self, name: &str) -> String {
        let distance = |layer: &&Layer| (strsim::jaro_winkler(name, &layer.name) * -1e6) as i64;
        let mut all: Vec<_> = self.all.iter().filter(|l| l.on_path).collect();
        all.sort_by_key(distance);
        all.iter().take(SUGGESTED).map(|l| format!("`{}`", l.name)).collect::<Vec<_>>().join(", ")
    }
}

/// Feature maps have four axes, token sequences three; one picture at a time.
fn is_map(shape: &[usize]) -> bool {
    matches!(shape.len(), 3 | 4) && shape[0] == 1
}

/// Where nothing tells the layout: there are more channels than rows in the late layers that are explained.
fn guess(shape: &[usize]) -> usize {
    let last = shape.len() - 1;
    if shape[1] > shape[last] { 1 } else { last }
}

/// Operators that show the same map as what they take, or a coarser one.
fn only_moves_or_pools(op: &str) -> bool {
    matches!(
        op,
        "Transpose"
            | "Reshape"
            | "Squeeze"
            | "Unsqueeze"
            | "Identity"
            | "Dropout"
            | "Cast"
            | "Pad"
            | "Slice"
            | "AveragePool"
            | "MaxPool"
            | "QuantizeLinear"
            | "DequantizeLinear"
    )
}

/// The nodes that depend on the picture.
fn reached(graph: &Graph, input: &str) -> HashSet<usize> {
    let mut known: HashSet<&str> = HashSet::from([input]);
    let mut found = HashSet::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        if node.input.iter().any(|i| known.contains(i.as_str())) {
            known.extend(node.output.iter().map(String::as_str));
            found.insert(at);
        }
    }
    found
}

/// For each node, the first node without a rule that its gradient would have to pass.
fn obstacles(graph: &Graph, on_path: &HashSet<usize>) -> Vec<Option<String>> {
    let mut found: Vec<Option<String>> = vec![None; graph.nodes.len()];
    for at in (0..graph.nodes.len()).rev() {
        let mut consumers =
            graph.nodes[at].output.iter().flat_map(|o| graph.consumers(o)).filter(|c| on_path.contains(c));
        found[at] = consumers.find_map(|&next| {
            let node = &graph.nodes[next];
            let own = (!is_supported(node)).then(|| format!("node `{}` ({})", node.label(), node.op_type));
            own.or_else(|| found[next].clone())
        });
    }
    found
}

/// Tensors that every way from the picture to the score passes: right behind such a tensor, nothing else that was computed is still waited for.
fn cuts<'g>(graph: &'g Graph, on_path: &HashSet<usize>) -> HashSet<&'g str> {
    let mut waiting: HashSet<&str> = HashSet::new();
    let mut cuts = HashSet::new();
    for (at, node) in graph.nodes.iter().enumerate().filter(|(at, _)| on_path.contains(at)) {
        let needed_later = |name: &str| graph.consumers(name).iter().any(|c| *c > at && on_path.contains(c));
        waiting.retain(|name| needed_later(name));
        let outputs: Vec<&str> = node.output.iter().map(String::as_str).filter(|o| needed_later(o)).collect();
        if let (true, [only]) = (waiting.is_empty(), outputs.as_slice()) {
            cuts.insert(*only);
        }
        waiting.extend(outputs);
    }
    cuts
}
