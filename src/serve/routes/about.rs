//! What the server says of itself: counters, and what can be asked of it.
use crate::memory::Status;
use crate::serve::app::App;
use crate::serve::metrics::Now;
use crate::serve::problem::Problem;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The media type of `OpenMetrics`.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The document that describes all paths; a test holds real answers against it.
const OPENAPI: &str = include_str!("../openapi.json");

/// `OpenAPI` 3.1.
pub async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

/// Counters for Prometheus.
pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let loaded = app.desk.loaded().map(|loaded| {
        let names = app.desk.models().iter().map(|model| model.name.as_str());
        names.map(|name| (name, loaded.contains(&name))).collect()
    });
    let memory = Status::own().map_err(Problem::from)?;
    let now = Now { requests: app.admission.counts(), memory, budget: app.budget, loaded };
    let text = app.metrics.text(&now).map_err(|error| Problem::fault(&error.to_string()))?;
    let mut response = text.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
    Ok(response)
}
