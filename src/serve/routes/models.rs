//! `GET /models`: what is served, for the page and whoever else has to offer a choice.
use crate::explain::cam::Method;
use crate::explain::{layer_named, layers_of};
use crate::model::Label;
use crate::serve::app::App;
use crate::serve::config::Named;
use crate::serve::desk::Desk;
use crate::serve::problem::Problem;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// All models; the first is asked when none is named.
#[derive(Serialize)]
pub struct Models {
    models: Vec<About>,
}

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

/// Models with their classes, methods and layers.
pub async fn models(State(app): State<Arc<App>>) -> Result<Json<Models>, Problem> {
    // Graphs are read for it, once.
    let about = move || {
        let all = || app.desk.models().iter().map(|named| About::of(named, &app.desk)).collect();
        app.about.get_or_init(all).clone()
    };
    let models = spawn_blocking(about).await.map_err(|_| Problem::fault("a model cannot be read"))?;
    Ok(Json(Models { models }))
}

impl About {
    fn of(named: &Named, desk: &Desk) -> Self {
        let Named { name, prepared } = named;
        let is_form = prepared.is_form();
        // A model that cannot be explained answers all the same.
        let layers = if desk.gradcam() { layers_of(prepared).ok() } else { None };
        let usable = |layer: &&crate::explain::Layer| layer.on_path && layer.obstacle.is_none();
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
