//! Names of our cgroups and temporary folders, emptying and removing them, and those that a killed process has left behind.
use super::process::{kill, started};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Every name begins with this.
const PREFIX: &str = "dermai-";
/// A killed process is gone within this time; the kernel has to give back its memory first.
const DEATH: Duration = Duration::from_secs(5);

/// Whose a cgroup is.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    /// Number of the PID namespace: another container's processes cannot be seen from here.
    namespace: u64,
    pid: u32,
    started: u64,
}

/// A name that no other cgroup has: namespace, number and start of this process, and a counter.
pub fn unused_name(root: &Path) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    let owner = Owner { namespace: namespace(root), pid, started: started(root, pid).unwrap_or_default() };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}-{}-{}-{count}", owner.namespace, owner.pid, owner.started)
}

/// Folders below `parent` with a name of ours whose processes no longer live.
pub fn abandoned(root: &Path, parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let left = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| is_abandoned(root, name)));
    left.map(|entry| entry.path()).collect()
}

/// Removes below `parent` the cgroups of processes that no longer live, with what still runs in them.
pub fn sweep(root: &Path, parent: &Path) {
    for folder in abandoned(root, parent) {
        remove(&folder);
    }
}

/// Whether the name is one of ours, and the process that gave it has ended. Those of other namespaces are not ours to judge.
pub fn is_abandoned(root: &Path, name: &str) -> bool {
    owner(name)
        .is_some_and(|owner| owner.namespace == namespace(root) && started(root, owner.pid) != Some(owner.started))
}

/// Ends every process of a cgroup and of those below it, and removes them. What cannot be removed now is found at the next start
/// (`memory::sweep`).
pub fn remove(folder: &Path) {
    empty(folder);
    let begun = Instant::now();
    // A process that is no longer listed may still hold its cgroup for a moment.
    while fs::remove_dir(folder).is_err_and(|error| error.kind() == ErrorKind::ResourceBusy) && begun.elapsed() < DEATH
    {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Ends every process of a cgroup, and removes the cgroups below it.
pub fn empty(folder: &Path) {
    // What the child has made below it, such as a container.
    let below = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    below.filter(|path| path.is_dir()).for_each(|path| remove(&path));
    // Since Linux 5.14 all at once, however fast they fork.
    let _ = OpenOptions::new().write(true).open(folder.join("cgroup.kill")).and_then(|mut file| file.write_all(b"1"));
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        let processes: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid > 0).collect();
        if processes.is_empty() || begun.elapsed() > DEATH {
            return;
        }
        for pid in processes {
            kill(pid);
        }
        // A cgroup v1 tells nobody when it is empty.
        thread::sleep(Duration::from_millis(1));
    }
}

fn owner(name: &str) -> Option<Owner> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let (namespace, pid, started) =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?.parse::<u32>().ok()?;
    parts.next().is_none().then_some(Owner { namespace, pid, started })
}

/// `pid:[4026531836]`, what `/proc/self/ns/pid` points to (`pid_namespaces(7)`).
fn namespace(root: &Path) -> u64 {
    let link = fs::read_link(root.join("proc/self/ns/pid")).unwrap_or_default();
    let digits: String = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::tree;

    #[test]
    fn only_what_a_dead_process_of_this_namespace_left_is_removed() {
        let stat = "7 (x) R 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 1 1";
        let root = tree(&[("proc/7/stat", stat)]);
        let parent = root.path().join("cg");
        for name in ["dermai-0-7-500-0", "dermai-0-7-499-0", "dermai-0-8-1-3", "dermai-9-8-1-3", "dermai-x", "other"] {
            fs::create_dir_all(parent.join(name)).expect("a folder");
        }
        sweep(root.path(), &parent);
        let mut left: Vec<_> = fs::read_dir(&parent).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["dermai-0-7-500-0", "dermai-9-8-1-3", "dermai-x", "other"]);
    }

    #[test]
    fn names_differ_and_are_read_back() {
        let root = Path::new("/");
        let (one, other) = (unused_name(root), unused_name(root));
        assert_ne!(one, other);
        assert_eq!(owner(&one), owner(&other));
        assert_eq!(owner(&one).unwrap().pid, std::process::id());
    }

    #[test]
    fn cgroups_that_the_child_made_are_removed_with_it() {
        let root = tree(&[]);
        let folder = root.path().join("g");
        fs::create_dir_all(folder.join("container/init")).unwrap();
        fs::create_dir_all(folder.join("other")).unwrap();
        remove(&folder);
        assert!(!folder.exists());
    }
}
