//! A classifier that explains itself: its graph with a backward pass behind it, in one session.
use super::backward::{Emit, Name, append};
use super::layers::{Layer, Layers, find};
use super::score::{Head, Score};
use super::{Activations, Map, Network};
use crate::input::Layout;
use crate::model::{Feed, Model, Prepared, SessionOptions};
use crate::onnx::{ElementType, Graph, Node, Patch, Port, Shapes, TensorProto, infer};
use anyhow::{Context, Result, anyhow, bail, ensure};
use ndarray::{Array3, Array4, ArrayD};

/// Names of what is added start with this; no exporter writes it.
const PREFIX: &str = "dermai.explain/";
/// The input that says which class is explained.
const CLASS: &str = "dermai.explain/class";
/// In a bundle: the class that was explained, and its map.
const CHOSEN: &str = "dermai.explain/chosen";
const MAP: &str = "dermai.explain/map";
/// Under this key the file of a bundle's graph says which layer it explains.
const NOTE: &str = "dermai.explain";
/// What helps where a bundle's graph does not do.
const BY_SOURCE: &str = "`dermai gradcam --source MODEL.onnx` explains by the model that it was made from";
/// The best class.
const BEST: i64 = -1;

/// What is explained, and what the graph gives for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The layer's name; none: the card's, else the last feature map.
    pub layer: Option<String>,
    /// Which score is differentiated.
    pub score: Score,
    /// Whether feature map and gradient leave the graph, as methods other than Grad-CAM need; otherwise Grad-CAM's map is computed inside.
    pub whole: bool,
}

/// A model's graph, read for explaining; the runtime is not loaded.
#[derive(Debug)]
pub struct Reading {
    /// The graph.
    pub graph: Graph,
    /// Shapes of its tensors for one picture.
    pub shapes: Shapes,
    /// Where the scores stand.
    pub head: Head,
    /// Its feature maps.
    pub layers: Layers,
    /// The layer that the card names.
    by_card: Option<String>,
}

impl Reading {
    /// Reads the graph of a prepared model.
    pub fn of(prepared: &Prepared) -> Result<Self> {
        ensure!(!prepared.is_form(), "a bundle's graph explains one layer by Grad-CAM and nothing else; {BY_SOURCE}");
        let graph = prepared.graph()?;
        let (input, output) = prepared.ports()?;
        let card = &prepared.card;
        let axis = match card.input.layout {
            Layout::Nchw => 1,
            Layout::Nhwc => 3,
        };
        let shapes = infer(&graph, &[(input, &card.input.shape())]);
        let head = Head::find(&graph, &shapes, card, output)?;
        let layers = find(&graph, &shapes, (input, axis), &head);
        Ok(Self { graph, shapes, head, layers, by_card: card.explain.layer.clone() })
    }

    /// The layer that is explained: the wanted one, the card's, or the last feature map.
    pub fn layer(&self, wanted: Option<&str>) -> Result<&Layer> {
        match wanted.or(self.by_card.as_deref()) {
            Some(name) => self.layers.named(&self.graph, name),
            None => self.layers.default_layer(),
        }
    }

    /// The edit that adds the backward pass, and the names of what it gives: class, then map, or logits, feature map and gradient.
    pub fn patch(&self, layer: &Layer, wanted: &Wanted) -> Result<(Patch, Vec<Name>)> {
        let mut emit = Emit::new(self.graph.opset, PREFIX)?;
        let (class, seed) = self.head.seed(&mut emit, CLASS, wanted.score);
        let gradient = append(&self.graph, &self.shapes, &mut emit, &layer.tensor, &self.head.logits, seed)?;
        let outputs = if wanted.whole {
            // An output of the graph has to be given by a node of its own: the tensor may be an output already.
            let own = emit.op("Identity", &[&layer.tensor]);
            let activation = unfolded(&mut emit, layer, own);
            let logits = self.head.flat(&mut emit);
            vec![class, logits, activation, emit.op("Identity", &[&gradient])]
        } else {
            vec![class, map(&mut emit, layer, &gradient)]
        };
        let patch = Patch {
            back: emit.nodes,
            initializers: emit.constants,
            inputs: vec![Port { name: CLASS.to_owned(), element: ElementType::INT64, shape: Some(vec![1]) }],
            outputs: outputs.iter().map(|name| Port::float(name, None)).collect(),
            ..Patch::default()
        };
        Ok((patch, outputs))
    }

    /// The edit for a bundle's graph: Grad-CAM of the logit at `layer`, its outputs under names that last; and a note of the layer, as key and
    /// text.
    pub fn lasting_patch(&self, layer: &Layer) -> Result<(Patch, (&'static str, String))> {
        let (mut patch, outputs) = self.patch(layer, &Wanted::default())?;
        for (port, (from, to)) in patch.outputs.iter_mut().zip(outputs.iter().zip([CHOSEN, MAP])) {
            to.clone_into(&mut port.name);
            patch.back.push(Node::new("Identity", &[from], &[to]));
        }
        Ok((patch, (NOTE, serde_json::to_string(layer)?)))
    }
}

/// The feature map as it was before the exporter folded its normalisation into the convolution, up to a factor a channel: less the bias.
fn unfolded(emit: &mut Emit, layer: &Layer, activation: Name) -> Name {
    let Some(bias) = &layer.bias else { return activation };
    let mut shape = vec![1; layer.shape.len()];
    shape[layer.channel_axis] = layer.channels();
    let bias = emit.reshape(bias, &shape);
    emit.sub(&activation, &bias)
}

/// The layers that can be explained: of a bundle, those that its graphs name.
pub fn layers_of(prepared: &Prepared) -> Result<Layers> {
    if prepared.is_form() {
        let layer = form_layer(&prepared.clone().explaining()?)?;
        return Ok(Layers { all: vec![layer], default: Some(0) });
    }
    Ok(Reading::of(prepared)?.layers)
}

/// The layer that a name means, or the one that is explained where none is named; the runtime is not loaded.
///
/// # Errors
/// When the model has no such layer, or it cannot be explained.
pub fn layer_named(prepared: &Prepared, name: Option<&str>) -> Result<Layer> {
    if prepared.is_form() {
        let layer = form_layer(&prepared.clone().explaining()?)?;
        return match name.filter(|name| *name != layer.name) {
            Some(other) => Err(other_layer(&layer, other)),
            None => Ok(layer),
        };
    }
    Reading::of(prepared)?.layer(name).cloned()
}

fn other_layer(layer: &Layer, other: &str) -> anyhow::Error {
    anyhow!("the bundle explains layer `{}` by Grad-CAM of the logit, and not `{other}`; {BY_SOURCE}", layer.name)
}

/// The layer that a bundle's graph explains.
fn form_layer(explaining: &Prepared) -> Result<Layer> {
    let note = explaining.note(NOTE).context("the bundle's graph does not say which layer it explains")?;
    serde_json::from_str(note).context("the bundle's graph says in another way which layer it explains")
}

/// Grad-CAM inside the graph: `ReLU(Σ_k w_k A_k)`, w the mean of the gradient over the map (Selvaraju 2017).
fn map(emit: &mut Emit, layer: &Layer, gradient: &str) -> Name {
    let weights = emit.mean(gradient, &layer.spatial_axes());
    let activation = unfolded(emit, layer, layer.tensor.clone());
    let weighted = emit.mul(&weights, &activation);
    let sum = emit.sum(&weighted, &[layer.channel_axis]);
    emit.node(Node::new("Relu", &[&sum], &[]))
}

/// A running model that answers and explains.
#[derive(Debug)]
pub struct Explainer {
    model: Model,
    layer: Layer,
    score: Score,
    whole: bool,
    outputs: Vec<Name>,
}

/// An answer with its reason.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Probabilities, one a label.
    pub probabilities: Vec<f32>,
    /// The class that was explained.
    pub class: usize,
    /// Logits, one a label, where feature map and gradient leave the graph.
    pub logits: Option<Vec<f32>>,
    /// Grad-CAM's map, where it is computed inside the graph.
    pub map: Option<Map>,
    /// Feature map and gradient, where they leave the graph.
    pub activations: Option<Activations>,
}

impl Explainer {
    /// Writes the backward pass and starts the runtime.
    pub fn start(prepared: Prepared, wanted: &Wanted, options: &SessionOptions) -> Result<Self> {
        Self::start_with(prepared, wanted, Vec::new(), options)
    }

    /// The same with some of the network's weights replaced.
    pub fn start_with(
        prepared: Prepared,
        wanted: &Wanted,
        weights: Vec<TensorProto>,
        options: &SessionOptions,
    ) -> Result<Self> {
        if prepared.is_form() {
            return Self::of_form(prepared, wanted, options);
        }
        let reading = Reading::of(&prepared)?;
        let layer = reading.layer(wanted.layer.as_deref())?.clone();
        let (mut patch, outputs) = reading.patch(&layer, wanted)?;
        patch.initializers.extend(weights);
        let model = prepared.start_patched(&reading.graph, &patch, options)?;
        Ok(Self { model, layer, score: wanted.score, whole: wanted.whole, outputs })
    }

    /// The same for a bundle, whose graph has its backward pass already.
    fn of_form(prepared: Prepared, wanted: &Wanted, options: &SessionOptions) -> Result<Self> {
        let prepared = prepared.explaining()?;
        let layer = form_layer(&prepared)?;
        if let Some(other) = wanted.layer.as_ref().filter(|name| **name != layer.name) {
            return Err(other_layer(&layer, other));
        }
        if wanted.whole || wanted.score != Score::Logit {
            bail!("the bundle explains layer `{}` by Grad-CAM of the logit, and nothing else; {BY_SOURCE}", layer.name);
        }
        let model = prepared.start(options)?;
        let outputs = vec![CHOSEN.to_owned(), MAP.to_owned()];
        Ok(Self { model, layer, score: wanted.score, whole: false, outputs })
    }

    /// The model that answers.
    pub fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    /// The layer that is explained.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// The values of the output that holds the classes, as the graph gives them.
    pub fn values(&mut self, tensor: &Array4<f32>) -> Result<Vec<f32>> {
        let mut given = self.model.run(tensor, &[(CLASS, Feed::Ints(&[BEST]))], &[])?;
        Ok(given.remove(0).into_iter().collect())
    }

    /// Answers and explains `class`, or the best one.
    pub fn explain(&mut self, tensor: &Array4<f32>, class: Option<usize>) -> Result<Explained> {
        let labels = self.model.card.labels.len();
        if let Some(class) = class.filter(|&class| class >= labels) {
            bail!("class {class} is asked for, the model has classes 0 to {}", labels.saturating_sub(1));
        }
        let class = [class.map_or(BEST, |class| class as i64)];
        let names: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        let mut given = self.model.run(tensor, &[(CLASS, Feed::Ints(&class))], &names)?.into_iter();
        let mut next = || given.next().context("the graph gave less than it was asked for");
        let values = next()?;
        let probabilities = self.model.to_probabilities(values.as_slice().context("the output is not contiguous")?)?;
        let class = *next()?.first().context("no class was chosen")? as usize;
        let mut explained = Explained { probabilities, class, logits: None, map: None, activations: None };
        if self.whole {
            let (logits, activation, gradient) = (next()?, next()?, next()?);
            explained.logits = Some(logits.iter().copied().collect());
            let order = |array| channels_first(array, &self.layer);
            explained.activations = Some(Activations { activation: order(activation)?, gradient: order(gradient)? });
        } else {
            let map = next()?;
            ensure!(
                map.iter().all(|v| v.is_finite()),
                "the map of layer `{}` holds NaN or infinite values",
                self.layer.name
            );
            explained.map = Some(map.into_shape_with_order(self.layer.grid())?);
        }
        Ok(explained)
    }
}

/// `[C, h, w]` from the graph's layout.
fn channels_first(array: ArrayD<f32>, layer: &Layer) -> Result<Array3<f32>> {
    ensure!(array.iter().all(|v| v.is_finite()), "layer `{}` holds NaN or infinite values", layer.name);
    let order: Vec<usize> = [0, layer.channel_axis].into_iter().chain(layer.spatial_axes()).collect();
    let (height, width) = layer.grid();
    let array = array.permuted_axes(order).as_standard_layout().into_owned();
    Ok(array.into_shape_with_order((layer.channels(), height, width))?)
}

impl Network for Explainer {
    fn scores(&mut self, tensor: &Array4<f32>) -> Result<Vec<f32>> {
        let explained = self.explain(tensor, None)?;
        match self.score {
            Score::Logit => explained.logits.context("the logits stay inside this graph"),
            Score::Probability => Ok(explained.probabilities),
        }
    }

    fn activations(&mut self, tensor: &Array4<f32>, class: usize) -> Result<Activations> {
        self.explain(tensor, Some(class))?.activations.context("feature map and gradient stay inside this graph")
    }
}
