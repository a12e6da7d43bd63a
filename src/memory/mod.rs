//! What the kernel grants and charges: limits of this process, a child under a budget, page cache, and giving back what is no longer needed.
//!
//! Invariant: every kernel file is read below a root path, so that tests use a made-up tree.
mod cache;
mod delegation;
mod grant;
mod group;
mod host;
mod ladder;
mod malloc;
mod membership;
mod places;
#[cfg(target_os = "linux")]
mod pool;
mod priority;
mod process;
mod sandbox;
mod scope;
mod sweep;

pub use cache::{evict, resident};
pub use grant::{Grant, granted};
pub use group::{Budget, Charged};
pub use host::available;
pub use ladder::{Ladder, Mechanism};
pub use malloc::{Phase, tune_malloc};
#[cfg(target_os = "linux")]
pub use pool::Pool;
pub use priority::{be_killed_first, lower_priority};
pub use process::{Status, mapped_files, reset_peak};
pub use sandbox::{Ended, Event, Heard, Outcome, Plan, Run, Sample, Stage, Step, Teller, run};
pub use sweep::{abandoned, unused_name};

#[cfg(test)]
mod tests {
    use std::fs;

    /// A made-up root with the given files.
    pub fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("temporary folder");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            fs::write(path, text).expect("file");
        }
        root
    }
}
