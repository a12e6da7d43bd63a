//! The picture in a request's body: raw, a field of a form, or base64 in JSON.
use super::allowance::{Allowance, Factor, STEP, length};
use super::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A body arrives within this time, and within [`A_MEGABYTE`] more for each MB of it.
const LONGEST: Duration = Duration::from_secs(20);
const A_MEGABYTE: Duration = Duration::from_secs(5);
/// Nothing comes for so long: it is given up.
const SILENCE: Duration = Duration::from_secs(10);
/// Why a body is given up at the end.
pub const ENDING: &str = "the server is ending, and the body has not come";
/// Field of a form that holds the picture.
const FIELD: &str = "image";
/// What a form may hold before its picture, which is searched for boundaries as a whole, and behind it.
const BESIDE: usize = 1 << 20;
/// Memory that a body of JSON takes, with the text of its picture and the picture itself beside it: 1 + 1 + 3/4 times its length.
const JSON: Factor = Factor(11, 4);

/// A picture that was sent.
pub struct Upload {
    /// Its file name, where it has one.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a body of JSON holds.
#[derive(Deserialize)]
struct Json {
    /// base64, or a `data:` URL of it (RFC 2397).
    image: String,
    name: Option<String>,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Raw,
    Form,
    Json,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "multipart/form-data" => Self::Form,
            "application/json" => Self::Json,
            _ => Self::Raw,
        }
    }
}

/// How many times its length the body of a picture takes.
pub fn factor(headers: &HeaderMap) -> Factor {
    if Kind::of(headers) == Kind::Json { JSON } else { Factor(1, 1) }
}

/// Reads the picture.
pub async fn read(request: Request, allowance: &mut Allowance<'_>) -> Result<Upload, Problem> {
    let deadline = deadline(request.headers(), allowance.most);
    match Kind::of(request.headers()) {
        Kind::Raw => {
            let bytes = whole(request, allowance).await?;
            if bytes.is_empty() {
                return Err(Problem::bad(
                    "the body is empty: send the picture as the body, as field `image` of a form, or as `{\"image\": \"<base64>\"}`",
                ));
            }
            Ok(Upload { name: "body".to_owned(), bytes })
        }
        Kind::Form => form(request, allowance, deadline).await,
        Kind::Json => json(&whole(request, allowance).await?),
    }
}

/// Reads a body whole, whatever it is.
pub async fn whole(request: Request, allowance: &mut Allowance<'_>) -> Result<Vec<u8>, Problem> {
    let length = length(request.headers());
    let deadline = deadline(request.headers(), allowance.most);
    gather(request.into_body().into_data_stream(), length, allowance, deadline).await
}

/// By the length that is announced: who sends little has little time to hold a place.
fn deadline(headers: &HeaderMap, most: u64) -> Instant {
    let length = length(headers).map_or(most, |length| most.min(length));
    Instant::now() + LONGEST + A_MEGABYTE * u32::try_from(length >> 20).unwrap_or(u32::MAX)
}

async fn form(request: Request, allowance: &mut Allowance<'_>, deadline: Instant) -> Result<Upload, Problem> {
    let left = Arc::new(AtomicUsize::new(BESIDE));
    let broken = |error: &dyn std::fmt::Display| match left.load(Ordering::Relaxed) {
        0 => {
            Problem::too_large("the form holds too much beside its field `image`, or is over the limit (`--max-body`)")
        }
        _ => Problem::bad(&format!("the form cannot be read: {error}")),
    };
    let request = bounded(request, Arc::clone(&left));
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| broken(&error))?;
    loop {
        let field = within(deadline, form.next_field()).await?;
        let Some(field) = field.map_err(|error| broken(&error))? else {
            return Err(Problem::bad("the form has no field `image` with the picture"));
        };
        if field.name() != Some(FIELD) {
            continue;
        }
        // Its own length is checked while it is gathered.
        left.store(allowance.most as usize + STEP, Ordering::Relaxed);
        let name = field.file_name().filter(|name| !name.is_empty()).unwrap_or(FIELD).to_owned();
        let bytes = gather(field, None, allowance, deadline).await?;
        // To its end: the client would lose the answer.
        left.store(BESIDE, Ordering::Relaxed);
        while within(deadline, form.next_field()).await?.map_err(|error| broken(&error))?.is_some() {}
        return Ok(Upload { name, bytes });
    }
}

/// A body of which no more comes than is left.
fn bounded(request: Request, left: Arc<AtomicUsize>) -> Request {
    let take = move |part: Result<bytes::Bytes, axum::Error>| {
        let part = part.map_err(io::Error::other)?;
        let enough = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(part.len()));
        if enough.is_err() {
            left.store(0, Ordering::Relaxed);
            return Err(io::Error::other("it is too long"));
        }
        Ok(part)
    };
    request.map(|body| Body::from_stream(body.into_data_stream().map(take)))
}

fn json(text: &[u8]) -> Result<Upload, Problem> {
    let Json { image, name } = serde_json::from_slice(text)
        .map_err(|error| Problem::bad(&format!("expected `{{\"image\": \"<base64>\"}}`: {error}")))?;
    let encoded = match image.strip_prefix("data:") {
        None => image.as_str(),
        Some(url) => {
            let (kind, data) = url.split_once(',').unwrap_or_default();
            if !kind.ends_with(";base64") {
                return Err(Problem::bad("`image` is a data URL without `;base64,`"));
            }
            data
        }
    };
    let bytes = STANDARD.decode(encoded).map_err(|error| Problem::bad(&format!("`image` is no base64: {error}")))?;
    Ok(Upload { name: name.unwrap_or_else(|| FIELD.to_owned()), bytes })
}

async fn gather<E: std::fmt::Display>(
    mut parts: impl Stream<Item = Result<bytes::Bytes, E>> + Unpin,
    length: Option<u64>,
    allowance: &mut Allowance<'_>,
    deadline: Instant,
) -> Result<Vec<u8>, Problem> {
    let mut all = Vec::new();
    all.reserve_exact(length.unwrap_or(0).min(allowance.most) as usize);
    while let Some(part) = within(deadline.min(Instant::now() + SILENCE), parts.next()).await? {
        let part = part.map_err(|error| Problem::bad(&format!("the body ends too early: {error}")))?;
        allowance.grow((all.len() + part.len()) as u64)?;
        if all.capacity() - all.len() < part.len() {
            all.reserve_exact(part.len().max(STEP));
        }
        all.extend_from_slice(&part);
    }
    Ok(all)
}

/// A part of a body, if it comes in time.
async fn within<T>(deadline: Instant, part: impl Future<Output = T>) -> Result<T, Problem> {
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body comes too slowly");
    timeout_at(deadline, part).await.map_err(slow)
}
