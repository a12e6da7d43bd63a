//! Runs a package client as a child process, with a progress bar where someone watches.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::place::largest_file;
use crate::say::{megabytes, say, watched};

/// How often the bar looks at what has arrived.
const TICK: Duration = Duration::from_millis(100);

/// A download that a client does for us.
pub struct Download<'a> {
    /// What arrives and through whom.
    pub what: &'a str,
    /// How many bytes will arrive.
    pub bytes: u64,
    /// Folder for the client's passing files; what arrives can be seen to grow below it.
    pub workshop: &'a Path,
    /// Folders to look for the client in, as in `PATH`.
    pub search: &'a OsStr,
}

/// How a client ended.
pub enum End {
    /// With success.
    Arrived,
    /// There is no such client here.
    Absent,
    /// It ran and reported an error.
    Failed(Failure),
}

/// What a client said when it failed.
#[derive(Debug, PartialEq)]
pub struct Failure {
    /// The line that tells most.
    pub said: String,
    /// Whether it looks as if there were no network.
    pub offline: bool,
}

impl Download<'_> {
    /// Runs `command` with `arguments` to its end, with both its outputs in a file: there's nothing to drain.
    pub fn run(&self, command: &[&str], arguments: &[OsString]) -> Result<End> {
        let Some((program, first)) = command.split_first() else { return Ok(End::Absent) };
        let log = self.workshop.join("log");
        let failed = || format!("cannot write `{}`", log.display());
        let output = File::create(&log).with_context(failed)?;
        let mut child = Command::new(program);
        child.args(first).args(arguments).current_dir(self.workshop).env("PATH", self.search);
        for variable in ["TMPDIR", "TEMP", "TMP"] {
            child.env(variable, self.workshop);
        }
        child.stdin(Stdio::null()).stdout(output.try_clone().with_context(failed)?).stderr(output);
        let child = match child.spawn() {
            Ok(child) => child,
            Err(err) if is_absence(&err) => return Ok(End::Absent),
            Err(err) => return Err(err).with_context(|| format!("cannot run `{}`", command.join(" "))),
        };
        let status = self.watch(child).with_context(|| format!("cannot wait for `{}`", command.join(" ")))?;
        let said = fs::read(&log).unwrap_or_default();
        Ok(ended(status, &String::from_utf8_lossy(&said)))
    }

    /// Waits for the client, with a bar on a terminal and one line elsewhere.
    fn watch(&self, mut child: Child) -> io::Result<ExitStatus> {
        if !watched() {
            say(format_args!("fetching {} ({})", self.what, megabytes(self.bytes)));
            return child.wait();
        }
        let bar = bar(self.bytes, self.what);
        bar.tick();
        let (done, ended) = channel();
        thread::scope(|scope| {
            scope.spawn(move || done.send(child.wait()));
            let status = loop {
                match ended.recv_timeout(TICK) {
                    Err(RecvTimeoutError::Timeout) => bar.set_position(largest_file(self.workshop).min(self.bytes)),
                    Err(RecvTimeoutError::Disconnected) => break Err(io::Error::other("its watcher ended")),
                    Ok(status) => break status,
                }
            };
            bar.finish_and_clear();
            status
        })
    }
}

/// A bar that counts in the project's MB.
fn bar(bytes: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("fetching {msg} [{wide_bar}] {arrived} of {all}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("arrived", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&megabytes(state.pos()));
        })
        .with_key("all", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&megabytes(state.len().unwrap_or(0)));
        });
    ProgressBar::new(bytes).with_style(style).with_message(what.to_owned())
}

/// Whether a program can't be started because it isn't there: no such file, or one that may not be run.
fn is_absence(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory)
}

/// What an exit status and the output before it mean.
fn ended(status: ExitStatus, said: &str) -> End {
    // A Python without pip, a shim without a Python behind it, and Windows' stand-in for a missing Python.
    let absent = ["No module named pip", "Python was not found"];
    let nothing_behind = status.code() == Some(127);
    if status.success() {
        End::Arrived
    } else if nothing_behind || absent.iter().any(|text| said.contains(text)) {
        End::Absent
    } else {
        End::Failed(Failure::read(said))
    }
}

impl Failure {
    /// Finds the telling line: the last that reports an error, and of npm's the one with a reason.
    pub fn read(said: &str) -> Self {
        let signs =
            ["Failed to establish a new connection", "name resolution", "timed out", "unreachable", "EAI_AGAIN"];
        let codes = ["ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH"];
        let offline = signs.iter().chain(&codes).any(|sign| said.contains(sign));
        let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("complete log of"));
        let reason = lines().rfind(|line| line.contains("reason:"));
        let error = lines().rfind(|line| ["ERROR", "npm error", "npm ERR!"].iter().any(|sign| line.starts_with(sign)));
        let line = reason.or(error).or_else(|| lines().next_back()).unwrap_or("no word of explanation");
        Self { said: line.chars().take(300).collect(), offline }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn the_telling_line_is_found() {
        let cases = [
            (
                "WARNING: Failed to establish a new connection\nERROR: No matching distribution\n",
                "ERROR: No matching distribution",
                true,
            ),
            (
                "npm error code EAI_AGAIN\nnpm error request failed, reason: getaddrinfo\nnpm error A complete log of this run is there",
                "npm error request failed, reason: getaddrinfo",
                true,
            ),
            ("ERROR: no such option: --platform\n\n", "ERROR: no such option: --platform", false),
            ("Traceback\nMemoryError", "MemoryError", false),
            ("", "no word of explanation", false),
        ];
        for (said, line, offline) in cases {
            assert_eq!(Failure::read(said), Failure { said: line.into(), offline });
        }
    }
}
