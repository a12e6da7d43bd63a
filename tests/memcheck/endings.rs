//! How a command ends: by itself while it is driven, never, with daemons that go on, or by a limit that is not the budget.
use super::{mb, stages};
use crate::support::program::{Outcome, memcheck_in};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use tempfile::TempDir;

/// Runs a shell script in a folder of its own.
fn script(folder: &TempDir, more: &[&str], text: &str) -> Outcome {
    let usual = ["--budget", "512MB", "--json", "-q"];
    memcheck_in(folder.path(), usual.iter().chain(more).chain(&["--", "sh", "-c", text])).run()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Where nobody listens.
fn nowhere() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}/predict")
}

const WAYS: [&[&str]; 2] = [&[], &["--enforce", "watchdog"]];

#[test]
fn a_server_that_goes_by_itself_or_never_listens_is_no_fit() {
    for (text, timeout, ended) in [("true", "60", "exited"), ("sleep 600", "1", "timed_out")] {
        let report = script(&folder(), &["--http", &nowhere(), "--timeout", timeout], text).exits(1).json();
        assert_eq!(report["outcome"]["ended"], ended, "{text}");
        assert_eq!((&report["outcome"]["survived"], &report["verdict"]["fits"]), (&false.into(), &false.into()));
        assert_eq!(stages(&report), ["start until it answers"]);
    }
}

#[test]
fn a_daemon_that_goes_on_writing_ends_with_the_check() {
    for way in WAYS {
        let folder = folder();
        // It lives until it is killed: nobody else ends it.
        let daemon = "setsid sh -c 'echo $$ > daemon; while :; do echo x; sleep 0.01; done' & ";
        let text = format!("{daemon} while ! test -s daemon; do :; done");
        script(&folder, way, &text).exits(0);
        let pid = fs::read_to_string(folder.path().join("daemon")).unwrap();
        // One that has ended runs no program, though nobody may have asked how it ended.
        assert!(fs::read_link(format!("/proc/{}/exe", pid.trim())).is_err(), "{way:?}: {pid}");
    }
}

#[test]
fn memory_of_a_daemon_counts() {
    for way in WAYS {
        let daemon = "dd if=/dev/zero of=/dev/null bs=64M count=40 2>/dev/null; echo > done";
        let text = format!("rm -f done; mkfifo done; (setsid sh -c '{daemon}' &); read x < done");
        let report = script(&folder(), way, &text).exits(0).json();
        assert!(mb(&report["verdict"]["peak_bytes"]) > 64.0, "{way:?}: {report}");
    }
}

/// As the overlay of a request, which is written before it is sent.
#[test]
fn pages_of_a_file_that_has_no_name_count() {
    for way in WAYS {
        let text = "exec 3<>paper; rm paper; head -c 48000000 /dev/zero >&3; sleep 0.3";
        // Beside the program, because a temporary folder may lie in memory.
        let beside = Path::new(env!("CARGO_BIN_EXE_dermai")).parent().unwrap();
        let folder = tempfile::tempdir_in(beside).unwrap();
        let report = script(&folder, way, text).exits(0).json();
        assert!((46.0..60.0).contains(&mb(&report["verdict"]["peak_bytes"])), "{way:?}: {report}");
    }
}

#[test]
fn what_writes_does_not_hang() {
    let text = "for i in 1 2 3; do echo $i; sleep 1; done";
    script(&folder(), &["--runs", "1", "--timeout", "2"], text).exits(0);
    let report = script(&folder(), &["--runs", "1", "--timeout", "2"], "echo 1; sleep 600").exits(1).json();
    assert_eq!(report["outcome"]["ended"], "timed_out");
}

#[test]
fn a_flood_of_lines_does_not_fill_memory() {
    let folder = folder();
    // 400 MB in lines of 50,000 bytes; a quarter of that may be in memory.
    let text = "yes \"$(head -c 50000 /dev/zero | tr '\\0' x)\" | head -n 8000";
    let usual = ["--budget", "512MB", "-q", "--json", "--runs", "1", "--", "sh", "-c", text];
    memcheck_in(folder.path(), usual).within(100 << 20).run().exits(0);
}

/// A group of ours in the hierarchy that counts memory, with a limit; none where this process may not make one.
struct Around(std::path::PathBuf);

impl Around {
    fn of(bytes: u64) -> Option<Self> {
        let folder = Path::new("/sys/fs/cgroup/memory").join(format!("around-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let around = Self(folder);
        fs::write(around.0.join("memory.limit_in_bytes"), bytes.to_string()).ok()?;
        Some(around)
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_limit_from_around_that_kills_is_named() {
    let Some(around) = Around::of(200 << 20) else {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: no cgroup v1 can be made here");
        }
        return;
    };
    let folder = folder();
    let hog = "dd if=/dev/zero of=/dev/null bs=400M count=1";
    // A shell joins the group and becomes the program.
    let program = memcheck_in(folder.path(), ["--budget", "512MB", "--", "sh", "-c", hog]);
    let outcome = program.inside(&around.0.join("cgroup.procs")).run().exits(2);
    assert!(outcome.stderr.contains("200 MB") && outcome.stderr.contains("larger container"), "{}", outcome.text());
}
