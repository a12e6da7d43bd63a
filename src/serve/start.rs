//! From its configuration to a server that runs, and to its end.
use super::app::App;
use super::config::{Config, Named};
use super::cost::Cost;
use super::listen::{bind, serve};
use super::room::Room;
use super::router::router;
use super::shutdown::{Shutdown, Stage};
use crate::memory::lower_priority;
use crate::units::Bytes;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Workers stay: a new thread would have memory of its own from malloc.
const FOR_EVER: Duration = Duration::from_hours(365 * 24);
/// Idle models are looked for at least so often.
const LOOK: Duration = Duration::from_secs(5);

/// A measurement that fails is tried so often, after this time each.
const TRIES: u32 = 3;
const AGAIN: Duration = Duration::from_secs(1);

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All that it had accepted was answered.
    Finished,
    /// Something was cut off.
    CutOff,
}

/// Serves until it is told to end.
///
/// # Errors
/// When nobody can listen at the address.
pub fn run(config: Config) -> Result<Ended> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(config.workers + 1)
        .thread_keep_alive(FOR_EVER)
        .thread_name("worker")
        // Health checks come first.
        .on_thread_start(lower_priority)
        .build()
        .context("no thread can be started")?;
    let ended = runtime.block_on(listen(config));
    // Whoever is still at work is not waited for.
    runtime.shutdown_background();
    ended
}

async fn listen(config: Config) -> Result<Ended> {
    let shutdown = Shutdown::on_signals()?;
    let address = config.address;
    let listener = bind(address).with_context(|| {
        format!("`{address}` cannot be listened at: end what has the port, or choose another (`--port`, `PORT`)")
    })?;
    let address = listener.local_addr().unwrap_or(address);
    let app = Arc::new(App::new(&config));
    let router = router(Arc::clone(&app), config.cors.as_deref()).context("`--cors`")?;
    tracing::info!(%address, budget = app.budget.0, models = config.models.len(), "listening");
    let grace = config.grace;
    let draining = {
        let (app, shutdown) = (Arc::clone(&app), shutdown.clone());
        async move {
            shutdown.reached(Stage::Draining).await;
            app.admission.drain();
            tracing::info!("ending: accepted requests are finished");
        }
    };
    tokio::spawn(draining);
    let preparing = tokio::spawn(prepare(Arc::clone(&app), config));
    let finished = serve(listener, router, &shutdown, grace).await;
    preparing.abort();
    tracing::info!(finished, "ended");
    Ok(if finished { Ended::Finished } else { Ended::CutOff })
}

/// Measures, opens, loads what is to be loaded at once, and unloads what is idle.
async fn prepare(app: Arc<App>, config: Config) {
    let room = measured(&app, &config).await;
    match &room {
        Ok(room) => tracing::info!(workers = room.slots, decoder = room.decoder.0, bodies = room.bodies.0, "ready"),
        Err(why) => tracing::error!(why, "no request fits"),
    }
    let fits = room.is_ok();
    app.admission.open(room);
    if fits && config.preload {
        let app = Arc::clone(&app);
        // As a request that nobody asks.
        let alone = app.admission.alone().await;
        let loaded = spawn_blocking(move || app.desk.preload(0)).await;
        drop(alone);
        if let Ok(Err(error)) = loaded {
            tracing::error!(error = format!("{error:#}"), "the model cannot be loaded");
        }
    }
    let Some(idle) = config.idle_unload else { return };
    loop {
        let app = Arc::clone(&app);
        let next = spawn_blocking(move || app.desk.unload(idle)).await.unwrap_or(LOOK);
        sleep(next.max(LOOK.min(idle))).await;
    }
}

/// What fits, by what each model was measured to take: the largest decides.
async fn measured(app: &App, config: &Config) -> Result<Room, String> {
    let mut largest: Option<Cost> = None;
    let (mut all, mut further) = (Bytes(0), Bytes(0));
    for (at, model) in config.models.iter().enumerate() {
        let cost = measured_one(app, model).await.map_err(|error| format!("model `{}`: {error:#}", model.name))?;
        tracing::info!(
            model = model.name,
            idle = cost.idle,
            loaded = cost.loaded,
            one = cost.one,
            two = cost.two,
            milliseconds = cost.micros as f64 / 1e3,
            "measured"
        );
        app.desk.price(at, cost);
        all.0 += cost.model().0;
        further = further.max(cost.further());
        if largest.is_none_or(|largest| cost.one > largest.one) {
            largest = Some(cost);
        }
    }
    let largest = largest.ok_or("there is no model")?;
    app.admission.took(Duration::from_micros(largest.micros));
    let room = Room::of(config.budget, Bytes(largest.one), further, config.workers).map_err(|needed| {
        let budget = config.budget;
        format!("one request takes {needed}, and the budget is {budget}: `dermai quantize` makes a smaller form of the model")
    })?;
    // Other models stay loaded in half of what is left, at most.
    let others = Bytes(all.0 - largest.model().0).min(room.bodies);
    let beside = Room::of(Bytes(config.budget.0 - others.0), Bytes(largest.one), further, config.workers);
    let (room, others) = beside.map_or((room, Bytes(0)), |beside| (beside, others));
    app.desk.limit(Bytes(largest.model().0 + largest.work().0 + others.0));
    Ok(room)
}

/// Another process may have had the memory for a moment.
async fn measured_one(app: &App, model: &Named) -> Result<Cost> {
    for _ in 1..TRIES {
        match app.measurer.usual(model).await {
            Ok(cost) => return Ok(cost),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "it is measured once more"),
        }
        sleep(AGAIN).await;
    }
    app.measurer.usual(model).await
}
