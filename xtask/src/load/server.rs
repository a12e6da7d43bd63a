//! A server as a child: started in a cgroup or in none, its address by its log, and what it has used.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::http::{Connection, head};
use crate::bench::outside::{Cgroups, Group};
use crate::workspace;

/// A server takes requests within this time, the measurement of what a request takes included.
const START: Duration = Duration::from_secs(90);
/// How often it is asked whether it does.
const AGAIN: Duration = Duration::from_millis(20);

/// A server that runs; it ends with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Requests that it works on at once.
    pub workers: usize,
    log: Arc<Log>,
    follower: Option<JoinHandle<()>>,
    group: Option<Group>,
}

/// What a server is held to.
#[derive(Debug)]
pub struct Limit {
    /// Where limits are made.
    pub cgroups: Cgroups,
    /// Page cache included.
    pub bytes: u64,
}

/// What it says on standard error.
#[derive(Debug, Default)]
struct Log {
    last: Mutex<String>,
    /// Pictures that it began to answer.
    answered: AtomicU64,
}

/// A line of the log, as far as it matters.
#[derive(Deserialize)]
struct Line {
    message: String,
    address: Option<SocketAddr>,
    route: Option<String>,
}

#[derive(Deserialize)]
struct Ready {
    workers: usize,
}

impl Server {
    /// Starts it, under a limit if there is one, and waits until it takes requests.
    pub fn start(command: &Command, limit: Option<&Limit>) -> Result<Self> {
        let group = limit.map(|limit| limit.cgroups.group(Some(limit.bytes))).transpose()?;
        let mut joined = group.as_ref().map_or_else(|| plain(command), |group| group.joining(command));
        joined.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let line = workspace::typed(command);
        let mut child = joined.spawn().with_context(|| format!("cannot run `{line}`"))?;
        let log = Arc::new(Log::default());
        let (to, addresses) = channel();
        let follower = child.stderr.take().map(|pipe| {
            let log = Arc::clone(&log);
            thread::spawn(move || log.follow(pipe, &to))
        });
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into(), workers: 0, log, follower, group };
        // The sender is dropped when the process ends.
        server.address = addresses.recv_timeout(START).map_err(|_| server.failure(&line))?;
        server.wait_until_ready(&line)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, line: &str) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < START {
            if let Some(ready) = get(self.address, "/ready") {
                let ready: Ready = serde_json::from_slice(&ready).context("`/ready` gave another format")?;
                self.workers = ready.workers;
                return Ok(());
            }
            if self.ended().is_some() {
                return Err(self.failure(line));
            }
            thread::sleep(AGAIN);
        }
        bail!("`{line}` was not ready in time: {}", self.log.last())
    }

    fn failure(&mut self, line: &str) -> anyhow::Error {
        let how = self.child.try_wait().ok().flatten();
        if how.is_some() {
            self.hear_out();
        }
        let how = how.map_or("does not listen".into(), |how| format!("ended: {how}"));
        let kills = self.killed();
        anyhow::anyhow!("`{line}` {how} ({kills} processes killed for memory): {}", self.log.last())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processes of its group that were killed for memory.
    pub fn killed(&self) -> u64 {
        self.group.as_ref().and_then(|group| group.killed().ok()).unwrap_or_default()
    }

    /// The highest charge of its group in bytes.
    pub fn charged(&self) -> Option<u64> {
        self.group.as_ref()?.peak().ok()
    }

    /// The highest resident memory of its process in bytes.
    pub fn peak(&self) -> Option<u64> {
        kilobytes(self.id(), "status", "VmHWM")
    }

    /// Waits for the last words of a server that has ended.
    fn hear_out(&mut self) {
        if let Some(follower) = self.follower.take() {
            let _ = follower.join(); // it does not panic
        }
    }

    /// Pictures that it began to answer, by its log, once it has ended.
    pub fn answered(&mut self) -> u64 {
        self.hear_out();
        self.log.answered.load(Ordering::Relaxed)
    }

    /// The last line of its log.
    pub fn said(&self) -> String {
        self.log.last()
    }

    /// Tells it to end.
    pub fn terminate(&self) {
        #[cfg(unix)]
        // SAFETY: takes integers. The child was not waited for, so the number is still its own.
        unsafe {
            libc::kill(self.id() as i32, libc::SIGTERM);
        }
    }

    /// Waits for its end, but no longer than this.
    pub fn wait(&mut self, longest: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.ended() {
                None if begun.elapsed() < longest => thread::sleep(AGAIN),
                ended => return ended,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

impl Log {
    fn follow(&self, pipe: ChildStderr, addresses: &Sender<SocketAddr>) {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(Line { message, route, .. }) if message == "request" => {
                    self.answered.fetch_add(u64::from(route.as_deref() == Some("/predict")), Ordering::Relaxed);
                    continue;
                }
                Ok(Line { address: Some(address), message, .. }) if message == "listening" => {
                    let _ = addresses.send(address); // nobody waits for a second one
                }
                _ => {}
            }
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = line;
        }
    }

    fn last(&self) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_empty() { "no word of explanation".to_owned() } else { last.clone() }
    }
}

/// A command can be spawned only by who owns it.
fn plain(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        copy.current_dir(folder);
    }
    copy
}

/// The body of an answer with status 200.
fn get(address: SocketAddr, path: &str) -> Option<Vec<u8>> {
    let reply = Connection::open(address).ok()?.ask(&head("GET", path, &[], 0), &[]).ok()?;
    (reply.status == 200).then_some(reply.body)
}

/// Resident memory of a process in bytes, page by page (`VmRSS` lags behind by some).
pub fn resident(id: u32) -> Option<u64> {
    kilobytes(id, "smaps_rollup", "Rss").or_else(|| kilobytes(id, "status", "VmRSS"))
}

fn kilobytes(id: u32, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_peak_and_less_now() {
        let id = std::process::id();
        let peak = kilobytes(id, "status", "VmHWM").unwrap();
        let now = resident(id).unwrap();
        assert!(now > 1 << 20 && peak > 1 << 20, "{now} {peak}");
        assert_eq!(kilobytes(id, "status", "VmNothing"), None);
    }

    #[test]
    fn a_server_that_does_not_start_says_why() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'no port' >&2; exit 3"]);
        let error = Server::start(&command, None).unwrap_err().to_string();
        assert!(error.contains("no port"), "{error}");
    }
}
