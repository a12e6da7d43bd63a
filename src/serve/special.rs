//! Maps that are not the usual ones, of another layer or by another method: what each kind takes, once it is known.
use super::problem::Problem;
use crate::explain::cam::Method;
use crate::units::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

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
pub struct Specials {
    known: Mutex<HashMap<Special, Result<Bytes, Problem>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Specials {
    /// What is known of one.
    pub fn known(&self, special: &Special) -> Option<Result<Bytes, Problem>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(special).cloned()
    }

    /// One is measured at a time.
    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Notes it.
    pub fn note(&self, special: Special, extra: Result<Bytes, Problem>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(special, extra);
    }
}
