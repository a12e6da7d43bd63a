//! Having a cgroup v2 hand controllers down to its children, so that they may have limits (kernel documentation: admin-guide/cgroup-v2.rst,
//! "Controlling Controllers", "No Internal Process Constraint").
use super::sweep::unused_name;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Whether the cgroup may hand the controller down.
pub fn has(folder: &Path, controller: &str) -> bool {
    names(&folder.join("cgroup.controllers"), controller)
}

/// Whether its children have the controller.
pub fn hands_down(folder: &Path, controller: &str) -> bool {
    names(&folder.join("cgroup.subtree_control"), controller)
}

fn names(file: &Path, controller: &str) -> bool {
    fs::read_to_string(file).unwrap_or_default().split_whitespace().any(|name| name == controller)
}

/// Has the cgroup hand the controller down. It is not taken back: that would lift the limits of whoever relies on it by then.
///
/// # Errors
/// When the kernel does not let this process: the cgroup is somebody else's, or it holds processes and is not the hierarchy's root.
pub fn hand_down(folder: &Path, controller: &str) -> Result<()> {
    if hands_down(folder, controller) {
        return Ok(());
    }
    let file = folder.join("cgroup.subtree_control");
    let refused = || format!("`+{controller}` cannot be written to `{}`", file.display());
    fs::write(&file, format!("+{controller}")).with_context(refused)
}

/// This process in a leaf below the cgroup that was its own, which holds no other and so may hand controllers down. Moved back with this value.
#[derive(Debug)]
pub struct Aside {
    folder: PathBuf,
    leaf: PathBuf,
}

impl Aside {
    /// Moves this process out of `folder` into a leaf of its own, so that `folder` may hand the memory controller down: what a container's or a
    /// delegated scope's only process has to do.
    ///
    /// # Errors
    /// When others are in the cgroup, which are not ours to move, or the kernel refuses.
    pub fn step(root: &Path, folder: &Path) -> Result<Self> {
        let file = folder.join("cgroup.procs");
        let text = fs::read_to_string(&file).with_context(|| format!("`{}`", file.display()))?;
        let own = std::process::id().to_string();
        if !text.lines().eq([own.as_str()]) {
            bail!(
                "cgroup `{}` holds other processes, and only an empty one has children with limits; \
                 a cgroup of its own for this program, such as `systemd-run --user --scope -p Delegate=yes`, would do",
                folder.display()
            );
        }
        let leaf = folder.join(unused_name(root));
        fs::create_dir(&leaf).with_context(|| format!("cgroup `{}` cannot be created", leaf.display()))?;
        let aside = Self { folder: folder.to_owned(), leaf };
        let door = aside.leaf.join("cgroup.procs");
        fs::write(&door, "0").with_context(|| format!("`0` cannot be written to `{}`", door.display()))?;
        hand_down(folder, "memory")?;
        Ok(aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // The cgroup takes processes again, such as this one, once it hands nothing down. Children of others keep their limits.
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        if entries.filter(|entry| entry.path().is_dir()).all(|entry| entry.path() == self.leaf) {
            for controller in ["memory", "cpu"] {
                let _ = fs::write(self.folder.join("cgroup.subtree_control"), format!("-{controller}"));
            }
            let _ = fs::write(self.folder.join("cgroup.procs"), "0");
            let _ = fs::remove_dir(&self.leaf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::tree;

    #[test]
    fn what_is_handed_down_already_is_not_written_again() {
        let root = tree(&[("g/cgroup.controllers", "cpu io memory\n"), ("g/cgroup.subtree_control", "memory pids\n")]);
        let folder = root.path().join("g");
        assert!(
            has(&folder, "cpu") && !has(&folder, "mem") && hands_down(&folder, "memory") && !hands_down(&folder, "cpu")
        );
        hand_down(&folder, "memory").unwrap();
        assert_eq!(fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap(), "memory pids\n");
        hand_down(&folder, "cpu").unwrap();
        assert_eq!(fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap(), "+cpu");
    }

    #[test]
    fn others_are_not_moved() {
        let own = std::process::id();
        for others in [format!("{own}\n1\n"), "1\n".to_owned(), "0\n".to_owned(), String::new()] {
            let root = tree(&[("g/cgroup.procs", &others), ("g/cgroup.subtree_control", "")]);
            let error = format!("{:#}", Aside::step(root.path(), &root.path().join("g")).unwrap_err());
            assert!(error.contains("other processes"), "{error}");
            assert_eq!(fs::read_dir(root.path().join("g")).unwrap().count(), 2, "nothing was created");
        }
    }

    #[test]
    fn the_only_process_steps_aside_and_back() {
        let own = format!("{}\n", std::process::id());
        let root = tree(&[("g/cgroup.procs", &own), ("g/cgroup.subtree_control", "")]);
        let folder = root.path().join("g");
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let aside = Aside::step(root.path(), &folder).unwrap();
        assert_eq!(fs::read_to_string(aside.leaf.join("cgroup.procs")).unwrap(), "0");
        assert_eq!(read("cgroup.subtree_control"), "+memory");
        drop(aside);
        assert_eq!((read("cgroup.subtree_control"), read("cgroup.procs")), ("-cpu".into(), "0".into()));
    }

    #[test]
    fn children_of_others_keep_their_limits() {
        let own = format!("{}\n", std::process::id());
        let root = tree(&[("g/cgroup.procs", &own), ("g/cgroup.subtree_control", ""), ("g/other/memory.max", "1\n")]);
        drop(Aside::step(root.path(), &root.path().join("g")).unwrap());
        assert_eq!(fs::read_to_string(root.path().join("g/cgroup.subtree_control")).unwrap(), "+memory");
    }
}
