//! Whether the server lives (`/health`) and whether it can take work (`/ready`): neither waits for the network.
use crate::serve::app::App;
use crate::serve::problem::Problem;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;

/// It lives.
#[derive(Serialize)]
pub struct Health {
    status: &'static str,
}

/// 200 as long as the process can answer.
pub async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// It takes work.
#[derive(Serialize)]
pub struct Ready {
    status: &'static str,
    /// Requests that are worked on at once.
    workers: usize,
    /// Longest body, in bytes.
    max_body_bytes: u64,
    /// What a request was measured to take at most, the loaded model included, in bytes.
    request_bytes: Option<u64>,
}

/// 200 once card and files are verified and what a request takes is known; the first request may still have to load the model.
pub async fn ready(State(app): State<Arc<App>>) -> Result<Json<Ready>, Problem> {
    let room = app.admission.room()?;
    let max_body_bytes = app.admission.longest()?.0;
    let request_bytes = app.desk.cost(0).map(|cost| cost.one);
    Ok(Json(Ready { status: "ready", workers: room.slots, max_body_bytes, request_bytes }))
}
