//! `GET /models`: what is served.
use crate::serve::app::App;
use crate::serve::catalogue::About;
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
