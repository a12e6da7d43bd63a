//! A cgroup of our own: created with limits, read, emptied and removed (kernel documentation: admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
use super::sweep::{empty, remove};
use crate::units::Bytes;
use anyhow::{Context, Result, anyhow};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Which interface the kernel offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Version {
    V1,
    V2,
}

/// What a group may use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// Memory that the kernel charges to it, page cache included; `None` is no limit.
    pub memory: Option<Bytes>,
    /// Share of one processor, such as 0.1; `None` is no limit.
    pub cpus: Option<f64>,
}

/// What the kernel charges to a group right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// Everything.
    pub total: Bytes,
    /// Memory without a file behind it: heap, stacks, copied pages.
    pub anon: Bytes,
    /// Page cache, mapped or not.
    pub file: Bytes,
    /// The kernel's own: page tables, stacks, slab.
    pub kernel: Bytes,
}

/// Period of the CPU quota in microseconds: the kernel's default, and what container runtimes use.
const PERIOD: u64 = 100_000;

/// A cgroup that lives as long as this value.
#[derive(Debug)]
pub struct Group {
    version: Version,
    memory: PathBuf,
    /// v1 has the CPU in a hierarchy of its own.
    cpu: Option<PathBuf>,
    /// v2, since Linux 6.12: writing to it sets back the peak that this open file reports.
    own_peak: Option<File>,
    swap_possible: bool,
    /// Whether it is removed with this value; systemd removes its own.
    ours: bool,
}

impl Group {
    /// A v2 group that somebody else has made and limited.
    pub fn of_others(folder: PathBuf) -> Self {
        let own_peak = open_peak(&folder);
        Self { version: Version::V2, memory: folder, cpu: None, own_peak, swap_possible: false, ours: false }
    }

    /// Creates a group called `name` below `memory` (and, for v1, below `cpu`) and limits it.
    ///
    /// # Errors
    /// When the kernel does not let this process do it: the file is named.
    pub fn create(version: Version, memory: &Path, cpu: Option<&Path>, name: &str, budget: &Budget) -> Result<Self> {
        let make = |parent: &Path| {
            let folder = parent.join(name);
            fs::create_dir(&folder).with_context(|| format!("cgroup `{}` cannot be created", folder.display()))?;
            anyhow::Ok(folder)
        };
        let mut group =
            Self { version, memory: make(memory)?, cpu: None, own_peak: None, swap_possible: false, ours: true };
        // v2 has one folder for both.
        if budget.cpus.is_some() && version == Version::V1 {
            group.cpu = cpu.map(make).transpose()?;
        }
        group.limit(budget)?;
        if version == Version::V2 {
            group.own_peak = open_peak(&group.memory);
        }
        Ok(group)
    }

    fn limit(&mut self, budget: &Budget) -> Result<()> {
        if let Some(bytes) = budget.memory {
            let bytes = bytes.0.to_string();
            // Swap would let a process live that a host without it kills.
            let no_swap = match self.version {
                Version::V1 => {
                    write(&self.memory.join("memory.limit_in_bytes"), &bytes)?;
                    write(&self.memory.join("memory.memsw.limit_in_bytes"), &bytes)
                }
                Version::V2 => {
                    write(&self.memory.join("memory.max"), &bytes)?;
                    // As container runtimes do it: all of it dies, not one process of several. Since Linux 4.19.
                    let _ = write(&self.memory.join("memory.oom.group"), "1");
                    write(&self.memory.join("memory.swap.max"), "0")
                }
            };
            self.swap_possible = no_swap.is_err();
        }
        if let Some(cpus) = budget.cpus {
            let quota = ((cpus * PERIOD as f64).round() as u64).max(1000); // the kernel's least
            match (self.version, &self.cpu) {
                (Version::V2, _) => write(&self.memory.join("cpu.max"), &format!("{quota} {PERIOD}"))?,
                (Version::V1, Some(cpu)) => {
                    write(&cpu.join("cpu.cfs_period_us"), &PERIOD.to_string())?;
                    write(&cpu.join("cpu.cfs_quota_us"), &quota.to_string())?;
                }
                (Version::V1, None) => return Err(anyhow!("the CPU's cgroup hierarchy is not there")),
            }
        }
        Ok(())
    }

    /// Whether its memory could be swapped out if the machine has swap, because this kernel does not account for it.
    pub fn swap_possible(&self) -> bool {
        self.swap_possible
    }

    /// Whether somebody else may remove it while it is looked at.
    pub fn may_vanish(&self) -> bool {
        !self.ours
    }

    /// Files that a process writes `0` to in order to join, opened.
    pub fn doors(&self) -> Result<Vec<File>> {
        let open = |folder: &PathBuf| {
            let path = folder.join("cgroup.procs");
            OpenOptions::new().write(true).open(&path).with_context(|| format!("`{}`", path.display()))
        };
        self.folders().map(open).collect()
    }

    /// The highest charge since the group was created, or since [`Group::reset_peak`].
    pub fn peak(&mut self) -> Result<Bytes> {
        match (&mut self.own_peak, self.version) {
            (Some(file), _) => {
                let mut text = String::new();
                let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
                read.with_context(|| format!("`{}`", self.memory.join("memory.peak").display()))?;
                number(&text, &self.memory.join("memory.peak"))
            }
            (None, Version::V1) => bytes(&self.memory.join("memory.max_usage_in_bytes")),
            (None, Version::V2) => bytes(&self.memory.join("memory.peak")),
        }
    }

    /// Sets the peak back to what is charged now, where this kernel can.
    pub fn reset_peak(&mut self) {
        match (&mut self.own_peak, self.version) {
            (Some(file), _) => {
                if file.rewind().and_then(|()| file.write_all(b"0")).is_err() {
                    self.own_peak = None; // v2 before Linux 6.12: root can open the file for writing all the same
                }
            }
            (None, Version::V1) => {
                let _ = write(&self.memory.join("memory.max_usage_in_bytes"), "0");
            }
            (None, Version::V2) => {}
        }
    }

    /// Whether the peak is one since it was set back, and not since the group was created.
    pub fn resets_peak(&self) -> bool {
        self.version == Version::V1 || self.own_peak.is_some()
    }

    /// What is charged now.
    pub fn charged(&self) -> Result<Charged> {
        let stat = self.memory.join("memory.stat");
        let text = fs::read_to_string(&stat).with_context(|| format!("`{}`", stat.display()))?;
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            value.map(|value| number(value, &stat)).transpose().map(Option::unwrap_or_default)
        };
        match self.version {
            Version::V1 => Ok(Charged {
                total: self.total()?,
                anon: field("total_rss")?,
                file: field("total_cache")?,
                kernel: bytes(&self.memory.join("memory.kmem.usage_in_bytes")).unwrap_or_default(),
            }),
            Version::V2 => Ok(Charged {
                total: self.total()?,
                anon: field("anon")?,
                file: field("file")?,
                kernel: field("kernel")?,
            }),
        }
    }

    /// Everything that is charged now; cheaper than [`Group::charged`].
    pub fn total(&self) -> Result<Bytes> {
        let name = if self.version == Version::V1 { "memory.usage_in_bytes" } else { "memory.current" };
        bytes(&self.memory.join(name))
    }

    /// How often the kernel killed a process of the group because the limit left it no other way.
    pub fn oom_kills(&self) -> u64 {
        let name = if self.version == Version::V1 { "memory.oom_control" } else { "memory.events" };
        self.event(name, "oom_kill")
    }

    /// How often a charge ran into the limit, so that something had to be reclaimed first.
    pub fn limit_hits(&self) -> u64 {
        match self.version {
            Version::V1 => bytes(&self.memory.join("memory.failcnt")).map_or(0, |n| n.0),
            Version::V2 => self.event("memory.events", "max"),
        }
    }

    /// Ends whatever runs in it.
    pub fn empty(&self) {
        self.folders().for_each(|folder| empty(folder));
    }

    fn event(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(self.memory.join(file)).unwrap_or_default();
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
        text.lines().find_map(value).unwrap_or_default()
    }

    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        [Some(&self.memory), self.cpu.as_ref()].into_iter().flatten()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.ours {
            self.folders().for_each(|folder| remove(folder));
        } else {
            self.empty();
        }
    }
}

fn open_peak(folder: &Path) -> Option<File> {
    OpenOptions::new().read(true).write(true).open(folder.join("memory.peak")).ok()
}

fn write(path: &Path, value: &str) -> Result<()> {
    // Not created: a control file that is not there is one that this kernel does not have.
    let written = OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes()));
    written.with_context(|| format!("`{value}` cannot be written to `{}`", path.display()))
}

fn bytes(path: &Path) -> Result<Bytes> {
    let text = fs::read_to_string(path).with_context(|| format!("`{}`", path.display()))?;
    number(&text, path)
}

fn number(text: &str, path: &Path) -> Result<Bytes> {
    let text = text.trim();
    text.parse().map(Bytes).map_err(|_| anyhow!("`{}` holds `{text}` instead of a number of bytes", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::tree;

    /// A group over made-up files: what `create` does after the kernel has filled the folder.
    fn group(version: Version, files: &[(&str, &str)]) -> (tempfile::TempDir, Group) {
        let root = tree(files);
        let memory = root.path().join("g");
        let own_peak = open_peak(&memory).filter(|_| version == Version::V2);
        (root, Group { version, memory, cpu: None, own_peak, swap_possible: false, ours: false })
    }

    #[test]
    fn v1_is_read() {
        let (_root, mut group) = group(
            Version::V1,
            &[
                ("g/memory.usage_in_bytes", "700\n"),
                ("g/memory.max_usage_in_bytes", "900\n"),
                ("g/memory.kmem.usage_in_bytes", "30\n"),
                ("g/memory.failcnt", "5\n"),
                ("g/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
                ("g/memory.stat", "cache 1\nrss 2\ntotal_cache 400\ntotal_rss 270\n"),
            ],
        );
        let charged = Charged { total: Bytes(700), anon: Bytes(270), file: Bytes(400), kernel: Bytes(30) };
        assert_eq!(group.charged().unwrap(), charged);
        assert_eq!((group.peak().unwrap(), group.limit_hits(), group.oom_kills()), (Bytes(900), 5, 2));
        group.reset_peak();
        assert_eq!(group.peak().unwrap(), Bytes(0), "the kernel would put what is charged now");
    }

    #[test]
    fn v2_is_read() {
        let (_root, mut group) = group(
            Version::V2,
            &[
                ("g/memory.current", "700\n"),
                ("g/memory.peak", "900\n"),
                ("g/memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 2\noom_group_kill 1\n"),
                ("g/memory.stat", "anon 270\nfile 400\nkernel 30\nfile_mapped 20\n"),
            ],
        );
        let charged = Charged { total: Bytes(700), anon: Bytes(270), file: Bytes(400), kernel: Bytes(30) };
        assert_eq!(group.charged().unwrap(), charged);
        assert_eq!((group.peak().unwrap(), group.limit_hits(), group.oom_kills()), (Bytes(900), 5, 2));
        group.reset_peak();
        assert!(group.resets_peak());
    }

    #[test]
    fn v2_without_a_peak_of_its_own_cannot_be_reset() {
        let (root, mut group) = group(Version::V2, &[("g/memory.current", "1\n")]);
        group.reset_peak();
        assert!(!group.resets_peak());
        let error = format!("{:#}", group.peak().unwrap_err());
        assert!(error.contains(&root.path().join("g/memory.peak").display().to_string()), "{error}");
    }

    #[test]
    fn missing_and_malformed_files_are_named() {
        for version in [Version::V1, Version::V2] {
            let (_root, group) = group(version, &[("g/other", "")]);
            assert!(format!("{:#}", group.charged().unwrap_err()).contains("memory.stat"));
            assert_eq!((group.limit_hits(), group.oom_kills()), (0, 0));
        }
        let (_root, group) = group(Version::V2, &[("g/memory.current", "max\n")]);
        let error = format!("{:#}", group.total().unwrap_err());
        assert!(error.contains("memory.current") && error.contains("`max`"), "{error}");
    }

    #[test]
    fn limits_are_written_where_the_kernel_reads_them() {
        let read = |root: &tempfile::TempDir, name: &str| fs::read_to_string(root.path().join(name)).unwrap();
        let budget = Budget { memory: Some(Bytes::mb(512)), cpus: Some(0.1) };
        let names = ["memory.max", "memory.swap.max", "memory.oom.group", "cpu.max"];
        let files: Vec<_> = names.iter().map(|name| (format!("g/{name}"), "")).collect();
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        let (root, mut two) = group(Version::V2, &files);
        two.limit(&budget).unwrap();
        let written: Vec<_> = names.iter().map(|name| read(&root, &format!("g/{name}"))).collect();
        assert_eq!(written, ["536870912", "0", "1", "10000 100000"]);
        assert!(!two.swap_possible());

        let (root, mut one) = group(
            Version::V1,
            &[("g/memory.limit_in_bytes", ""), ("c/cpu.cfs_quota_us", ""), ("c/cpu.cfs_period_us", "")],
        );
        one.cpu = Some(root.path().join("c"));
        one.limit(&budget).unwrap();
        assert_eq!(read(&root, "g/memory.limit_in_bytes"), "536870912");
        assert_eq!(
            (read(&root, "c/cpu.cfs_quota_us"), read(&root, "c/cpu.cfs_period_us")),
            ("10000".into(), "100000".into())
        );
        assert!(one.swap_possible(), "this kernel does not account for swap");
    }

    #[test]
    fn v2_has_one_folder_for_memory_and_cpu() {
        let root = tree(&[]);
        let budget = Budget { memory: None, cpus: Some(0.1) };
        let tried = Group::create(Version::V2, root.path(), Some(root.path()), "g", &budget);
        // As far as it gets without a kernel.
        let error = format!("{:#}", tried.unwrap_err());
        assert!(error.contains("cannot be written") && error.contains("g/cpu.max"), "{error}");
        assert!(!root.path().join("g").exists(), "what could not be limited is removed");
    }
}
