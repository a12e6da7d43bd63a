//! A process that stops before each system call of its main thread (ptrace(2)), so that a test can act at that very place: end it there, or
//! replace what it is about to open.
#![cfg(target_os = "linux")]
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::{mem, ptr};

/// A process under observation; it ends with the thread that started it.
pub struct Traced {
    child: Child,
    memory: File,
    /// How it ended, once it has.
    status: Option<ExitStatus>,
}

/// A system call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub number: i64,
    arguments: [u64; 6],
}

impl Traced {
    /// Starts a process; none, and a line that says why, where the system refuses to have it observed.
    pub fn start(mut command: Command) -> Option<Self> {
        // SAFETY: ptrace is async-signal-safe; this request takes no argument.
        unsafe {
            command.pre_exec(|| {
                if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
            });
        }
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                #[allow(clippy::print_stderr)]
                {
                    eprintln!("skipped: a process cannot be observed here: {error}");
                }
                return None;
            }
        };
        let memory = File::open(format!("/proc/{}/mem", child.id())).expect("a process's memory");
        let mut traced = Self { child, memory, status: None };
        traced.wait(); // at its first instruction
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
        // SAFETY: the process is stopped and a child of this thread; the options are a number.
        let done = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, traced.pid(), 0, options) };
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
        Some(traced)
    }

    /// Runs to the next system call; none: the process has ended.
    pub fn next(&mut self) -> Option<Call> {
        let mut signal = 0;
        while self.status.is_none() {
            // SAFETY: the process is stopped; the signal is the one that it was stopped by, or none.
            unsafe { libc::ptrace(libc::PTRACE_SYSCALL, self.pid(), 0, signal) };
            let status = self.wait();
            signal = 0;
            if self.status.is_some() {
                break;
            }
            if libc::WSTOPSIG(status) != libc::SIGTRAP | 0x80 {
                signal = libc::WSTOPSIG(status);
                continue;
            }
            // SAFETY: the structure is plain numbers; the kernel writes at most its size.
            let info = unsafe {
                let mut info: libc::ptrace_syscall_info = mem::zeroed();
                let size = size_of_val(&info);
                libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, self.pid(), size, ptr::from_mut(&mut info));
                info
            };
            if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                // SAFETY: at an entry the kernel has filled this part.
                let entry = unsafe { info.u.entry };
                return Some(Call { number: entry.nr as i64, arguments: entry.args });
            }
        }
        None
    }

    /// Runs to its end.
    pub fn finish(mut self) -> ExitStatus {
        while self.next().is_some() {}
        self.status.expect("it has ended")
    }

    /// Ends it here and now (`SIGKILL`).
    pub fn kill(mut self) {
        self.child.kill().expect("a signal");
        while self.status.is_none() {
            self.wait();
        }
    }

    /// The path that a call is to open or examine, as programs written in Rust examine files.
    pub fn path(&self, call: Call) -> Option<String> {
        if ![libc::SYS_openat, libc::SYS_statx].contains(&call.number) {
            return None;
        }
        let place = call.arguments[1];
        let mut bytes = vec![0; libc::PATH_MAX as usize];
        let got = self.memory.read_at(&mut bytes, place).ok()?;
        let end = bytes[..got].iter().position(|byte| *byte == 0)?;
        String::from_utf8(bytes[..end].to_vec()).ok()
    }

    fn pid(&self) -> libc::pid_t {
        self.child.id() as libc::pid_t
    }

    fn wait(&mut self) -> libc::c_int {
        let mut status = 0;
        // SAFETY: waits for the child alone and writes its status.
        let pid = unsafe { libc::waitpid(self.pid(), &raw mut status, libc::__WALL) };
        assert!(pid > 0, "{}", io::Error::last_os_error());
        self.status = (!libc::WIFSTOPPED(status)).then(|| ExitStatus::from_raw(status));
        status
    }
}

impl Call {
    /// Whether it changes what lies on the disk.
    pub fn changes_files(self) -> bool {
        let creates = |flags: u64| flags & libc::O_CREAT as u64 != 0;
        match self.number {
            libc::SYS_openat => creates(self.arguments[2]),
            libc::SYS_write
            | libc::SYS_renameat2
            | libc::SYS_renameat
            | libc::SYS_unlinkat
            | libc::SYS_mkdirat
            | libc::SYS_fchmodat
            | libc::SYS_ftruncate
            | libc::SYS_fsync => true,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => creates(self.arguments[1]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_rename | libc::SYS_unlink | libc::SYS_mkdir | libc::SYS_rmdir | libc::SYS_chmod => true,
            _ => false,
        }
    }
}
