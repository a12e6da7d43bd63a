//! How much a child is charged: by its cgroup, or estimated from `/proc` where no cgroup counts.
use super::Plan;
use crate::memory::cache::resident_of_own;
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

/// A variable in the environment of what is watched, by which its daemons are known among all children of this process.
pub const MARK: &str = "DERMAI_WATCHED";

/// Looks at one child.
pub struct Meter {
    root: PathBuf,
    pid: u32,
    /// Value of [`MARK`] in the child's environment.
    mark: String,
    group: Option<Group>,
    /// The highest that the kernel has reported of a peak that cannot be set back.
    known_peak: Bytes,
    /// Of a group that may be gone by the time it is read.
    last: Last,
    watch: Watch,
}

/// What a group of others said last: systemd removes a scope, its counters with it, as soon as its last process has ended.
#[derive(Default)]
struct Last {
    charged: Charged,
    /// Since it was set back.
    peak: Bytes,
    oom_kills: u64,
    limit_hits: u64,
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
    /// Named files that were seen to be written, by device and number: their pages stay in the cache when they are closed.
    written: BTreeMap<(u64, u64), PathBuf>,
}

/// More written files than this are not followed when they are closed: each costs system calls at every look.
const MOST_WRITTEN: usize = 64;

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
        plan.files.iter().filter_map(|file| Some((file.clone(), resident_of_own(file).ok()??))).collect()
    }

    /// For a child that was just started.
    pub fn new(
        plan: &Plan<'_>,
        pid: u32,
        mark: String,
        before: BTreeMap<PathBuf, Bytes>,
        group: Option<Group>,
        scope: Option<&str>,
    ) -> Self {
        let root = plan.ladder.root().to_owned();
        let group = group.or_else(|| scope.and_then(|name| scope_folder(&root, pid, name)).map(Group::of_others));
        Self {
            root,
            pid,
            mark,
            group,
            known_peak: Bytes::default(),
            last: Last::default(),
            watch: Watch { before, ..Watch::default() },
        }
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
        match &mut self.group {
            Some(group) => {
                self.watch.peak =
                    Status::of(&self.root, self.pid).map_or(self.watch.peak, |s| s.peak.max(self.watch.peak));
                let charged = group.charged();
                if group.may_vanish() {
                    self.last.note(group, charged.as_ref().ok());
                    return Ok(self.last.charged);
                }
                charged
            }
            None => Ok(self.estimate()),
        }
    }

    /// Whether the kernel killed one of its processes for want of memory. Where the count may have vanished before it was read, a SIGKILL after
    /// the limit was run into is taken for one.
    pub fn oom_killed(&self, signal: Option<i32>) -> bool {
        let may_vanish = self.group.as_ref().is_some_and(Group::may_vanish);
        self.oom_kills() > 0 || may_vanish && signal == Some(process::SIGKILL) && self.limit_hits() > 0
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
        let tree = self.tree();
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
        let cached = |(path, before): (&PathBuf, &Bytes)| {
            let now = resident_of_own(path).ok().flatten().unwrap_or_default();
            now.0.saturating_sub(before.0)
        };
        let file = file.max(self.watch.before.iter().map(cached).sum()) + self.written(&tree);
        let total = Bytes(anon + file + kernel);
        self.watch.charged = self.watch.charged.max(total);
        Charged { total, anon: Bytes(anon), file: Bytes(file), kernel: Bytes(kernel) }
    }

    /// Pages of files that the processes have written. A file that has no name goes with its writer.
    #[cfg(target_os = "linux")]
    fn written(&mut self, tree: &[u32]) -> u64 {
        let named = &mut self.watch.written;
        let mut nameless = BTreeMap::new();
        for written in tree.iter().flat_map(|&pid| process::written_files(&self.root, pid)) {
            if written.path.starts_with(self.root.join("proc")) {
                nameless.insert(written.inode, written.path);
            } else if named.len() < MOST_WRITTEN && !self.watch.before.contains_key(&written.path) {
                named.insert(written.inode, written.path);
            }
        }
        let resident = |path: &PathBuf| resident_of_own(path).ok().flatten().unwrap_or_default().0;
        named.values().chain(nameless.values()).map(resident).sum()
    }

    /// The child, its descendants, and those that we have adopted because their parents have ended.
    fn tree(&self) -> Vec<u32> {
        let left = process::children(&self.root, std::process::id()).into_iter();
        let is_its = |pid: &u32| *pid != self.pid && process::has_variable(&self.root, *pid, MARK, &self.mark);
        let left = left.filter(is_its);
        std::iter::once(self.pid).chain(left).flat_map(|pid| process::tree(&self.root, pid)).collect()
    }

    /// Ends whatever the child has started and left behind.
    pub fn end_all(&self) {
        match &self.group {
            Some(group) => group.empty(),
            None => self.tree().into_iter().filter(|&pid| pid != self.pid).for_each(process::end),
        }
    }

    /// The peaks since they were set back; `seen` is the highest charge that was looked at meanwhile.
    pub fn peaks(&mut self, seen: Bytes) -> Peaks {
        let resident = Status::of(&self.root, self.pid).map_or(self.watch.peak, |s| s.peak.max(self.watch.peak));
        let charged = match &mut self.group {
            Some(group) => {
                let vanished = if group.may_vanish() { self.last.peak } else { Bytes::default() };
                match group.peak().unwrap_or(vanished) {
                    // Where it cannot be set back it is this stage's only if it rose.
                    peak if group.resets_peak() || peak > self.known_peak => peak,
                    _ => seen,
                }
            }
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
        self.last.peak = Bytes::default();
        (self.watch.charged, self.watch.resident, self.watch.peak) = Default::default();
    }

    /// Whether a watchdog has to end the child; a cgroup does it itself.
    pub fn is_over(&self, limit: Option<Bytes>) -> bool {
        self.group.is_none() && limit.is_some_and(|limit| self.watch.charged > limit)
    }

    fn oom_kills(&self) -> u64 {
        self.group.as_ref().map_or(0, Group::oom_kills).max(self.last.oom_kills)
    }

    /// How often a charge ran into the limit.
    pub fn limit_hits(&self) -> u64 {
        self.group.as_ref().map_or(0, Group::limit_hits).max(self.last.limit_hits)
    }

    /// Anonymous memory of the child and its descendants, to the page: a cgroup's counters are brought up to date in batches, in which a small
    /// leak is lost. Takes a walk through the page tables, so it is not for every look.
    pub fn anon_to_the_page(&self) -> Bytes {
        let tree = if self.group.is_some() { process::tree(&self.root, self.pid) } else { self.tree() };
        let parts = tree.into_iter().filter_map(|pid| process::proportional(&self.root, pid).ok());
        Bytes(parts.map(|parts| parts.anon.0).sum())
    }

    /// Files that the child has mapped.
    pub fn mapped_files(&self) -> BTreeSet<PathBuf> {
        process::mapped_files(&self.root, self.pid)
    }
}

impl Last {
    fn note(&mut self, group: &mut Group, charged: Option<&Charged>) {
        if let Some(charged) = charged {
            self.charged = *charged;
        }
        self.peak = self.peak.max(group.peak().unwrap_or_default());
        self.oom_kills = self.oom_kills.max(group.oom_kills());
        self.limit_hits = self.limit_hits.max(group.limit_hits());
    }
}

/// Whether the machine has swap: a line below the head of `/proc/swaps`.
fn has_swap(root: &Path) -> bool {
    std::fs::read_to_string(root.join("proc/swaps")).is_ok_and(|text| text.lines().count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::tree;

    #[test]
    fn what_a_scope_said_last_is_kept_when_systemd_has_removed_it() {
        let root = tree(&[
            ("g/memory.current", "700\n"),
            ("g/memory.peak", "900\n"),
            ("g/memory.events", "max 5\noom_kill 0\n"),
            ("g/memory.stat", "anon 270\nfile 400\nkernel 30\n"),
        ]);
        let folder = root.path().join("g");
        let mut meter = Meter {
            root: root.path().to_owned(),
            pid: 1,
            mark: String::new(),
            group: Some(Group::of_others(folder.clone())),
            known_peak: Bytes::default(),
            last: Last::default(),
            watch: Watch::default(),
        };
        let before = meter.charged().unwrap();
        assert_eq!(before.total, Bytes(700));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(meter.charged().unwrap(), before);
        assert_eq!((meter.peaks(Bytes(800)).charged, meter.limit_hits()), (Bytes(900), 5));
        assert!(meter.oom_killed(Some(process::SIGKILL)) && !meter.oom_killed(Some(11)) && !meter.oom_killed(None));
    }
}
