//! Names of our cgroups, and removing those that a killed process has left behind.
use super::group::remove;
use super::process::started;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every name begins with this.
const PREFIX: &str = "dermai-";

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

/// Removes below `parent` the cgroups of processes that no longer live, with what still runs in them. Gives how many there were.
pub fn sweep(root: &Path, parent: &Path) -> usize {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let left = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| is_abandoned(root, name)));
    left.map(|entry| remove(&entry.path())).count()
}

/// Whether the name is one of ours, and the process that gave it has ended. Those of other namespaces are not ours to judge.
pub fn is_abandoned(root: &Path, name: &str) -> bool {
    owner(name)
        .is_some_and(|owner| owner.namespace == namespace(root) && started(root, owner.pid) != Some(owner.started))
}

fn owner(name: &str) -> Option<Owner> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let (namespace, pid, started) =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?.parse::<u32>().ok()?;
    parts.next().is_none().then_some(Owner { namespace, pid, started })
}

/// `pid:[4026531836]`, what `/proc/self/ns/pid` points to (pid_namespaces(7)).
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
        assert_eq!(sweep(root.path(), &parent), 2);
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
}
