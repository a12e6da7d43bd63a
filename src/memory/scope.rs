//! A scope that systemd makes for a command and limits (systemd-run(1), systemd.resource-control(5)).
use super::group::Budget;
use super::sweep::is_abandoned;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// Asks systemd for a scope: the system's manager as root, otherwise the user's, which `true` stands for. What earlier runs have left is ended.
///
/// # Errors
/// When it makes none for us: why is said.
pub fn probe(root: &Path) -> Result<bool> {
    // SAFETY: geteuid takes nothing and cannot fail.
    #[cfg(unix)]
    let user = unsafe { libc::geteuid() } != 0;
    #[cfg(not(unix))]
    let user = true;
    if !root.join("run/systemd/system").is_dir() {
        bail!("systemd does not run this machine"); // sd_booted(3)
    }
    let mut command = to("systemd-run", user);
    command.args(["--scope", "--quiet", "--collect", "-p", "MemoryMax=64M", "--", "true"]);
    let output = command.stdin(Stdio::null()).output().context("`systemd-run` cannot be started")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`systemd-run` refuses: {}", said.lines().next().unwrap_or("it does not say why"));
    }
    sweep(root, user);
    Ok(user)
}

/// `command` inside a scope called `name` with this budget.
pub fn inside(command: &Command, user: bool, name: &str, budget: &Budget) -> Command {
    let mut scoped = to("systemd-run", user);
    scoped.args(["--scope", "--quiet", "--collect", "--unit", name, "-p", "MemorySwapMax=0"]);
    if let Some(bytes) = budget.memory {
        scoped.arg("-p").arg(format!("MemoryMax={}", bytes.0));
    }
    if let Some(cpus) = budget.cpus {
        scoped.arg("-p").arg(format!("CPUQuota={:.0}%", (cpus * 100.0).max(1.0)));
    }
    scoped.arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => scoped.env(name, value),
            None => scoped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        scoped.current_dir(folder);
    }
    scoped
}

/// Ends the scopes of processes that no longer live: a killed run's child ends with it, but not what that has started.
fn sweep(root: &Path, user: bool) {
    let mut list = to("systemctl", user);
    list.args(["list-units", "--type=scope", "--plain", "--no-legend", "dermai-*"]);
    let Ok(output) = list.stdin(Stdio::null()).output() else { return };
    for unit in abandoned(root, &String::from_utf8_lossy(&output.stdout)) {
        let mut kill = to("systemctl", user);
        kill.args(["kill", "--signal=SIGKILL", unit]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = kill.status();
    }
}

/// Those of `systemctl list-units` that nobody owns any more.
fn abandoned<'t>(root: &Path, list: &'t str) -> Vec<&'t str> {
    let units = list.lines().filter_map(|line| line.split_whitespace().next());
    units.filter(|unit| unit.strip_suffix(".scope").is_some_and(|name| is_abandoned(root, name))).collect()
}

fn to(program: &str, user: bool) -> Command {
    let mut command = Command::new(program);
    if user {
        command.arg("--user");
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::tree;
    use crate::units::Bytes;

    #[test]
    fn the_budget_is_told_as_properties_before_the_command() {
        let mut command = Command::new("program");
        command.arg("-p").env("A", "b").current_dir("/");
        let budget = Budget { memory: Some(Bytes(1000)), cpus: Some(0.1) };
        let scoped = inside(&command, true, "dermai-1-2-3-4", &budget);
        let words: Vec<_> = scoped.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(
            words.join(" "),
            "--user --scope --quiet --collect --unit dermai-1-2-3-4 -p MemorySwapMax=0 -p MemoryMax=1000 -p CPUQuota=10% -- program -p"
        );
        assert_eq!((scoped.get_envs().count(), scoped.get_current_dir()), (1, Some(Path::new("/"))));
    }

    #[test]
    fn only_scopes_of_dead_processes_are_ended() {
        let root = tree(&[("proc/7/stat", "7 (x) R 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 1 1")]);
        let list = "\
dermai-0-7-500-0.scope loaded active running [systemd-run] sh
dermai-0-7-499-2.scope loaded active running x
dermai-0-8-1-0.scope   loaded active abandoned x
dermai-own.scope       loaded active running x
";
        assert_eq!(abandoned(root.path(), list), ["dermai-0-7-499-2.scope", "dermai-0-8-1-0.scope"]);
    }
}
