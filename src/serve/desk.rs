//! The models that are loaded, and their one user at a time.
use super::config::Named;
use super::cost::Cost;
use crate::explain::{Engine, Wanted, layer_named};
use crate::memory::{Phase, tune_malloc};
use crate::model::SessionOptions;
use crate::units::Bytes;
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Models, and those of them that are loaded.
pub struct Desk {
    models: Vec<Named>,
    costs: Vec<OnceLock<Cost>>,
    /// What maps are made of unless a request wants another kind; none: no maps are made.
    usual: Option<Wanted>,
    session: SessionOptions,
    /// Layers by the names that they were asked for by, as [`Desk::other_layer`] gives them: no more than a graph has names.
    layers: Mutex<HashMap<(usize, String), Option<String>>>,
    /// Memory of all that may be loaded at once, and of the work of one of them; none: it is not known yet.
    room: OnceLock<Bytes>,
    /// The one that was used last stands last.
    loaded: Mutex<Vec<Loaded>>,
}

struct Loaded {
    model: usize,
    /// What its graph gives besides answers; none: nothing.
    wanted: Option<Wanted>,
    engine: Engine,
    used: Instant,
}

impl Desk {
    /// Nothing is loaded yet.
    pub fn new(models: Vec<Named>, usual: Option<Wanted>, session: SessionOptions) -> Self {
        let costs = models.iter().map(|_| OnceLock::new()).collect();
        Self {
            models,
            costs,
            usual,
            session,
            layers: Mutex::default(),
            room: OnceLock::new(),
            loaded: Mutex::default(),
        }
    }

    /// The models.
    pub fn models(&self) -> &[Named] {
        &self.models
    }

    /// The place of a model by its name; the first where none is named.
    pub fn place(&self, name: Option<&str>) -> Option<usize> {
        name.map_or(Some(0), |name| self.models.iter().position(|model| model.name == name))
    }

    /// Whether maps are made.
    pub fn gradcam(&self) -> bool {
        self.usual.is_some()
    }

    /// The layer that is explained unless a request wants another one; none: each model's own.
    pub fn layer(&self) -> Option<&str> {
        self.usual.as_ref()?.layer.as_deref()
    }

    /// Notes what a model takes.
    pub fn price(&self, model: usize, cost: Cost) {
        let _ = self.costs[model].set(cost); // it is measured once
    }

    /// What a model takes, once it is known.
    pub fn cost(&self, model: usize) -> Option<&Cost> {
        self.costs[model].get()
    }

    /// Notes what all that is loaded may take, and the work of one of them with it.
    pub fn limit(&self, room: Bytes) {
        let _ = self.room.set(room); // it is known once
    }

    /// Names of the models that are loaded.
    pub fn loaded(&self) -> Option<Vec<&str>> {
        // Whoever asks does not wait for the network.
        let loaded = match self.loaded.try_lock() {
            Ok(loaded) => loaded,
            Err(std::sync::TryLockError::Poisoned(broken)) => broken.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        Some(loaded.iter().map(|one| self.models[one.model].name.as_str()).collect())
    }

    /// The layer that a name means; none: it is the one that is explained anyway. Reads the graph for a name that was not asked for before.
    ///
    /// # Errors
    /// When the model has no such layer, or it cannot be explained.
    pub fn other_layer(&self, model: usize, name: &str) -> Result<Option<String>> {
        let asked = (model, name.to_owned());
        let known = || self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = known().get(&asked) {
            return Ok(other.clone());
        }
        let prepared = &self.models[model].prepared;
        let layer = layer_named(prepared, Some(name))?.name;
        let usual = layer_named(prepared, self.layer())?.name;
        let other = (layer != usual).then_some(layer);
        known().insert(asked, other.clone());
        Ok(other)
    }

    /// Has a model do some work, loaded if it is not; `wanted` says what maps are wanted, if any are. Waits for whoever is at work. What takes
    /// `extra` memory, beyond the usual graph, does not stay.
    pub fn with<T>(
        &self,
        model: usize,
        wanted: Option<&Wanted>,
        extra: Bytes,
        work: impl FnOnce(&mut Engine) -> Result<T>,
    ) -> Result<T> {
        let mut loaded = self.lock();
        // Where maps are made, answers come by the same graph: one session is enough.
        let wanted = wanted.or(self.usual.as_ref());
        let at = loaded.iter().position(|one| one.model == model && one.wanted.as_ref() == wanted);
        let mut one = if let Some(at) = at {
            loaded.remove(at)
        } else {
            self.make_room(&mut loaded, model);
            self.load(model, wanted)?
        };
        let done = work(&mut one.engine);
        one.used = Instant::now();
        if extra.0 == 0 {
            loaded.push(one);
        }
        done
    }

    /// Loads a model, and checks that its files are what its card says.
    fn load(&self, model: usize, wanted: Option<&Wanted>) -> Result<Loaded> {
        let prepared = self.models[model].prepared.clone();
        let mut engine = Engine::start(prepared, wanted, &self.session)?;
        engine.model().identity()?;
        Ok(Loaded { model, wanted: wanted.cloned(), engine, used: Instant::now() })
    }

    /// Unloads the same model with other maps, and those that were not used for the longest time until the new one fits.
    fn make_room(&self, loaded: &mut Vec<Loaded>, model: usize) {
        loaded.retain(|one| one.model != model);
        if let Some(room) = self.room.get() {
            let all = loaded.iter().map(|one| one.model).chain([model]).filter_map(|model| self.cost(model).copied());
            loaded.drain(..surplus(&all.collect::<Vec<_>>(), *room));
        }
        tune_malloc(Phase::Running);
    }

    /// Unloads everything.
    pub fn clear(&self) {
        self.lock().clear();
        tune_malloc(Phase::Running);
    }

    /// Unloads what was not used for so long. Gives the time until something else may have to go.
    pub fn unload(&self, idle: Duration) -> Duration {
        let mut loaded = self.lock();
        let before = loaded.len();
        loaded.retain(|one| one.used.elapsed() < idle);
        if loaded.len() < before {
            tune_malloc(Phase::Running);
        }
        let oldest = loaded.first().map_or(Duration::ZERO, |one| one.used.elapsed());
        idle.saturating_sub(oldest)
    }

    /// Loads a model before anybody asks for it.
    pub fn preload(&self, model: usize) -> Result<()> {
        self.with(model, None, Bytes(0), |_| Ok(())).with_context(|| format!("model `{}`", self.models[model].name))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of the first models have to go so that the others fit, of which the last one is new: all stay in memory while one of them is loaded
/// or asked.
fn surplus(costs: &[Cost], room: Bytes) -> usize {
    let takes = |costs: &[Cost]| {
        let most = costs.iter().map(|cost| cost.work().0).max().unwrap_or_default();
        costs.iter().map(|cost| cost.model().0).sum::<u64>() + most
    };
    (0..costs.len()).find(|at| takes(&costs[*at..]) <= room.0).unwrap_or_else(|| costs.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_stay_only_while_the_work_of_each_fits_beside_them() {
        let cost = |model: u64, work: u64| {
            let (idle, loaded) = (10, 10 + model);
            Cost { idle, loaded, one: loaded + work, two: loaded + work, micros: 1 }
        };
        // Loading the small one takes more beyond itself than the large one's work does.
        let (large, small) = (cost(100, 10), cost(40, 60));
        assert_eq!(surplus(&[large, small], Bytes(200)), 0);
        assert_eq!(surplus(&[large, small], Bytes(199)), 1);
        assert_eq!(surplus(&[small, large], Bytes(199)), 1);
        assert_eq!(surplus(&[small, small, small], Bytes(140)), 1);
        // The new one is loaded in any case: admission has let it in.
        assert_eq!(surplus(&[large, small], Bytes(1)), 1);
        assert_eq!(surplus(&[large], Bytes(1)), 0);
    }
}
