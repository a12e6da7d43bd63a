//! What is served, for the page and whoever else has to offer a choice.
use super::config::Named;
use super::desk::Desk;
use crate::explain::cam::Method;
use crate::explain::{Layer, layer_named, layers_of};
use crate::model::Label;
use serde::Serialize;

/// A model for whoever has to offer a choice.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    name: String,
    labels: Vec<Label>,
    notice: String,
    /// Whether maps are made.
    gradcam: bool,
    /// How maps can be made; a bundle's graph makes one kind.
    methods: Vec<&'static str>,
    /// Layers that can be explained.
    layers: Vec<String>,
    default_layer: Option<String>,
}

impl About {
    /// Reads the graph.
    pub fn of(named: &Named, desk: &Desk) -> Self {
        let Named { name, prepared } = named;
        let is_form = prepared.is_form();
        // A model that cannot be explained answers all the same.
        let layers = if desk.gradcam() { layers_of(prepared).ok() } else { None };
        let usable = |layer: &&Layer| layer.on_path && layer.obstacle.is_none();
        let methods: &[Method] = if is_form { &Method::ALL[..1] } else { &Method::ALL };
        Self {
            name: name.clone(),
            labels: prepared.card.labels.clone(),
            notice: prepared.card.about.notice.clone(),
            gradcam: layers.is_some(),
            methods: if layers.is_some() { methods.iter().map(|method| method.name()).collect() } else { Vec::new() },
            default_layer: layers.as_ref().and_then(|_| Some(layer_named(prepared, desk.layer()).ok()?.name)),
            layers: layers.iter().flat_map(|l| l.all.iter().filter(usable).map(|layer| layer.name.clone())).collect(),
        }
    }
}
