//! `POST /predict`: a picture to ranked classes, and to where the network looked.
use crate::explain::Classes;
use crate::explain::cam::Method;
use crate::serve::allowance::Allowance;
use crate::serve::answer::{Explain, Form, Question, answer};
use crate::serve::app::App;
use crate::serve::body;
use crate::serve::extra::{extra, special};
use crate::serve::problem::Problem;
use crate::units::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

/// Classes in an answer, as `dermai predict` shows them.
const TOP: usize = 5;

/// What an URL asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// `1` for a map.
    gradcam: Option<String>,
    /// The class that is explained, by label or number; the best one if left out.
    class: Option<String>,
    /// How the map is made; Grad-CAM if left out.
    method: Option<String>,
    /// The layer that is explained; the card's, or the last feature map, if left out.
    layer: Option<String>,
    /// What is painted: `photo` under the heat (if left out), or the `heat` alone.
    overlay: Option<String>,
    /// Classes in the answer; 0 gives all.
    top: Option<usize>,
    /// The model, where there are several; the first if left out.
    model: Option<String>,
}

/// Answers one picture.
pub async fn predict(
    State(app): State<Arc<App>>,
    wish: Result<Query<Wish>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(wish) = wish.map_err(|error| Problem::bad(&error.body_text()))?;
    let mut allowance = Allowance::of(&app.admission, request.headers(), body::factor(request.headers()))?;
    let form = if wants_png(request.headers()) { Form::Png } else { Form::Json };
    let named = wish.model.as_deref();
    let model = app.desk.place(named).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, &format!("there is no model `{}`", named.unwrap_or_default()))
    })?;
    let mut explain = explain(&app, model, &wish, form)?;
    if let Some(explain) = &mut explain {
        let special = special(&app, model, wish.layer.as_deref(), explain.method).await?;
        if let Some(special) = &special {
            explain.is_usual = false;
            explain.extra = extra(&app, special).await?;
            allowance.widen(explain.extra)?;
        }
        let other = special.and_then(|special| special.layer);
        explain.layer = other.or_else(|| app.desk.layer().map(str::to_owned));
    }
    let upload = app.admission.arriving(body::read(request, &mut allowance), body::ENDING).await?;
    let slot = allowance.ticket().slot().await;
    let top = Some(wish.top.unwrap_or(TOP)).filter(|top| *top > 0);
    answer(app, slot, Question { model, upload, top, explain, form }).await
}

/// What has to be explained, if anything.
fn explain(app: &App, model: usize, wish: &Wish, form: Form) -> Result<Option<Explain>, Problem> {
    let asked = match wish.gradcam.as_deref() {
        None => form == Form::Png,
        Some("1" | "true" | "yes" | "on" | "") => true,
        Some("0" | "false" | "no" | "off") => false,
        Some(other) => return Err(Problem::bad(&format!("`gradcam={other}`: expected 1 or 0"))),
    };
    if !asked {
        let about_maps =
            [("class", &wish.class), ("method", &wish.method), ("layer", &wish.layer), ("overlay", &wish.overlay)];
        if let Some((name, _)) = about_maps.into_iter().find(|(_, value)| value.is_some()) {
            return Err(Problem::bad(&format!("`{name}` is about maps: add `gradcam=1`")));
        }
        return Ok(None);
    }
    if !app.desk.gradcam() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "maps are switched off on this server (`ENABLE_GRADCAM`)"));
    }
    let bad = |error: anyhow::Error| Problem::bad(&format!("{error:#}"));
    let card = &app.desk.models()[model].prepared.card;
    let classes = match &wish.class {
        Some(name) => Classes::named(card, name).map_err(bad)?,
        None => Classes::Best(1),
    };
    let method = wish.method.as_deref().map_or(Ok(Method::GradCam), |name| name.parse().map_err(bad))?;
    let is_alone = match wish.overlay.as_deref() {
        None | Some("photo") => false,
        Some("heat") => true,
        Some(other) => return Err(Problem::bad(&format!("`overlay={other}`: expected `photo` or `heat`"))),
    };
    Ok(Some(Explain { classes, method, layer: None, is_usual: true, extra: Bytes(0), is_alone }))
}

/// Whether the client prefers a PNG: by its weights in `Accept`, then by what it names first (RFC 9110, 12.5.1).
fn wants_png(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut best = ("", 0.0);
    for kind in accepted.split(',') {
        let mut parts = kind.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        if matches!(kind, "image/png" | "application/json" | "*/*") && weight > best.1 {
            best = (kind, weight);
        }
    }
    best.0 == "image/png"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_weighed() {
        let wants = |accept: &'static str| wants_png(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]));
        for accept in ["image/png", "image/png, */*", "text/html, image/png;q=0.9, */*;q=0.8", "*/*;q=0.1,image/png"] {
            assert!(wants(accept), "{accept}");
        }
        for accept in ["", "*/*", "application/json, image/png", "image/png;q=0.1, application/json", "image/png;q=0"] {
            assert!(!wants(accept), "{accept}");
        }
    }
}
