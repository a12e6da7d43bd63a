//! The strongest way in which this machine lets us hold a process to a budget: cgroup v2, a systemd scope, cgroup v1, or a watchdog.
use super::delegation::{self, Aside};
use super::group::{Budget, Group, Version};
use super::membership::{Controller, Memberships};
use super::scope;
use super::sweep::{sweep, unused_name};
use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// How a budget is enforced, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// The kernel, by a cgroup v2 of our own.
    CgroupV2,
    /// The kernel, by a scope that systemd makes for us (systemd-run(1)).
    SystemdScope,
    /// The kernel, by a cgroup v1 of our own.
    CgroupV1,
    /// Ourselves: memory is looked at every few milliseconds, and what is over the budget is killed. What the kernel would charge is estimated.
    Watchdog,
}

impl Mechanism {
    /// Strongest first.
    pub const ALL: [Self; 4] = [Self::CgroupV2, Self::SystemdScope, Self::CgroupV1, Self::Watchdog];
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CgroupV2 => "cgroup v2",
            Self::SystemdScope => "systemd scope",
            Self::CgroupV1 => "cgroup v1",
            Self::Watchdog => "watchdog",
        })
    }
}

/// The chosen way, and why no stronger one.
#[derive(Clone, Debug)]
pub struct Ladder {
    root: PathBuf,
    rung: Rung,
    /// Why each stronger way is not used, one sentence each.
    pub passed_over: Vec<String>,
}

#[derive(Clone, Debug)]
enum Rung {
    Cgroup {
        version: Version,
        /// Groups are made in this folder.
        memory: PathBuf,
        /// v1 only: the same for the CPU.
        cpu: Option<PathBuf>,
        /// v2 only: where this process waits meanwhile.
        _aside: Option<Arc<Aside>>,
    },
    Scope {
        user: bool,
    },
    Watchdog,
}

impl Ladder {
    /// Tries each way below `root` (`/` outside tests), strongest first, and takes the first that works; only `wanted` where it is given.
    /// What earlier runs have left is removed.
    ///
    /// # Errors
    /// When the wanted way does not work here: why is said.
    pub fn climb(root: &Path, wanted: Option<Mechanism>) -> Result<Self> {
        let mut ladder = Self { root: root.to_owned(), rung: Rung::Watchdog, passed_over: Vec::new() };
        for mechanism in Mechanism::ALL.into_iter().filter(|&m| wanted.is_none_or(|wanted| wanted == m)) {
            let tried = match mechanism {
                Mechanism::CgroupV2 => ladder.v2(),
                Mechanism::SystemdScope => scope::probe(root).map(|user| Rung::Scope { user }),
                Mechanism::CgroupV1 => ladder.v1(),
                Mechanism::Watchdog => Ok(Rung::Watchdog),
            };
            match tried {
                Ok(rung) => {
                    ladder.rung = rung;
                    return Ok(ladder);
                }
                Err(error) => ladder.passed_over.push(format!("{mechanism}: {error:#}")),
            }
        }
        bail!("the budget cannot be enforced that way here: {}", ladder.passed_over.join("; "))
    }

    /// How the budget is enforced.
    pub fn mechanism(&self) -> Mechanism {
        match self.rung {
            Rung::Cgroup { version: Version::V2, .. } => Mechanism::CgroupV2,
            Rung::Cgroup { version: Version::V1, .. } => Mechanism::CgroupV1,
            Rung::Scope { .. } => Mechanism::SystemdScope,
            Rung::Watchdog => Mechanism::Watchdog,
        }
    }

    /// Whether a CPU share can be enforced as well.
    pub fn limits_cpu(&self) -> bool {
        match &self.rung {
            // Asked for only now: a machine that is not asked for a CPU share keeps its scheduling as it is.
            Rung::Cgroup { version: Version::V2, memory, .. } => self.hands_cpu_down(memory),
            Rung::Cgroup { version: Version::V1, cpu, .. } => cpu.is_some(),
            Rung::Scope { .. } => true,
            Rung::Watchdog => false,
        }
    }

    /// Has the cgroup v2 that groups are made in, and from the top those above it, hand the CPU down: systemd leaves it out until a unit asks.
    fn hands_cpu_down(&self, folder: &Path) -> bool {
        let own = Memberships::read(&self.root).folders(Controller::Unified).unwrap_or_default();
        let above = own.iter().rev().filter(|above| folder.starts_with(above));
        above.fold(false, |_, above| delegation::hand_down(above, "cpu").is_ok())
    }

    /// The root that kernel files are read below.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A new group with this budget, where we make them ourselves.
    pub(super) fn group(&self, budget: &Budget) -> Result<Option<Group>> {
        let Rung::Cgroup { version, memory, cpu, .. } = &self.rung else { return Ok(None) };
        Group::create(*version, memory, cpu.as_deref(), &unused_name(&self.root), budget).map(Some)
    }

    /// `command` inside a scope with this budget, and the scope's name, where systemd makes it.
    pub(super) fn scoped(&self, command: &Command, budget: &Budget) -> Option<(Command, String)> {
        let Rung::Scope { user } = self.rung else { return None };
        let name = unused_name(&self.root);
        let scoped = scope::inside(command, user, &name, budget);
        Some((scoped, name))
    }

    /// A cgroup whose children may have limits: one that hands the memory controller down already, or one that can be made to; nearest first.
    fn v2(&self) -> Result<Rung> {
        let own = Memberships::read(&self.root).folders(Controller::Unified).unwrap_or_default();
        let mount = own.last().context("no cgroup v2 hierarchy is mounted")?;
        if !delegation::has(mount, "memory") {
            bail!("its hierarchy has no memory controller");
        }
        let mut reason = anyhow!("no cgroup above this process hands the memory controller down");
        let (ready, others): (Vec<_>, Vec<_>) = own.iter().partition(|folder| delegation::hands_down(folder, "memory"));
        for parent in ready {
            match self.try_group(Version::V2, parent, None) {
                Ok(rung) => return Ok(rung),
                Err(error) => reason = error,
            }
        }
        // On a machine that nobody has set up not even the root hands its controllers down, and a delegated cgroup does not at first.
        for parent in others.into_iter().filter(|folder| delegation::has(folder, "memory")) {
            let handed = match delegation::hand_down(parent, "memory") {
                Ok(()) => Ok(None),
                Err(error) if is_busy(&error) => Aside::step(&self.root, parent).map(Some),
                Err(error) => Err(error),
            };
            match handed.and_then(|aside| Ok((self.try_group(Version::V2, parent, None)?, aside))) {
                Ok((Rung::Cgroup { version, memory, cpu, .. }, aside)) => {
                    return Ok(Rung::Cgroup { version, memory, cpu, _aside: aside.map(Arc::new) });
                }
                Ok((rung, _)) => return Ok(rung),
                Err(error) => reason = error,
            }
        }
        Err(reason)
    }

    fn v1(&self) -> Result<Rung> {
        let own = Memberships::read(&self.root);
        let folders = own.folders(Controller::Memory).context("no cgroup v1 memory hierarchy is mounted")?;
        let cpu = own.folders(Controller::Cpu).unwrap_or_default();
        let cpu = cpu.into_iter().find(|folder| self.try_folder(folder).is_ok());
        let mut reason = anyhow::anyhow!("its hierarchy cannot be seen");
        for parent in folders {
            match self.try_group(Version::V1, &parent, cpu.clone()) {
                Ok(rung) => return Ok(rung),
                Err(error) => reason = error,
            }
        }
        Err(reason)
    }

    /// Makes a group that a process of ours could join, and removes it again.
    fn try_group(&self, version: Version, memory: &Path, cpu: Option<PathBuf>) -> Result<Rung> {
        sweep(&self.root, memory);
        let budget = Budget { memory: Some(crate::units::Bytes::mb(64)), cpus: None };
        let group = Group::create(version, memory, None, &unused_name(&self.root), &budget)?;
        group.doors()?;
        group.total()?;
        join(&group).context("a process cannot be moved into a cgroup")?;
        Ok(Rung::Cgroup { version, memory: memory.to_owned(), cpu, _aside: None })
    }

    fn try_folder(&self, parent: &Path) -> Result<()> {
        sweep(&self.root, parent);
        let folder = parent.join(unused_name(&self.root));
        fs::create_dir(&folder)?;
        Ok(fs::remove_dir(&folder)?)
    }
}

/// `EBUSY`: the cgroup holds processes itself.
fn is_busy(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
}

/// Whether a process that is moved at its start runs at all: a child that does nothing.
#[cfg(unix)]
fn join(group: &Group) -> Result<()> {
    let mut command = Command::new("true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    super::sandbox::enter(&mut command, group.doors()?);
    command.status().map(|_| ()).or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e.into()) })
}

#[cfg(not(unix))]
fn join(_group: &Group) -> Result<()> {
    bail!("cgroups are Linux's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::tree;

    #[test]
    fn without_cgroups_there_is_the_watchdog_and_a_reason_for_each_stronger_way() {
        let root = tree(&[("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/cgroup.controllers", "cpu io\n")]);
        let ladder = Ladder::climb(root.path(), None).expect("a watchdog always works");
        assert_eq!(ladder.mechanism(), Mechanism::Watchdog);
        assert_eq!(ladder.passed_over.len(), 3, "{:?}", ladder.passed_over);
        assert!(!ladder.limits_cpu());
        assert!(ladder.passed_over[0].contains("no memory controller"), "{:?}", ladder.passed_over);
    }

    #[test]
    fn a_wanted_way_that_does_not_work_is_an_error_that_says_why() {
        let root = tree(&[]);
        for (wanted, reason) in [(Mechanism::CgroupV2, "no cgroup v2"), (Mechanism::CgroupV1, "no cgroup v1")] {
            let error = format!("{:#}", Ladder::climb(root.path(), Some(wanted)).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn the_cpu_is_handed_down_from_the_top_to_where_groups_are_made() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/cgroup.subtree_control", "memory\n"),
            ("sys/fs/cgroup/a/cgroup.subtree_control", "memory\n"),
            ("sys/fs/cgroup/a/b/cgroup.subtree_control", ""),
        ]);
        let folder = root.path().join("sys/fs/cgroup");
        let rung = Rung::Cgroup { version: Version::V2, memory: folder.join("a"), cpu: None, _aside: None };
        let ladder = Ladder { root: root.path().to_owned(), rung, passed_over: Vec::new() };
        assert!(ladder.limits_cpu());
        let told =
            ["", "a", "a/b"].map(|name| fs::read_to_string(folder.join(name).join("cgroup.subtree_control")).unwrap());
        assert_eq!(told, ["+cpu", "+cpu", ""]);
    }
}
