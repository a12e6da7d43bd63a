//! Nothing is left behind: no cgroup and no temporary folder, however a check ends.
use super::memcheck;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Cgroups and temporary folders that bear the name of our processes.
fn left_behind() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup"), std::env::temp_dir(), program_folder()];
    let mut depth = 0;
    while !folders.is_empty() && depth < 5 {
        let entries: Vec<_> = folders.iter().filter_map(|f| fs::read_dir(f).ok()).flatten().flatten().collect();
        folders = entries.iter().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(fs::DirEntry::path).collect();
        folders.retain(|folder| folder.starts_with("/sys/fs/cgroup") || depth == 0);
        found.extend(
            folders.iter().filter(|f| f.file_name().unwrap().to_string_lossy().starts_with("dermai-")).cloned(),
        );
        depth += 1;
    }
    found
}

fn program_folder() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_dermai")).parent().unwrap().to_owned()
}

/// Those of them that process `pid` made.
fn of(pid: u32) -> Vec<PathBuf> {
    left_behind().into_iter().filter(|f| f.to_string_lossy().contains(&format!("-{pid}-"))).collect()
}

/// Starts a check that goes on for minutes, and waits until its child runs.
fn started(more: &[&str]) -> std::process::Child {
    let mut program = memcheck(&[&["--budget", "512MB", "--requests", "60000"], more].concat());
    program.command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = program.command.spawn().unwrap();
    let begun = Instant::now();
    while children(child.id()).is_empty() || of(child.id()).is_empty() {
        assert!(begun.elapsed() < Duration::from_mins(1), "no child is started");
        std::thread::yield_now();
    }
    child
}

fn children(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default()
}

#[test]
fn an_interrupted_check_leaves_nothing_behind() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut child = started(&[]);
        let pid = child.id();
        // SAFETY: takes two integers.
        unsafe { libc::kill(pid as i32, signal) };
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(2), "{status}");
        assert_eq!(of(pid), Vec::<PathBuf>::new());
    }
}

#[test]
fn what_a_killed_check_leaves_is_swept_by_the_next() {
    let mut child = started(&[]);
    let pid = child.id();
    let measured: Vec<i32> = children(pid).split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    // The measured child dies with its parent; the kernel tells when.
    let begun = Instant::now();
    while measured.iter().any(|pid| is_running(*pid)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{measured:?} lives on");
        std::thread::yield_now();
    }
    memcheck(&["--budget", "512MB", "--requests", "0", "--one-at-a-time"]).run().exits(0);
    assert_eq!(of(pid), Vec::<PathBuf>::new());
}

/// Whether a process runs; one that nobody has waited for does not.
fn is_running(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
