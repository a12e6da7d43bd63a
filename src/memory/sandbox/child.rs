//! The child itself: started inside its budget, heard line by line, ended with everything that it started.
use super::meter::{MARK, Meter};
use super::{Ended, Event, Plan};
use crate::memory::process::{adopt_orphans, kill};
use crate::memory::sweep::unused_name;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread;

/// Longest line that is heard in one piece.
const LINE: u64 = 64 << 10;

/// A started child.
pub struct Child {
    inner: process::Child,
    input: Option<ChildStdin>,
}

impl Child {
    /// Starts `command` inside the plan's budget; its lines come as events.
    pub fn start(plan: &Plan<'_>, mut command: Command, tell: &SyncSender<Event>) -> Result<(Self, Meter)> {
        let group = plan.ladder.group(&plan.budget)?;
        let mut scope = None;
        if let Some((scoped, name)) = plan.ladder.scoped(&command, &plan.budget) {
            (command, scope) = (scoped, Some(name));
        }
        let doors = group.as_ref().map(super::super::group::Group::doors).transpose()?.unwrap_or_default();
        enter(&mut command, doors);
        command.stdin(if plan.acknowledged { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let before = Meter::before(plan);
        if group.is_none() {
            adopt_orphans();
        }
        let mark = unused_name(plan.ladder.root());
        command.env(MARK, &mark);
        let mut inner = command
            .spawn()
            .with_context(|| format!("`{}` cannot be started", command.get_program().to_string_lossy()))?;
        let (out, error) = (inner.stdout.take(), inner.stderr.take());
        if let Some(out) = out {
            listen(out, tell.clone(), Event::Out)?;
        }
        if let Some(error) = error {
            listen(error, tell.clone(), Event::Error)?;
        }
        let meter = Meter::new(plan, inner.id(), mark, before, group, scope.as_deref());
        let input = inner.stdin.take();
        Ok((Self { inner, input }, meter))
    }

    /// Lets it go on. A child that has ended does not hear it, and how it ended is seen elsewhere.
    pub fn acknowledge(&mut self) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(b"\n").and_then(|()| input.flush());
        }
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Result<Option<Ended>> {
        let status = self.inner.try_wait().context("the child cannot be waited for")?;
        Ok(status.map(|status| match status.code() {
            Some(code) => Ended::Exited(code),
            None => Ended::Crashed(signal(status)),
        }))
    }

    /// Ends it and its process group.
    pub fn end(&mut self) {
        kill(-(self.inner.id() as i32));
        let _ = self.inner.kill();
        let _ = self.inner.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(unix)]
fn signal(status: process::ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default()
}

#[cfg(not(unix))]
fn signal(_status: process::ExitStatus) -> i32 {
    0
}

/// Tells each line of `stream`, its end and wrong UTF-8 replaced; ends with the stream.
fn listen(stream: impl Read + Send + 'static, tell: SyncSender<Event>, event: fn(String) -> Event) -> Result<()> {
    let listen = move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            match stream.by_ref().take(LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                    if tell.send(event(text)).is_err() {
                        return;
                    }
                }
            }
        }
    };
    thread::Builder::new().name("listen".into()).spawn(listen).context("a thread cannot be started")?;
    Ok(())
}

/// Makes a command enter cgroups before it runs, lead a process group of its own, and die with the thread that starts it.
#[cfg(unix)]
pub fn enter(command: &mut Command, doors: Vec<File>) {
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    let prepare = move || {
        for door in &doors {
            // SAFETY: write(2) is async-signal-safe; the descriptor is open and the buffer is static. `0` is the writing process.
            if unsafe { libc::write(door.as_raw_fd(), c"0".as_ptr().cast(), 1) } != 1 {
                return Err(std::io::Error::last_os_error());
            }
        }
        #[cfg(target_os = "linux")]
        // SAFETY: prctl takes integers.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made, and nothing is allocated.
    unsafe {
        command.pre_exec(prepare);
    }
}

#[cfg(not(unix))]
pub fn enter(_command: &mut Command, _doors: Vec<File>) {}
