//! Which function answers which path, and what is done with every request: an id, a line in the log, a count, headers.
use super::app::App;
use super::oip;
use super::problem::Problem;
use super::routes::{about, health, memory, models, page, predict};
use axum::Router;
use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use std::sync::Arc;
use std::time::Instant;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;

/// All paths; a slash behind one changes nothing.
pub fn router(app: Arc<App>, cors: Option<&str>) -> anyhow::Result<Router> {
    let id = HeaderName::from_static("x-request-id");
    let header = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let router = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/memory", get(memory::memory))
        .route("/metrics", get(about::metrics))
        .route("/openapi.json", get(about::openapi))
        .route("/models", get(models::models))
        .route("/predict", post(predict::predict))
        .route("/v2", get(oip::server))
        .route("/v2/health/live", get(oip::live))
        .route("/v2/health/ready", get(oip::ready))
        .route("/v2/models/{model}", get(oip::metadata))
        .route("/v2/models/{model}/versions/{version}", get(oip::metadata))
        .route("/v2/models/{model}/ready", get(oip::model_ready))
        .route("/v2/models/{model}/versions/{version}/ready", get(oip::model_ready))
        .route("/v2/models/{model}/infer", post(oip::infer))
        .route("/v2/models/{model}/versions/{version}/infer", post(oip::infer))
        .merge(page::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        // Admission has its own.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
        .layer(PropagateRequestIdLayer::new(id.clone()))
        .layer(SetRequestIdLayer::new(id.clone(), Ids::default()))
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(X_FRAME_OPTIONS, "DENY"))
        .layer(header(REFERRER_POLICY, "no-referrer"))
        .layer(header(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        .layer(header(CACHE_CONTROL, "no-store"));
    let Some(origin) = cors else { return Ok(router) };
    let origin = if origin == "*" { AllowOrigin::any() } else { AllowOrigin::exact(origin.parse()?) };
    let cors = CorsLayer::new().allow_origin(origin).allow_methods([Method::GET, Method::POST]);
    let cors = cors.allow_headers([CONTENT_TYPE, oip::LENGTH]).expose_headers([RETRY_AFTER, oip::LENGTH, id]);
    Ok(router.layer(cors))
}

/// Numbers requests: unique while the process lives, and unlike those of another process.
#[derive(Clone, Debug)]
struct Ids {
    start: u64,
    next: Arc<std::sync::atomic::AtomicU64>,
}

impl Default for Ids {
    fn default() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { start: now.as_micros() as u64, next: Arc::default() }
    }
}

impl MakeRequestId for Ids {
    fn make_request_id<B>(&mut self, _request: &axum::http::Request<B>) -> Option<RequestId> {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        HeaderValue::from_str(&format!("{:x}-{number}", self.start)).ok().map(RequestId::new)
    }
}

async fn not_found(request: Request) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, &format!("there is nothing at `{}`", request.uri().path()))
}

async fn not_allowed(request: Request) -> Problem {
    let what = format!("`{}` does not take {}", request.uri().path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, &what)
}

/// Counts and logs a request; nothing of its body is in either. A request that failed ends its connection if it has a body, of which the rest
/// may still be on its way.
async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let has_body = !request.body().is_end_stream();
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let id = request.extensions().get::<RequestId>().map(|id| id.header_value().clone());
    let mut response = next.run(request).await;
    if has_body && (response.status().is_client_error() || response.status().is_server_error()) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status().as_u16();
    app.metrics.answered(&route, status);
    let id = id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default();
    let milliseconds = begun.elapsed().as_micros() as f64 / 1e3;
    tracing::info!(id, %method, route, status, milliseconds, "request");
    response
}
