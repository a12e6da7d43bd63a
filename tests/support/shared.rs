//! The folder `shared` beside the checkout: trained models, labelled images and reference networks, too large for the repository.
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

/// The workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Set by `.ci/run` where the folder is there: a test that needs it must not skip then.
const REQUIRED: &str = "DERMAI_REQUIRE_SHARED";

/// `shared` beside the checkout or a folder above it (a worktree lies deeper); none: the tests that need it say so and pass.
pub fn shared() -> Option<PathBuf> {
    let found =
        root().ancestors().skip(1).map(|folder| folder.join("shared")).find(|folder| folder.join("models").is_dir());
    if found.is_none() {
        assert!(
            std::env::var_os(REQUIRED).is_none(),
            "`{REQUIRED}` is set, and there is no folder `shared` with models"
        );
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: no folder `shared` with models beside the checkout");
        }
    }
    found
}

/// Folders with a model, sorted.
pub fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = parent.read_dir().unwrap_or_else(|e| panic!("`{}`: {e}", parent.display()));
    let mut found: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|f| f.join("model.onnx").is_file()).collect();
    found.sort();
    assert!(!found.is_empty(), "no model below `{}`", parent.display());
    found
}

/// Runs `work` on every item, one thread a core, and gives the results in order.
pub fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(0..items.len());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                loop {
                    let Some(at) = next.lock().unwrap().next() else { return };
                    let result = work(&items[at]);
                    done.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
