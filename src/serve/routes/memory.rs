//! `/memory`: what the replaced app's monitoring asked for, and how near the budget is.
use crate::memcheck::Band;
use crate::memory::Status;
use crate::serve::app::App;
use crate::serve::problem::Problem;
use crate::units::Bytes;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;

/// Of this process.
#[derive(Serialize)]
pub struct Report {
    status: &'static str,
    memory: Sizes,
    /// Whether a model is in memory.
    model_loaded: bool,
    gradcam_enabled: bool,
}

/// In MB of 2^20 bytes.
#[derive(Serialize)]
struct Sizes {
    /// `VmRSS`.
    rss_mb: f64,
    /// `VmSize`.
    vms_mb: f64,
    /// `rss_mb` of the budget.
    percent: f64,
    /// `VmHWM`.
    peak_mb: f64,
    budget_mb: f64,
    band: Band,
}

/// What the kernel says now.
pub async fn memory(State(app): State<Arc<App>>) -> Result<Json<Report>, Problem> {
    let status = Status::own().map_err(Problem::from)?;
    let mb = |bytes: Bytes| (bytes.0 as f64 / f64::from(1 << 20) * 100.0).round() / 100.0;
    let share = |bytes: Bytes| bytes.0 as f64 / app.budget.0.max(1) as f64;
    Ok(Json(Report {
        status: "ok",
        memory: Sizes {
            rss_mb: mb(status.resident),
            vms_mb: mb(status.size),
            percent: (share(status.resident) * 1e4).round() / 100.0,
            peak_mb: mb(status.peak),
            budget_mb: mb(app.budget),
            band: Band::of(status.resident, app.budget),
        },
        // One that is at work just now is.
        model_loaded: app.desk.loaded().is_none_or(|loaded| !loaded.is_empty()),
        gradcam_enabled: app.desk.gradcam(),
    }))
}
