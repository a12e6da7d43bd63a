//! What a server is told at its start.
use super::cost::Work;
use crate::input::Limits;
use crate::model::{Prepared, SessionOptions};
use crate::units::Bytes;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A model that is served.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name in URLs.
    pub name: String,
    /// Its card and graph.
    pub prepared: Prepared,
}

/// How a server runs.
pub struct Config {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it serves; the first is what `/predict` asks unless told otherwise.
    pub models: Vec<Named>,
    /// Whether maps are made.
    pub gradcam: bool,
    /// The layer that maps explain; none: the card's, or the last feature map.
    pub layer: Option<String>,
    /// Below this probability an answer counts as uncertain; none: the card's.
    pub threshold: Option<f64>,
    /// Whether the first model is loaded before the first request.
    pub preload: bool,
    /// Models that nobody has asked for so long are unloaded; none: never.
    pub idle_unload: Option<Duration>,
    /// Memory of the whole server.
    pub budget: Bytes,
    /// The cgroup's limit; none where there is none.
    pub granted: Option<Bytes>,
    /// Longest body of a request.
    pub body: Bytes,
    /// What a picture may cost; memory for decoders is lowered to what there is.
    pub limits: Limits,
    /// Requests that wait while others are worked on.
    pub queue: usize,
    /// Requests that are worked on at once, at most.
    pub workers: usize,
    /// How networks run.
    pub session: SessionOptions,
    /// Origin whose pages may read answers (Fetch standard, CORS protocol).
    pub cors: Option<String>,
    /// Accepted work is finished within this time once the server is told to end.
    pub grace: Duration,
    /// How the child is started that measures what a request takes.
    pub measuring: Measuring,
}

/// Makes the command of a child that does a work.
pub type Measuring = Arc<dyn Fn(&Work) -> Result<Command> + Send + Sync>;

/// The models in a folder of models: `NAME/model.yaml`, `NAME/model.onnx` or `NAME.onnx`, by name.
///
/// # Errors
/// When there is none, or one of them cannot be used.
pub fn named(folder: &Path) -> Result<Vec<Named>> {
    let failed = || format!("`{}` cannot be read", folder.display());
    let mut entries = fs::read_dir(folder).with_context(failed)?.collect::<Result<Vec<_>, _>>().with_context(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut all: Vec<Named> = Vec::new();
    for path in entries.iter().map(fs::DirEntry::path) {
        let is_folder = path.is_dir();
        let is_model = if is_folder {
            path.join("model.yaml").is_file() || path.join("model.onnx").is_file()
        } else {
            path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
        };
        // What stands behind a folder's dot is no ending: `ham-1.0`.
        let name = if is_folder { path.file_name() } else { path.file_stem() };
        let name = name.unwrap_or_default().to_string_lossy().into_owned();
        // What is on its way to its place, or aside.
        if !is_model || name.starts_with('.') {
            continue;
        }
        ensure!(all.iter().all(|known| known.name != name), "`{}` holds two models `{name}`", folder.display());
        all.push(Named { prepared: Prepared::find(Some(&path))?, name });
    }
    ensure!(
        !all.is_empty(),
        "`{}` holds no model: expected folders with a `model.yaml` or `model.onnx`, or files `NAME.onnx`",
        folder.display()
    );
    Ok(all)
}
