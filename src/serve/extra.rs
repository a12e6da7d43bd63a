//! What a map takes that is not a usual one: its graph may take many times the memory, so it is measured in a child when the first one is asked
//! for.
use super::app::App;
use super::measuring::Measured;
use super::problem::Problem;
use super::room::RESERVE;
use super::special::Special;
use crate::explain::cam::Method;
use crate::memory::Status;
use crate::units::Bytes;
use axum::http::StatusCode;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Why a map is not measured any more.
const ENDING: &str = "the server is ending, and this map was not measured yet";

/// The kind of map that a layer and a method mean; none: it is the usual one.
///
/// # Errors
/// When the model has no such layer, or it cannot be explained.
pub async fn special(
    app: &Arc<App>,
    model: usize,
    layer: Option<&str>,
    method: Method,
) -> Result<Option<Special>, Problem> {
    let layer = match layer {
        None => None,
        Some(name) => {
            let (app, name) = (Arc::clone(app), name.to_owned());
            // The graph is read for it.
            let found = spawn_blocking(move || app.desk.other_layer(model, &name)).await;
            found.unwrap_or_else(|_| Ok(None)).map_err(|error| Problem::bad(&format!("{error:#}")))?
        }
    };
    let is_usual = layer.is_none() && method == Method::GradCam;
    Ok((!is_usual).then_some(Special { model, layer, method }))
}

/// What it takes beyond a usual map. Where that is not known yet it is measured, whether or not who asked still waits for it.
///
/// # Errors
/// When it takes more memory or time than there is, or cannot be done with this model.
pub async fn extra(app: &Arc<App>, special: &Special) -> Result<Bytes, Problem> {
    if let Some(known) = app.specials.known(special) {
        return known;
    }
    // Who leaves before it is its turn has asked for nothing.
    let turn = app.admission.arriving(async { Ok(app.specials.turn().await) }, ENDING).await?;
    // Somebody who waited as well may have had it measured.
    if let Some(known) = app.specials.known(special) {
        return known;
    }
    let (app, special) = (Arc::clone(app), special.clone());
    let measuring = tokio::spawn(async move {
        let measured = app.admission.arriving(measured(&app, special), ENDING).await;
        drop(turn);
        measured
    });
    measuring.await.unwrap_or_else(|_| Err(Problem::fault("the measurement broke down")))
}

/// Measures it while nobody else works.
async fn measured(app: &Arc<App>, special: Special) -> Result<Bytes, Problem> {
    let _alone = app.admission.alone().await?;
    // Bodies of others may be in memory, which need not be there another time.
    let is_only_one = app.admission.counts().0 <= 1;
    let clearing = Arc::clone(app);
    let _ = spawn_blocking(move || clearing.desk.clear()).await; // it does not panic
    let room = app.admission.known_room()?;
    let usual = app.desk.cost(special.model).map_or(0, |usual| usual.one);
    // More could not be let in; and what is in now, bodies of others among it, stays.
    let enough = usual + room.bodies.0;
    let anon = Status::own().map_err(Problem::from)?.anon;
    let free = app.budget.0.saturating_sub(anon.0 + RESERVE.0);
    let asked = app.measurer.special(&app.desk.models()[special.model], &special, Bytes(enough.min(free))).await;
    let what = match &special.layer {
        Some(layer) => format!("a map of layer `{layer}` by `{}`", special.method.name()),
        None => format!("a map by `{}`", special.method.name()),
    };
    let refused = |why: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &format!("{what} {why}"));
    let most = room.bodies;
    let extra = match asked.map_err(|error| Problem::unavailable(&format!("{error:#}")))? {
        Measured::Cost(cost) => match Bytes(cost.one.saturating_sub(usual)) {
            extra if extra <= most => Ok(extra),
            extra => {
                Err(refused(&format!("takes {extra} more than a usual one, and this server has {most} left for it")))
            }
        },
        Measured::Refused(why) => Err(Problem::bad(&why)),
        Measured::Killed if free < enough && !is_only_one => return Err(Problem::too_many(1)),
        Measured::Killed => {
            Err(refused(&format!("takes more than a usual one and the {most} that this server has left for it")))
        }
        Measured::TooLong => Err(refused("takes longer than a server may: `dermai gradcam` makes it")),
    };
    app.specials.note(special, extra.clone());
    extra
}
