//! The Open Inference Protocol v2 (github.com/kserve/open-inference-protocol, `specification/protocol/inference_rest.md`), with Triton's extensions
//! for binary tensors and classification: what `KServe` and Triton's clients speak.
mod infer;
mod tensor;

pub use infer::{LENGTH, infer};

use super::app::App;
use super::problem::Problem;
use crate::model::Card;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// The only version that there is of each model.
const VERSION: &str = "1";
/// The input that takes a picture's file instead of a tensor.
const IMAGE: &str = "image";
/// The output that holds probabilities, whatever the graph's own holds.
const PROBABILITIES: &str = "probabilities";

/// An error as the protocol has it.
pub struct Refusal(Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&Error { error: self.0.detail() }).unwrap_or_default();
        self.0.response("application/json", text)
    }
}

/// A model in a path, with or without a version.
#[derive(Deserialize)]
pub struct Place {
    model: String,
    version: Option<String>,
}

impl Place {
    /// Where it stands on the desk.
    fn find(&self, app: &App) -> Result<usize, Problem> {
        let unknown = |what: String| Problem::new(StatusCode::NOT_FOUND, &what);
        if let Some(version) = self.version.as_deref().filter(|version| *version != VERSION) {
            return Err(unknown(format!("model `{}` has no version `{version}`, only `{VERSION}`", self.model)));
        }
        app.desk.place(Some(&self.model)).ok_or_else(|| unknown(format!("there is no model `{}`", self.model)))
    }
}

#[derive(Serialize)]
pub struct Server {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 2],
}

/// `GET /v2`.
pub async fn server() -> Json<Server> {
    let extensions = ["binary_tensor_data", "classification"];
    Json(Server { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), extensions })
}

#[derive(Serialize)]
pub struct Live {
    live: bool,
}

/// `GET /v2/health/live`.
pub async fn live() -> Json<Live> {
    Json(Live { live: true })
}

#[derive(Serialize)]
pub struct Ready {
    ready: bool,
}

/// `GET /v2/health/ready`.
pub async fn ready(State(app): State<Arc<App>>) -> Result<Json<Ready>, Refusal> {
    app.admission.room()?;
    Ok(Json(Ready { ready: true }))
}

#[derive(Serialize)]
pub struct Metadata {
    name: String,
    versions: [&'static str; 1],
    platform: &'static str,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

#[derive(Serialize)]
struct Port {
    name: String,
    datatype: &'static str,
    shape: Vec<i64>,
}

/// `GET /v2/models/{model}`: the graph's input or a picture's file; the graph's output and probabilities.
pub async fn metadata(State(app): State<Arc<App>>, Path(place): Path<Place>) -> Result<Json<Metadata>, Refusal> {
    let named = &app.desk.models()[place.find(&app)?];
    let (input, output) = named.prepared.ports().map_err(Problem::from)?;
    let port = |name: &str, datatype, shape| Port { name: name.to_owned(), datatype, shape };
    let classes = |card: &Card| vec![-1, card.labels.len() as i64];
    let card = &named.prepared.card;
    let mut shape: Vec<i64> = card.input.shape().iter().map(|&side| side as i64).collect();
    shape[0] = -1;
    Ok(Json(Metadata {
        name: named.name.clone(),
        versions: [VERSION],
        platform: "onnxruntime_onnx",
        inputs: vec![port(input, "FP32", shape), port(IMAGE, "BYTES", vec![-1])],
        outputs: vec![port(output, "FP32", classes(card)), port(PROBABILITIES, "FP32", classes(card))],
    }))
}

#[derive(Serialize)]
pub struct ModelReady {
    name: String,
    ready: bool,
}

/// `GET /v2/models/{model}/ready`: the model is loaded for it, in its turn.
pub async fn model_ready(State(app): State<Arc<App>>, Path(place): Path<Place>) -> Result<Json<ModelReady>, Refusal> {
    let model = place.find(&app)?;
    let slot = app.admission.enter(crate::units::Bytes(0))?.slot().await;
    let loaded = spawn_blocking(move || {
        let loaded = app.desk.preload(model);
        drop(slot);
        loaded
    });
    match loaded.await {
        Ok(Ok(())) => Ok(Json(ModelReady { name: place.model, ready: true })),
        Ok(Err(error)) => Err(Problem::unavailable(&format!("{error:#}")).into()),
        Err(_) => Err(Problem::fault("the worker broke down").into()),
    }
}
