//! Maps that are not the usual ones, of another layer or by another method. Their graphs may take many times the memory, so what each kind takes
//! is measured in a child when the first one is asked for.
use super::app::App;
use super::desk::Desk;
use super::measuring::Measured;
use super::problem::Problem;
use crate::explain::cam::Method;
use crate::units::Bytes;
use axum::http::StatusCode;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::spawn_blocking;

/// A kind of map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Special {
    /// Place of the model.
    pub model: usize,
    /// Its layer; none: the usual one.
    pub layer: Option<String>,
    /// How it is made.
    pub method: Method,
}

/// What each kind takes beyond a usual map, or why it is refused: as many as models have layers and methods.
#[derive(Debug, Default)]
pub struct Specials(Mutex<HashMap<Special, Result<Bytes, Problem>>>);

impl Specials {
    fn known(&self, special: &Special) -> Option<Result<Bytes, Problem>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(special).cloned()
    }

    fn note(&self, special: Special, extra: Result<Bytes, Problem>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(special, extra);
    }
}

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

/// What it takes beyond a usual map. Where that is not known yet it is measured, while nobody else works.
///
/// # Errors
/// When it takes more memory or time than there is, cannot be done with this model, or the server is ending.
pub async fn extra(app: &Arc<App>, special: &Special) -> Result<Bytes, Problem> {
    if let Some(known) = app.specials.known(special) {
        return known;
    }
    let _alone = app.admission.alone().await?;
    // Somebody who waited as well may have had it measured.
    if let Some(known) = app.specials.known(special) {
        return known;
    }
    let clearing = Arc::clone(app);
    let _ = spawn_blocking(move || clearing.desk.clear()).await; // it does not panic
    let measured = app.measurer.special(&app.desk.models()[special.model], special).await;
    let measured = measured.map_err(|error| Problem::unavailable(&format!("{error:#}")))?;
    let what = format!(
        "a map of layer `{}` by `{}`",
        special.layer.as_deref().or(app.desk.layer()).unwrap_or("the usual one"),
        special.method.name()
    );
    let refused = |why: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &format!("{what} {why}"));
    let extra = match measured {
        Measured::Cost(cost) => {
            let usual = app.desk.cost(special.model).map_or(0, |usual| usual.one);
            let extra = Bytes(cost.one.saturating_sub(usual));
            let most = app.admission.room()?.bodies;
            if extra <= most {
                Ok(extra)
            } else {
                Err(refused(&format!("takes {extra} more than a usual one, and this server has {most} left for it")))
            }
        }
        Measured::Refused(why) => Err(Problem::bad(&why)),
        Measured::Killed => Err(refused("takes more memory than this server has")),
        Measured::TooLong => Err(refused("takes longer than a server may: `dermai gradcam` makes it")),
    };
    app.specials.note(special.clone(), extra.clone());
    extra
}

impl Desk {
    /// The layer that a name means; none: it is the one that is explained anyway.
    fn other_layer(&self, model: usize, name: &str) -> anyhow::Result<Option<String>> {
        let prepared = &self.models()[model].prepared;
        let asked = crate::explain::layer_named(prepared, Some(name))?.name;
        let usual = crate::explain::layer_named(prepared, self.layer())?.name;
        Ok((asked != usual).then_some(asked))
    }
}
