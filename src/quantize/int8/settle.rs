//! A layer's weights in the steps of 8 bits, and the bias that gives back what that changes on average.
use super::network::Network;
use super::weights::{Bound, Form, Rounded, drift, least_scales, rounded};
use crate::onnx::Node;
use anyhow::{Context, Result, ensure};

/// A layer whose weights are rounded.
#[derive(Debug)]
pub struct Settled {
    /// Name of what it gives.
    pub name: String,
    /// Shape of its weights.
    pub shape: Vec<usize>,
    /// How they lie.
    pub form: Form,
    /// They.
    pub weights: Rounded,
    /// For each output channel.
    pub bias: Vec<f32>,
    /// Its name, where the layer had one.
    pub bias_name: Option<String>,
    /// Whether there is a place for one.
    pub takes_bias: bool,
}

impl Settled {
    /// Of the layer at a place of the graph. `means` are those of its input's channels, where they were observed; `input_scale` is the step of its
    /// input, where that is stored in 8 bits, too.
    ///
    /// # Errors
    /// When a weight cannot be read.
    pub fn of(
        network: &mut Network,
        at: usize,
        means: Option<&[f64]>,
        bound: Bound,
        input_scale: Option<f32>,
    ) -> Result<Self> {
        let node = network.graph.nodes[at].clone();
        let name = node.output.first().context("a layer gives nothing")?.clone();
        let weight = node.given(1).with_context(|| format!("`{name}` has no weights"))?;
        let shape = network.shapes.of(weight)?.to_vec();
        let form = form(&node, &shape);
        let bias_name = node.given(2).map(str::to_owned);
        let mut bias = match &bias_name {
            Some(bias) => network.weight(bias)?,
            None => vec![0.0; form.channels],
        };
        ensure!(bias.len() == form.channels, "the bias of `{name}` has {} values", bias.len());
        let least = input_scale.map(|scale| least_scales(&bias, scale)).unwrap_or_default();
        let weights = rounded(&network.weight(weight)?, form, bound, &least);
        // A product without a bias has no place for it.
        let takes_bias = node.op_type != "MatMul";
        if let (Some(means), true) = (means, takes_bias) {
            let group = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(1).max(1);
            let per_group = (form.channels / group).max(1);
            let drifts = drift(&weights, means, |channel| channel / per_group * form.inputs);
            bias.iter_mut().zip(drifts).for_each(|(bias, drift)| *bias = (f64::from(*bias) - drift) as f32);
        }
        Ok(Self { name, shape, form, weights, bias, bias_name, takes_bias })
    }

    /// Its weights as floats again.
    pub fn floats(&self) -> Vec<f32> {
        let Rounded { values, scales, .. } = &self.weights;
        values.iter().enumerate().map(|(place, &value)| f32::from(value) * scales[self.form.channel(place)]).collect()
    }

    /// Whether it has a bias now.
    pub fn has_bias(&self) -> bool {
        self.takes_bias && (self.bias_name.is_some() || self.bias.iter().any(|bias| *bias != 0.0))
    }
}

fn form(node: &Node, shape: &[usize]) -> Form {
    match node.op_type.as_str() {
        "Conv" => {
            let taps = shape[2..].iter().product();
            Form { channels: shape[0], inputs: shape[1], taps, is_last: false }
        }
        "Gemm" if node.int("transB").unwrap_or_default() == 1 => {
            Form { channels: shape[0], inputs: shape[1], taps: 1, is_last: false }
        }
        _ => Form { channels: shape[1], inputs: shape[0], taps: 1, is_last: true },
    }
}
