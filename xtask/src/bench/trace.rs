//! Linux: a traced child, so that its `VmHWM` can be read at its very end (ptrace(2), `PTRACE_O_TRACEEXIT`).

use std::fs;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};
use std::ptr::{null_mut, without_provenance_mut};

use libc::{c_int, c_uint, pid_t};

/// The child stops at `exec` and at its exit, and does not outlive us.
const OPTIONS: c_int = libc::PTRACE_O_TRACEEXIT | libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;

/// Runs `command` to its end; gives its status and its peak in bytes. Where tracing is forbidden there is no peak.
pub fn run(command: &mut Command) -> io::Result<(ExitStatus, Option<u64>)> {
    // SAFETY: between fork and exec only one system call is made, which is async-signal-safe. Its refusal (a seccomp
    // filter, a tracer above us) is not looked at: the child then runs untraced.
    unsafe {
        command.pre_exec(|| {
            libc::ptrace(libc::PTRACE_TRACEME, 0, null_mut::<u8>(), null_mut::<u8>());
            Ok(())
        });
    }
    #[allow(clippy::zombie_processes, reason = "`wait` below reaps it, by its id")]
    let child = command.spawn()?;
    let pid = child.id().cast_signed();
    let (mut peak, mut set_up) = (None, false);
    loop {
        let status = wait(pid)?;
        if !libc::WIFSTOPPED(status) {
            return Ok((ExitStatus::from_raw(status), peak));
        }
        let signal = match (status >> 16, libc::WSTOPSIG(status)) {
            // The first stop is the exec's own.
            (0, libc::SIGTRAP) if !set_up => {
                request(libc::PTRACE_SETOPTIONS, pid, OPTIONS)?;
                set_up = true;
                0
            }
            (0, signal) => signal,
            (libc::PTRACE_EVENT_EXIT, _) => {
                peak = high_water_mark(pid);
                0
            }
            _ => 0,
        };
        request(libc::PTRACE_CONT, pid, signal)?;
    }
}

/// Waits until the child stops or ends.
fn wait(pid: pid_t) -> io::Result<c_int> {
    let mut status = 0;
    loop {
        // SAFETY: the status is ours to write, and the child is ours to wait for.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid {
            return Ok(status);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Asks something of the stopped child. One that was killed meanwhile is no error: the next wait tells.
fn request(what: c_uint, pid: pid_t, data: c_int) -> io::Result<()> {
    // SAFETY: these requests read no memory of ours; `data` is a number in a pointer's place, as ptrace(2) has it.
    let done = unsafe { libc::ptrace(what, pid, null_mut::<u8>(), without_provenance_mut::<u8>(data as usize)) };
    let error = io::Error::last_os_error();
    if done == -1 && error.raw_os_error() != Some(libc::ESRCH) { Err(error) } else { Ok(()) }
}

/// The highest resident memory of a process so far, in bytes.
fn high_water_mark(pid: pid_t) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}
