//! Memory limit and CPU quota of the cgroup that this process runs in (kernel documentation: admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
use super::membership::{Controller, Memberships};
use crate::units::Bytes;
use std::fs;
use std::path::Path;

/// What the process's cgroups allow; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Grant {
    /// Smallest memory limit on the way to the root.
    pub memory: Option<Bytes>,
    /// Smallest CPU quota on the way to the root, in cores.
    pub cpus: Option<f64>,
}

/// Reads the limits below `root`, which is `/` outside tests.
pub fn granted(root: &Path) -> Grant {
    let own = Memberships::read(root);
    let mut grant = Grant::default();
    for folder in own.folders(Controller::Unified).into_iter().flatten() {
        grant.lower_memory(read_bytes(&folder.join("memory.max")));
        grant.lower_cpus(fs::read_to_string(folder.join("cpu.max")).ok().and_then(|text| quota_v2(&text)));
    }
    for folder in own.folders(Controller::Memory).into_iter().flatten() {
        grant.lower_memory(read_bytes(&folder.join("memory.limit_in_bytes")));
    }
    for folder in own.folders(Controller::Cpu).into_iter().flatten() {
        grant.lower_cpus(quota_v1(&folder));
    }
    grant
}

impl Grant {
    fn lower_memory(&mut self, found: Option<Bytes>) {
        self.memory = [self.memory, found].into_iter().flatten().min();
    }

    fn lower_cpus(&mut self, found: Option<f64>) {
        self.cpus = [self.cpus, found].into_iter().flatten().reduce(f64::min);
    }

    /// Threads that make sense: the quota rounded up, at least 1, and not more than there are processors.
    pub fn threads(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.cpus.map_or(processors, |cpus| (cpus.ceil() as usize).clamp(1, processors.max(1)))
    }
}

/// A limit in bytes; `max`, and v1's page-rounded 2^63, are no limit.
fn read_bytes(file: &Path) -> Option<Bytes> {
    let bytes: u64 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (bytes < 1 << 60).then_some(Bytes(bytes))
}

/// `cpu.max`: quota and period in microseconds.
fn quota_v2(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// `cpu.cfs_quota_us` (-1: none) over `cpu.cfs_period_us`.
fn quota_v1(folder: &Path) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<f64>().ok();
    let (quota, period) = (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::tree;

    #[test]
    fn v2_takes_the_smallest_limit_on_the_way_up() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/memory.max", "536870912\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/a/cpu.max", "max 100000\n"),
        ]);
        assert_eq!(granted(root.path()), Grant { memory: Some(Bytes::mb(512)), cpus: Some(1.5) });
    }

    #[test]
    fn v1_reads_each_controller_where_it_is_mounted() {
        let root = tree(&[
            ("proc/self/cgroup", "4:memory:/x\n1:cpu,cpuacct:/\n0::/\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "104857600\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "10000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(granted(root.path()), Grant { memory: Some(Bytes::mb(100)), cpus: Some(0.1) });
    }

    #[test]
    fn missing_and_malformed_files_are_no_limit() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/a\nnonsense\n"),
            ("sys/fs/cgroup/a/memory.max", "many\n"),
            ("sys/fs/cgroup/a/cpu.max", "x y\n"),
        ]);
        assert_eq!(granted(root.path()), Grant::default());
        assert_eq!(granted(tree(&[]).path()), Grant::default());
    }

    #[test]
    fn a_tenth_of_a_core_is_one_thread() {
        assert_eq!(Grant { memory: None, cpus: Some(0.1) }.threads(), 1);
    }
}
