//! What `memcheck` is held against: a program in a fresh cgroup of its own, its files out of the page cache, and the kernel's peak.
//!
//! Nothing of the program's own code is used. By hand, as root: `mkdir GROUP`, then
//! `sh -c 'echo 0 > "$0" && exec "$@"' GROUP/cgroup.procs PROGRAM …`, then `cat GROUP/memory.max_usage_in_bytes` (v2:
//! `memory.peak`) and `rmdir GROUP`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::child::text;
use crate::workspace::typed;

/// Joins the group whose file of processes is the first word, then becomes the program that the others name.
const JOIN: &str = r#"echo 0 > "$0" && exec "$@""#;
/// A killed program is gone within this time.
const DEATH: Duration = Duration::from_secs(5);

/// The hierarchy that counts memory, and where groups are made: below its root.
#[derive(Clone, Debug)]
pub struct Cgroups {
    version: Version,
    mount: PathBuf,
}

/// The kernel's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// What the kernel saw of a program.
#[derive(Debug)]
pub struct Seen {
    /// How it ended.
    pub status: ExitStatus,
    /// Whether it was ended because it took too long.
    pub too_long: bool,
    /// The highest charge in bytes, page cache and kernel memory included.
    pub peak: u64,
    /// From its start to its end.
    pub wall: Duration,
    /// What it wrote to standard error.
    said: String,
}

impl Cgroups {
    /// Looks for the hierarchy and tries it; else the reason why there is none.
    pub fn find() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let found = Self::mounted(&mounts).ok_or("no cgroup hierarchy with a memory controller is mounted")?;
        if found.version == Version::V2 {
            // Refused where it is on already in another way; whether it is shows below.
            let _ = fs::write(found.mount.join("cgroup.subtree_control"), "+memory");
        }
        let group = found.group(None).map_err(|err| format!("{err:#}; try as root"))?;
        match group.peak() {
            Ok(_) => Ok(found),
            Err(err) => Err(format!("{err:#}; the kernel keeps no peak (cgroup v2 has one since Linux 5.19)")),
        }
    }

    /// Version 1's memory hierarchy, or version 2's, in the text of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
    fn mounted(mounts: &str) -> Option<Self> {
        let find = |version, kind: &str, option: &str| {
            mounts.lines().find_map(|line| {
                let (place, what) = line.split_once(" - ")?;
                let mut what = what.split(' ');
                let fits = what.next()? == kind && what.nth(1)?.split(',').any(|o| option.is_empty() || o == option);
                fits.then(|| Self { version, mount: place.split(' ').nth(4).map(PathBuf::from).unwrap_or_default() })
            })
        };
        find(Version::V1, "cgroup", "memory").or_else(|| find(Version::V2, "cgroup2", ""))
    }

    /// Makes a group; nothing in it may use more than `limit` bytes, page cache and swap included.
    pub fn group(&self, limit: Option<u64>) -> Result<Group> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("dermai-bench-{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = self.mount.join(name);
        fs::create_dir(&folder).with_context(|| format!("cannot make the cgroup `{}`", folder.display()))?;
        let group = Group { version: self.version, folder };
        if let Some(limit) = limit {
            let (memory, swap, most) = match self.version {
                Version::V1 => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", limit),
                Version::V2 => ("memory.max", "memory.swap.max", 0),
            };
            let write = |name: &str, value: u64| {
                let path = group.folder.join(name);
                fs::write(&path, value.to_string()).with_context(|| format!("cannot write `{}`", path.display()))
            };
            write(memory, limit)?;
            // Not there where the kernel does not count swap; then it matters only if there is some.
            if group.folder.join(swap).exists() {
                write(swap, most)?;
            }
        }
        Ok(group)
    }

    /// Runs `command` to its end in a fresh group with this limit in bytes, but for no longer than `longest`.
    pub fn run(&self, command: &Command, limit: Option<u64>, longest: Duration) -> Result<Seen> {
        let group = self.group(limit)?;
        let mut error = tempfile::tempfile()?;
        let mut joined = group.joining(command);
        joined.stdin(Stdio::null()).stdout(Stdio::null()).stderr(error.try_clone()?);
        let begun = Instant::now();
        let mut child = joined.spawn().with_context(|| format!("cannot run `{}`", typed(command)))?;
        let (ended, end) = channel::<()>();
        let (status, too_long) = thread::scope(|scope| {
            let group = &group;
            let watch = scope.spawn(move || {
                let too_long = end.recv_timeout(longest) == Err(RecvTimeoutError::Timeout);
                if too_long {
                    group.kill();
                }
                too_long
            });
            let status = child.wait();
            drop(ended);
            (status, watch.join().unwrap_or(false))
        });
        let wall = begun.elapsed();
        let status = status.with_context(|| format!("cannot wait for `{}`", typed(command)))?;
        Ok(Seen { status, too_long, peak: group.peak()?, wall, said: text(&mut error)? })
    }
}

impl Seen {
    /// An error, with the program's own words, unless it ended well.
    pub fn well(self, command: &Command) -> Result<Self> {
        let said = self.said.lines().last().unwrap_or("no word of explanation");
        let how = if self.too_long { ", as it took too long" } else { "" };
        ensure!(self.status.success(), "`{}` ended with {}{how}: {said}", typed(command), self.status);
        Ok(self)
    }
}

/// A cgroup that lives as long as this value.
#[derive(Debug)]
pub struct Group {
    version: Version,
    folder: PathBuf,
}

impl Group {
    /// `command`, in this group.
    pub fn joining(&self, command: &Command) -> Command {
        joining(command, &self.folder.join("cgroup.procs"))
    }

    /// The highest charge in bytes so far.
    pub fn peak(&self) -> Result<u64> {
        let name = if self.version == Version::V1 { "memory.max_usage_in_bytes" } else { "memory.peak" };
        self.number(name, |text| Some(text))
    }

    /// How many of its processes the kernel has killed because the limit was reached (v1: since Linux 4.13).
    pub fn killed(&self) -> Result<u64> {
        let name = if self.version == Version::V1 { "memory.oom_control" } else { "memory.events" };
        self.number(name, |text| text.lines().find_map(|line| line.strip_prefix("oom_kill ")))
    }

    fn number(&self, name: &str, part: impl Fn(&str) -> Option<&str>) -> Result<u64> {
        let path = self.folder.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let number = part(&text).and_then(|number| number.trim().parse().ok());
        number.with_context(|| format!("`{}` gives no number: `{}`", path.display(), text.trim()))
    }

    /// Ends what runs in it.
    fn kill(&self) {
        let ids = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        #[cfg(unix)]
        for id in ids.lines().filter_map(|id| id.parse().ok()) {
            // SAFETY: takes integers. The group holds only what was started in it.
            unsafe { libc::kill(id, libc::SIGKILL) };
        }
        #[cfg(not(unix))]
        drop(ids);
    }
}

impl Drop for Group {
    /// The kernel refuses as long as something in it is dying.
    fn drop(&mut self) {
        let begun = Instant::now();
        self.kill();
        while fs::remove_dir(&self.folder).is_err() && begun.elapsed() < DEATH {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// `command`, in the group that `door` is the file of processes of.
fn joining(command: &Command, door: &Path) -> Command {
    let mut joined = Command::new("sh");
    joined.args(["-c", JOIN]).arg(door).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => joined.env(name, value),
            None => joined.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        joined.current_dir(folder);
    }
    joined
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_memory_hierarchy_is_found_among_the_mounts() {
        let v1 = "31 25 0:27 / /cg/mem rw,nosuid - cgroup cgroup rw,memory";
        let cpu = "33 25 0:29 / /cg/cpu rw,nosuid - cgroup cgroup rw,cpu,cpuacct";
        let v2 = "32 25 0:28 / /cg/two rw shared:4 - cgroup2 none rw,nsdelegate";
        let of = |lines: &[&str]| Cgroups::mounted(&lines.join("\n")).map(|found| (found.version, found.mount));
        assert_eq!(of(&[v2, cpu, v1]), Some((Version::V1, "/cg/mem".into())));
        assert_eq!(of(&[cpu, v2]), Some((Version::V2, "/cg/two".into())));
        assert_eq!(of(&[cpu]), None);
    }

    #[test]
    fn a_wrapped_command_keeps_its_words_and_settings() {
        let mut command = Command::new("printenv");
        command.args(["HELD", "two words"]).env("HELD", "yes").env_remove("PWD").current_dir("/");
        let joined = joining(&command, Path::new("/cg/x/cgroup.procs"));
        let words: Vec<_> = joined.get_args().skip(2).collect();
        assert_eq!(words, ["/cg/x/cgroup.procs", "printenv", "HELD", "two words"]);
        assert_eq!(joined.get_envs().count(), 2);
        assert_eq!(joined.get_current_dir(), Some(Path::new("/")));
    }

    /// A program that fills a buffer of so many MB.
    fn filling(mb: u64) -> Command {
        let mut command = Command::new("dd");
        command.args(["if=/dev/zero", "of=/dev/null", "count=1", &format!("bs={mb}M")]);
        command
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn the_peak_is_what_the_program_took_and_the_limit_ends_it() {
        let Ok(cgroups) = Cgroups::find() else { return };
        let peak = |mb| {
            let seen = cgroups.run(&filling(mb), None, LONG).unwrap().well(&filling(mb)).unwrap();
            seen.peak as f64 / f64::from(1 << 20)
        };
        let (small, large) = (peak(8), peak(72));
        assert!((large - small - 64.0).abs() < 2.0, "{small} MB, then {large} MB");
        let held = cgroups.run(&filling(72), Some(32 << 20), LONG).unwrap();
        assert!(!held.status.success() && !held.too_long && held.peak <= 32 << 20, "{held:?}");
        let group = cgroups.group(Some(32 << 20)).unwrap();
        assert_eq!(group.killed().unwrap(), 0);
        let ended = group.joining(&filling(72)).stderr(Stdio::null()).status().unwrap();
        assert_eq!((ended.success(), group.killed().unwrap()), (false, 1));
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let Ok(cgroups) = Cgroups::find() else { return };
        let mut command = Command::new("sleep");
        command.arg("60");
        let seen = cgroups.run(&command, None, Duration::from_millis(50)).unwrap();
        assert!(seen.too_long && !seen.status.success() && seen.wall < Duration::from_secs(30), "{seen:?}");
        assert!(seen.well(&command).unwrap_err().to_string().contains("took too long"));
    }

    #[test]
    fn a_group_goes_with_its_program() {
        let Ok(cgroups) = Cgroups::find() else { return };
        let group = cgroups.group(None).unwrap();
        let folder = group.folder.clone();
        assert!(folder.is_dir());
        drop(group);
        assert!(!folder.exists());
    }
}
