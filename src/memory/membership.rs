//! Which cgroups this process is in, and where their hierarchies are mounted (cgroups(7), `/proc/self/cgroup` and `/proc/self/mountinfo`).
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// cgroup v2, which has all of them in one hierarchy.
    Unified,
    /// v1's `memory`.
    Memory,
    /// v1's `cpu`.
    Cpu,
}

/// The cgroups of this process.
#[derive(Clone, Debug)]
pub struct Memberships {
    root: PathBuf,
    own: String,
    mounts: String,
}

impl Memberships {
    /// Reads them below `root`, which is `/` outside tests. Where `/proc` cannot be read there are none.
    pub fn read(root: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
        Self { root: root.to_owned(), own: read("proc/self/cgroup"), mounts: read("proc/self/mountinfo") }
    }

    /// The process's own folder in a hierarchy and those above it, up to where it is mounted; none where the hierarchy is not there.
    ///
    /// In a container the path seen from outside may not exist inside; the mount's root then holds the limits.
    pub fn folders(&self, controller: Controller) -> Option<Vec<PathBuf>> {
        let (controllers, path) = self.membership(controller)?;
        let mount = self.mount(controller, controllers);
        let mut folder = mount.join(path.trim_start_matches('/'));
        let mut all = Vec::new();
        while folder.starts_with(&mount) {
            all.push(folder.clone());
            if !folder.pop() {
                break;
            }
        }
        Some(all)
    }

    /// The controllers' names as they stand in `/proc/self/cgroup`, and the path.
    fn membership(&self, controller: Controller) -> Option<(&str, &str)> {
        self.own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let has = |name: &str| controllers.split(',').any(|c| c == name);
            let fits = match controller {
                Controller::Unified => controllers.is_empty(),
                Controller::Memory => has("memory"),
                Controller::Cpu => has("cpu"),
            };
            fits.then_some((controllers, path))
        })
    }

    /// Where the hierarchy is mounted; the usual place where the mounts cannot be read.
    fn mount(&self, controller: Controller, controllers: &str) -> PathBuf {
        let usual = Path::new("sys/fs/cgroup").join(controllers);
        let found = self.mounts.lines().find_map(|line| {
            // proc_pid_mountinfo(5): `36 35 98:0 /root /mount/point options optional… - type source super,options`
            let (before, after) = line.split_once(" - ")?;
            let point = before.split(' ').nth(4)?;
            let mut after = after.split(' ');
            let (kind, options) = (after.next()?, after.nth(1)?);
            let has = |name: &str| options.split(',').any(|option| option == name);
            let fits = match controller {
                Controller::Unified => kind == "cgroup2",
                Controller::Memory => kind == "cgroup" && has("memory"),
                Controller::Cpu => kind == "cgroup" && has("cpu"),
            };
            fits.then(|| PathBuf::from(point.trim_start_matches('/')))
        });
        self.root.join(found.unwrap_or(usual))
    }
}

/// The v2 folder of the scope that systemd has moved process `pid` into, once the process is no longer `systemd-run` itself: that moves first
/// and then becomes the command.
pub fn scope_folder(root: &Path, pid: u32, scope: &str) -> Option<PathBuf> {
    let begun = Instant::now();
    let read = |name: &str| fs::read_to_string(root.join(format!("proc/{pid}/{name}")));
    while begun.elapsed() < Duration::from_secs(5) {
        let memberships = read("cgroup").ok()?;
        let path = memberships.lines().find_map(|line| line.strip_prefix("0::"))?;
        if path.contains(scope) && read("comm").is_ok_and(|name| name.trim_end() != "systemd-run") {
            let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
            let own = Memberships { root: root.to_owned(), own: String::new(), mounts };
            return Some(own.mount(Controller::Unified, "").join(path.trim_start_matches('/')));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::tree;

    #[test]
    fn a_hierarchy_is_found_where_it_is_mounted() {
        let root = tree(&[
            ("proc/self/cgroup", "4:memory:/x/y\n1:cpu,cpuacct:/\n0::/z\n"),
            (
                "proc/self/mountinfo",
                "31 25 0:27 / /cg/mem rw - cgroup cgroup rw,memory\n32 25 0:28 / /cg/two rw shared:4 - cgroup2 none rw\n",
            ),
        ]);
        let own = Memberships::read(root.path());
        let below = |names: &[&str]| Some(names.iter().map(|name| root.path().join(name)).collect::<Vec<_>>());
        assert_eq!(own.folders(Controller::Memory), below(&["cg/mem/x/y", "cg/mem/x", "cg/mem"]));
        assert_eq!(own.folders(Controller::Unified), below(&["cg/two/z", "cg/two"]));
        // Not among the mounts: the usual place, named after its controllers.
        assert_eq!(own.folders(Controller::Cpu), below(&["sys/fs/cgroup/cpu,cpuacct"]));
    }

    #[test]
    fn nothing_readable_is_no_cgroup() {
        assert_eq!(Memberships::read(tree(&[]).path()).folders(Controller::Unified), None);
    }

    #[test]
    fn a_scope_is_found_once_the_command_runs_in_it() {
        let root = tree(&[("proc/7/cgroup", "0::/s/dermai-1.scope\n"), ("proc/7/comm", "systemd-run\n")]);
        let command = root.path().join("proc/7/comm");
        let waits = std::thread::spawn({
            let root = root.path().to_owned();
            move || (scope_folder(&root, 7, "dermai-1"), fs::read_to_string(root.join("proc/7/comm")).unwrap())
        });
        // At once, as exec does it.
        fs::write(root.path().join("comm"), "sh\n").unwrap();
        fs::rename(root.path().join("comm"), command).unwrap();
        let found = root.path().join("sys/fs/cgroup/s/dermai-1.scope");
        assert_eq!(waits.join().unwrap(), (Some(found), "sh\n".to_owned()));
        assert_eq!(scope_folder(root.path(), 8, "dermai-1"), None, "it has ended");
    }
}
