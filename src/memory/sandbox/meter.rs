//! How much a child is charged: by its cgroup, or estimated from `/proc` where no cgroup counts.
use super::Plan;
use crate::memory::cache::resident;
use crate::memory::group::{Charged, Group};
use crate::memory::membership::scope_folder;
use crate::memory::process::{self, Status};
use crate::units::Bytes;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A watchdog looks this often: what it overlooks for longer, the kernel would have killed.
const WATCH: Duration = Duration::from_millis(2);

/// Looks at one child.
pub struct Meter {
    root: PathBuf,
    pid: u32,
    group: Option<Group>,
    /// The highest that the kernel has reported of a peak that cannot be set back.
    known_peak: Bytes,
    watch: Watch,
}

/// What a watchdog remembers.
#[derive(Default)]
struct Watch {
    /// Pages that the files had in the cache when the child was started: charged to somebody else.
    before: BTreeMap<PathBuf, Bytes>,
    /// The highest charge and resident size that were seen since the peak was set back.
    charged: Bytes,
    resident: Bytes,
    /// The highest resident size by the kernel, last time it could be read.
    peak: Bytes,
}

/// The peaks of a stage.
pub struct Peaks {
    /// Of what is charged.
    pub charged: Bytes,
    /// Of the child's resident size.
    pub resident: Bytes,
}

impl Meter {
    /// Pages that files have in the cache before the child is started.
    pub fn before(plan: &Plan<'_>) -> BTreeMap<PathBuf, Bytes> {
        plan.files.iter().map(|file| (file.clone(), resident(file).unwrap_or_default())).collect()
    }

    /// For a child that was just started.
    pub fn new(
        plan: &Plan<'_>,
        pid: u32,
        before: BTreeMap<PathBuf, Bytes>,
        group: Option<Group>,
        scope: Option<&str>,
    ) -> Self {
        let root = plan.ladder.root().to_owned();
        let group = group.or_else(|| scope.and_then(|name| scope_folder(&root, pid, name)).map(Group::of_others));
        Self { root, pid, group, known_peak: Bytes::default(), watch: Watch { before, ..Watch::default() } }
    }

    /// How often to look.
    pub fn interval(&self, usual: Duration) -> Duration {
        if self.group.is_some() { usual } else { WATCH }
    }

    /// Whether the charge is an estimate.
    pub fn estimates(&self) -> bool {
        self.group.is_none()
    }

    /// Whether swap could have hidden memory.
    pub fn swap_possible(&self) -> bool {
        // Without a cgroup nothing keeps the kernel from swapping.
        self.group.as_ref().is_none_or(Group::swap_possible) && has_swap(&self.root)
    }

    /// What is charged now.
    pub fn charged(&mut self) -> Result<Charged> {
        match &self.group {
            Some(group) => {
                self.watch.peak =
                    Status::of(&self.root, self.pid).map_or(self.watch.peak, |s| s.peak.max(self.watch.peak));
                group.charged()
            }
            None => Ok(self.estimate()),
        }
    }

    /// Anonymous memory, file pages and page tables, as the kernel would charge them to a cgroup of the child's own.
    fn estimate(&mut self) -> Charged {
        #[cfg(not(target_os = "linux"))]
        {
            let total = crate::memory::host::resident_tree(self.pid).unwrap_or_default();
            self.watch.charged = self.watch.charged.max(total);
            self.watch.resident = self.watch.resident.max(total);
            return Charged { total, anon: total, ..Charged::default() };
        }
        #[cfg(target_os = "linux")]
        self.estimate_from_proc()
    }

    #[cfg(target_os = "linux")]
    fn estimate_from_proc(&mut self) -> Charged {
        let tree = process::tree(&self.root, self.pid);
        let (mut anon, mut file, mut kernel) = (0, 0, 0);
        for (at, &pid) in tree.iter().enumerate() {
            let Ok(status) = Status::of(&self.root, pid) else { continue };
            kernel += status.kernel.0;
            if at == 0 {
                self.watch.resident = self.watch.resident.max(status.resident);
                self.watch.peak = self.watch.peak.max(status.peak);
            }
            // What a fork shares with its parent is charged once.
            let parts = if tree.len() > 1 { process::proportional(&self.root, pid).ok() } else { None };
            let parts = parts.unwrap_or(process::Parts { anon: status.anon, file: status.file });
            anon += parts.anon.0;
            file += parts.file.0;
        }
        // Pages that are read, not mapped, are charged as well.
        let cached = |(path, before): (&PathBuf, &Bytes)| resident(path).unwrap_or_default().0.saturating_sub(before.0);
        let file = file.max(self.watch.before.iter().map(cached).sum());
        let total = Bytes(anon + file + kernel);
        self.watch.charged = self.watch.charged.max(total);
        Charged { total, anon: Bytes(anon), file: Bytes(file), kernel: Bytes(kernel) }
    }

    /// The peaks since they were set back; `seen` is the highest charge that was looked at meanwhile.
    pub fn peaks(&mut self, seen: Bytes) -> Peaks {
        let resident = Status::of(&self.root, self.pid).map_or(self.watch.peak, |s| s.peak.max(self.watch.peak));
        let charged = match &mut self.group {
            Some(group) => match group.peak() {
                // Where it cannot be set back it is this stage's only if it rose.
                Ok(peak) if group.resets_peak() || peak > self.known_peak => peak,
                _ => seen,
            },
            // A spike between two looks is in the kernel's peak of the resident size.
            None => Bytes(seen.0.max(self.watch.charged.0) + resident.0.saturating_sub(self.watch.resident.0)),
        };
        self.known_peak = self.known_peak.max(charged);
        Peaks { charged: charged.max(seen), resident }
    }

    /// Sets the peaks back to what is there now.
    pub fn reset_peak(&mut self) {
        if let Some(group) = &mut self.group {
            group.reset_peak();
        }
        let _ = process::reset_peak(&self.root, self.pid);
        (self.watch.charged, self.watch.resident, self.watch.peak) = Default::default();
    }

    /// Whether a watchdog has to end the child; a cgroup does it itself.
    pub fn is_over(&self, limit: Option<Bytes>) -> bool {
        self.group.is_none() && limit.is_some_and(|limit| self.watch.charged > limit)
    }

    /// How often the kernel killed one of its processes for want of memory.
    pub fn oom_kills(&self) -> u64 {
        self.group.as_ref().map_or(0, Group::oom_kills)
    }

    /// How often a charge ran into the limit.
    pub fn limit_hits(&self) -> u64 {
        self.group.as_ref().map_or(0, Group::limit_hits)
    }

    /// Files that the child has mapped.
    pub fn mapped_files(&self) -> BTreeSet<PathBuf> {
        process::mapped_files(&self.root, self.pid)
    }
}

/// Whether the machine has swap: a line below the head of `/proc/swaps`.
fn has_swap(root: &Path) -> bool {
    std::fs::read_to_string(root.join("proc/swaps")).is_ok_and(|text| text.lines().count() > 1)
}
