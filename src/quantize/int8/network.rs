//! The network in float32 that int8 starts from: normalisations folded into its weights, operators of ONNX only, some weights changed.
use crate::model::Prepared;
use crate::onnx::{External, Graph, Node, Shapes, TensorProto, infer};
use crate::quantize::calibrate::Subject;
use crate::quantize::folded::folded;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// A network, and what was changed of it.
#[derive(Debug)]
pub struct Network {
    /// The model.
    pub model: Prepared,
    /// Its graph.
    pub graph: Graph,
    /// Shapes for one picture.
    pub shapes: Shapes,
    external: External,
    /// New values of weights, by name.
    changed: BTreeMap<String, Vec<f32>>,
}

impl Network {
    /// [`folded`].
    pub fn of(model: &Prepared, folder: &Path) -> Result<Self> {
        Self::over(folded(model, folder)?)
    }

    /// Of a model that the runtime has folded.
    pub fn over(model: Prepared) -> Result<Self> {
        let graph = model.graph()?;
        let (input, _) = model.ports()?;
        let shapes = infer(&graph, &[(input, &model.card.input.shape())]);
        Ok(Self { graph, shapes, external: External::beside(model.graph_folder()), model, changed: BTreeMap::new() })
    }

    /// As [`observe`](crate::quantize::calibrate::observe) takes it.
    pub fn subject(&self) -> Subject<'_> {
        Subject { model: &self.model, graph: &self.graph, shapes: &self.shapes }
    }

    /// The values of a float32 weight.
    ///
    /// # Errors
    /// When it is none, cannot be read, or holds NaN or infinite values.
    pub fn weight(&mut self, name: &str) -> Result<Vec<f32>> {
        if let Some(values) = self.changed.get(name) {
            return Ok(values.clone());
        }
        let tensor = self.graph.initializer(name).with_context(|| format!("`{name}` is no weight"))?;
        ensure!(tensor.is_float(), "weight `{name}` is not float32");
        let bytes = self.external.bytes(tensor)?;
        let values: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        ensure!(
            values.iter().all(|value| value.is_finite()),
            "weight `{name}` holds NaN or infinite values, which 8 bits do not have: the model is broken, train or export it anew"
        );
        Ok(values)
    }

    /// Gives a weight other values.
    pub fn change(&mut self, name: &str, values: Vec<f32>) {
        self.changed.insert(name.to_owned(), values);
    }

    /// The weights that were changed.
    pub fn changes(&self) -> Vec<TensorProto> {
        let tensor = |(name, values): (&String, &Vec<f32>)| {
            let shape = self.shapes.get(name)?;
            Some(TensorProto::of_floats(name, shape, values))
        };
        self.changed.iter().filter_map(tensor).collect()
    }

    /// Whether it is a float32 weight that this input alone takes.
    pub fn is_own(&self, name: &str) -> bool {
        self.graph.initializer(name).is_some_and(TensorProto::is_float) && self.graph.consumers(name).len() == 1
    }

    /// Whether it is a result of the graph.
    pub fn is_output(&self, name: &str) -> bool {
        self.graph.outputs.iter().any(|output| output.name == name)
    }

    /// The inputs of a node that change from picture to picture.
    pub fn activations<'n>(&'n self, node: &'n Node) -> impl Iterator<Item = &'n str> {
        let given = node.input.iter().map(String::as_str).filter(|name| !name.is_empty());
        given.filter(|name| self.graph.initializer(name).is_none())
    }

    /// The node that takes `tensor`, where it is the only one, and `tensor` no result of the graph.
    pub fn sole_consumer(&self, tensor: &str) -> Option<usize> {
        match self.graph.consumers(tensor) {
            &[one] if !self.is_output(tensor) => Some(one),
            _ => None,
        }
    }
}
