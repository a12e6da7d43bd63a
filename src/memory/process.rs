//! What `/proc` says about a process, and setting back its peak (`proc_pid_status(5)`, `proc_pid_smaps(5)`, `proc_pid_clear_refs(5)`).
use crate::units::Bytes;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The lines of `/proc/PID/status` that are about memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `VmHWM`: the highest resident size since `exec` or [`reset_peak`]. Shared pages count in full, kernel memory does not count.
    pub peak: Bytes,
    /// `VmSize`: addresses, whether there is memory behind them or not.
    pub size: Bytes,
    /// `VmRSS`.
    pub resident: Bytes,
    /// `RssAnon` and `RssShmem`.
    pub anon: Bytes,
    /// `RssFile`: mapped files.
    pub file: Bytes,
    /// `VmPTE` and a kernel stack for each thread.
    pub kernel: Bytes,
}

/// A thread's stack in the kernel (x86-64 and arm64: `THREAD_SIZE`).
const KERNEL_STACK: u64 = 16 << 10;

impl Status {
    /// Of this process.
    pub fn own() -> Result<Self> {
        Self::of(Path::new("/"), std::process::id())
    }

    /// Of process `pid` below `root`, which is `/` outside tests. A process that has ended has no memory: zeros.
    pub fn of(root: &Path, pid: u32) -> Result<Self> {
        let path = file(root, pid, "status");
        let text = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let kilobytes = |name: &str| Bytes(value(name).unwrap_or_default() << 10);
        Ok(Self {
            peak: kilobytes("VmHWM"),
            size: kilobytes("VmSize"),
            resident: kilobytes("VmRSS"),
            anon: Bytes(kilobytes("RssAnon").0 + kilobytes("RssShmem").0),
            file: kilobytes("RssFile"),
            kernel: Bytes(kilobytes("VmPTE").0 + value("Threads").unwrap_or_default() * KERNEL_STACK),
        })
    }
}

/// A process's resident memory, a page that several processes share counted in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// `Pss_Anon` and `Pss_Shmem`.
    pub anon: Bytes,
    /// `Pss_File`.
    pub file: Bytes,
}

/// Reads `/proc/PID/smaps_rollup`.
pub fn proportional(root: &Path, pid: u32) -> Result<Parts> {
    let path = file(root, pid, "smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
    let kilobytes = |name: &str| -> u64 {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next());
        value.and_then(|value| value.parse().ok()).unwrap_or_default()
    };
    let anon = kilobytes("Pss_Anon") + kilobytes("Pss_Shmem");
    Ok(Parts { anon: Bytes(anon << 10), file: Bytes(kilobytes("Pss_File") << 10) })
}

/// Sets `VmHWM` back to what is resident now: `5` to `/proc/PID/clear_refs`. Needs no privilege for one's own processes.
pub fn reset_peak(root: &Path, pid: u32) -> Result<()> {
    let path = file(root, pid, "clear_refs");
    fs::write(&path, "5").with_context(|| format!("`{}`", path.display()))
}

/// `pid` and its descendants that live.
pub fn tree(root: &Path, pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(&parent) = all.get(at) {
        all.extend(children(root, parent));
        at += 1;
    }
    all
}

/// Processes that `pid` has started, or adopted, and that live.
pub fn children(root: &Path, pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(file(root, pid, "task")).into_iter().flatten().flatten();
    let of = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    let all: Vec<String> = threads.map(of).collect();
    all.iter().flat_map(|text| text.split_whitespace()).filter_map(|child| child.parse().ok()).collect()
}

/// Makes this process the parent of what its descendants leave behind, so that a daemon stays in sight (`PR_SET_CHILD_SUBREAPER(2const)`).
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl takes integers; a refusal leaves orphans with the first process, as elsewhere.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
    }
}

/// Whether a process has this environment variable with this value, as it was when it was started.
pub fn has_variable(root: &Path, pid: u32, name: &str, value: &str) -> bool {
    let all = fs::read(file(root, pid, "environ")).unwrap_or_default();
    let wanted = format!("{name}={value}");
    all.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes())
}

/// Files that a process has open for writing and that take disk or memory.
#[cfg(target_os = "linux")]
pub fn written_files(root: &Path, pid: u32) -> Vec<Written> {
    use std::os::unix::fs::MetadataExt;
    let written = |entry: fs::DirEntry| {
        // proc_pid_fdinfo(5): `flags:` in octal; the lowest two bits are the access mode, 0 is reading.
        let info = fs::read_to_string(file(root, pid, "fdinfo").join(entry.file_name())).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim();
        let is_written = u32::from_str_radix(flags, 8).is_ok_and(|flags| flags & 3 != 0);
        let metadata = fs::metadata(entry.path()).ok().filter(|metadata| is_written && metadata.is_file())?;
        let named = fs::read_link(entry.path()).ok().filter(|_| metadata.nlink() > 0);
        Some(Written { path: named.unwrap_or_else(|| entry.path()), inode: (metadata.dev(), metadata.ino()) })
    };
    fs::read_dir(file(root, pid, "fd")).into_iter().flatten().flatten().filter_map(written).collect()
}

/// A file that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it can be opened: its name, or the writer's descriptor of one that has none.
    pub path: PathBuf,
    /// Device and number: one file, whoever has it open.
    pub inode: (u64, u64),
}

/// Files that a process has mapped.
pub fn mapped_files(root: &Path, pid: u32) -> BTreeSet<PathBuf> {
    let text = fs::read_to_string(file(root, pid, "maps")).unwrap_or_default();
    // proc_pid_maps(5): `address perms offset dev inode pathname`; a file that is gone has ` (deleted)` behind it.
    let path = |line: &str| {
        let mut parts = line.splitn(6, ' ');
        let inode = parts.nth(4)?;
        let path = parts.next()?.trim_start();
        (inode != "0" && path.starts_with('/') && !path.ends_with(" (deleted)")).then(|| PathBuf::from(path))
    };
    text.lines().filter_map(path).collect()
}

/// When a process started, in clock ticks since boot: with its number it names a process once and for all. None when there is no such process.
pub fn started(root: &Path, pid: u32) -> Option<u64> {
    let text = fs::read_to_string(file(root, pid, "stat")).ok()?;
    // Field 22; the name in field 2 may hold anything, but ends with the last parenthesis.
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The signal that cannot be caught, and the kernel's own when memory runs out.
pub const SIGKILL: i32 = 9;

/// Ends a process at once.
#[cfg(unix)]
pub fn kill(pid: i32) {
    // SAFETY: kill takes two integers; a process that is gone is an error that does not matter.
    unsafe {
        libc::kill(pid, SIGKILL);
    }
}

#[cfg(not(unix))]
pub fn kill(_pid: i32) {}

/// Ends a process that may be a child of ours, and waits for it if it is.
pub fn end(pid: u32) {
    kill(pid as i32);
    #[cfg(unix)]
    // SAFETY: takes a number and no place for the status; what is no child of ours is an error that does not matter.
    unsafe {
        libc::waitpid(pid as i32, std::ptr::null_mut(), 0);
    }
}

fn file(root: &Path, pid: u32, name: &str) -> PathBuf {
    root.join("proc").join(pid.to_string()).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::tree as made_up;

    #[test]
    fn status_is_read_in_kilobytes() {
        let text = "Name:\tx\nVmSize:\t 5000 kB\nVmHWM:\t  900 kB\nVmRSS:\t 700 kB\nRssAnon:\t 400 kB\nRssFile:\t 250 kB\nRssShmem:\t 50 kB\nVmPTE:\t 60 kB\nThreads:\t3\n";
        let root = made_up(&[("proc/7/status", text)]);
        let kb = |n: u64| Bytes(n << 10);
        let expected = Status {
            peak: kb(900),
            size: kb(5000),
            resident: kb(700),
            anon: kb(450),
            file: kb(250),
            kernel: kb(60 + 3 * 16),
        };
        assert_eq!(Status::of(root.path(), 7).unwrap(), expected);
    }

    #[test]
    fn a_process_that_ended_has_no_memory_and_one_that_is_gone_is_named() {
        let root = made_up(&[("proc/7/status", "Name:\tx\nState:\tZ (zombie)\n")]);
        assert_eq!(Status::of(root.path(), 7).unwrap(), Status::default());
        assert!(format!("{:#}", Status::of(root.path(), 8).unwrap_err()).contains("proc/8/status"));
    }

    #[test]
    fn descendants_are_found_through_every_thread() {
        let root = made_up(&[
            ("proc/1/task/1/children", "2 3 "),
            ("proc/1/task/9/children", "4 "),
            ("proc/3/task/3/children", "5"),
        ]);
        let mut all = tree(root.path(), 1);
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4, 5]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_that_are_written_are_found_with_and_without_a_name() {
        use std::os::unix::fs::MetadataExt;
        let (named, nameless) = (tempfile::NamedTempFile::new().unwrap(), tempfile::tempfile().unwrap());
        let only_read = fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let all = written_files(Path::new("/"), std::process::id());
        let find = |file: &fs::File| {
            let metadata = file.metadata().unwrap();
            all.iter().find(|written| written.inode == (metadata.dev(), metadata.ino()))
        };
        assert_eq!(find(named.as_file()).unwrap().path, named.path().canonicalize().unwrap());
        assert!(find(&nameless).unwrap().path.starts_with("/proc"));
        assert_eq!(find(&only_read), None);
    }

    #[test]
    fn names_of_mapped_files_may_hold_spaces() {
        let text = "\
00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/a program
00e03000-00e24000 rw-p 00000000 00:00 0           [heap]
35b1800000-35b1820000 r-xp 00000000 08:02 135522  /lib/gone.so (deleted)
35b1a21000-35b1a22000 rw-p 00000000 00:00 0
";
        let root = made_up(&[("proc/7/maps", text)]);
        assert_eq!(mapped_files(root.path(), 7), BTreeSet::from(["/usr/bin/a program".into()]));
    }

    #[test]
    fn the_start_is_found_behind_any_name() {
        let root = made_up(&[("proc/7/stat", "7 (a) b) R 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 123456 1 1")]);
        assert_eq!(started(root.path(), 7), Some(123_456));
        assert_eq!(started(root.path(), 8), None);
    }

    /// The kernel's own files: this process.
    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_read() {
        let (root, pid) = (Path::new("/"), std::process::id());
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        drop(block);
        let high = Status::of(root, pid).unwrap().peak;
        reset_peak(root, pid).unwrap();
        let after = Status::of(root, pid).unwrap();
        assert!(high.0 > after.peak.0 + (40 << 20), "{high:?} before, {after:?} after");
        let parts = proportional(root, pid).unwrap();
        assert!(parts.anon.0 > 0 && parts.file.0 > 0 && parts.anon.0 + parts.file.0 <= after.resident.0 + (8 << 20));
        assert!(mapped_files(root, pid).contains(&std::env::current_exe().unwrap()));
        assert!(started(root, pid).is_some());
    }
}
