//! The page: its files are part of the program, and nothing of it comes from elsewhere.
use crate::serve::app::App;
use crate::serve::problem::Problem;
use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The page may load its own files, show what was chosen or came as an answer, and ask this server; nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The camera is all that it asks for.
const PERMISSIONS: &str = "camera=(self), microphone=(), geolocation=()";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// What the page loads: name below `/page/`, media type, text.
const FILES: [(&str, &str, &str); 9] = [
    ("page.css", CSS, include_str!("../page/page.css")),
    ("page.js", SCRIPT, include_str!("../page/page.js")),
    ("ask.js", SCRIPT, include_str!("../page/ask.js")),
    ("camera.js", SCRIPT, include_str!("../page/camera.js")),
    ("gauge.js", SCRIPT, include_str!("../page/gauge.js")),
    ("show.js", SCRIPT, include_str!("../page/show.js")),
    ("state.js", SCRIPT, include_str!("../page/state.js")),
    ("texts.js", SCRIPT, include_str!("../page/texts.js")),
    ("icon.svg", SVG, include_str!("../page/icon.svg")),
];

/// `/` and what lies below `/page/`.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/", get(index)).route("/page/{name}", get(asset))
}

async fn index(headers: HeaderMap) -> Response {
    file(&headers, HTML, include_str!("../page/index.html"))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, kind, text) =
        found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, &format!("the page has no file `{name}`")))?;
    Ok(file(&headers, kind, text))
}

/// A file that is asked for again at each visit, and sent again only where it has changed.
fn file(headers: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A proxy that compresses makes the tag a weak one.
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { text.into_response() };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS));
    headers.extend(HeaderValue::from_str(&tag).map(|tag| (ETAG, tag)));
    response
}
