//! Processes whose system calls the kernel watches (seccomp(2)): one that opens an internet socket, or connects to anybody, is ended, and one may
//! be denied a call that other systems do not have.
use std::process::Command;

/// What a process may not do.
#[derive(Clone, Copy, Debug)]
enum Forbidden {
    Internet,
    Connections,
    Exchange,
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod filter {
    use super::{Command, Forbidden};
    use libc::{
        BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog,
    };
    use std::io;
    use std::os::unix::process::CommandExt;

    /// `AUDIT_ARCH_*` (linux/audit.h): the calling convention that the numbers of the system calls belong to.
    const ARCH: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    /// Numbers from here on are the other convention of `x86_64`, x32.
    const X32: u32 = 0x4000_0000;
    /// Places in `struct seccomp_data`; an argument takes 8 bytes, the lower half first.
    const NUMBER_AT: u32 = 0;
    const ARCH_AT: u32 = 4;
    const FIRST_ARGUMENT_AT: u32 = 16;

    const fn load(at: u32) -> sock_filter {
        sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: at }
    }

    /// Keeps some bits of what was loaded.
    const fn mask(bits: u32) -> sock_filter {
        sock_filter { code: (BPF_ALU | BPF_AND | BPF_K) as u16, jt: 0, jf: 0, k: bits }
    }

    /// Skips `yes` or `no` instructions.
    const fn jump(test: u32, value: u32, yes: u8, no: u8) -> sock_filter {
        sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt: yes, jf: no, k: value }
    }

    const fn answer(action: u32) -> sock_filter {
        sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: action }
    }

    /// Ends the process at `socket` of an internet family, and at `io_uring_setup`, behind which no filter sees.
    static INTERNET: [sock_filter; 11] = [
        load(ARCH_AT),
        jump(BPF_JEQ, ARCH, 0, 7),
        load(NUMBER_AT),
        jump(BPF_JGE, X32, 5, 0),
        jump(BPF_JEQ, libc::SYS_io_uring_setup as u32, 4, 0),
        jump(BPF_JEQ, libc::SYS_socket as u32, 0, 4),
        load(FIRST_ARGUMENT_AT),
        jump(BPF_JEQ, libc::AF_INET as u32, 1, 0),
        jump(BPF_JEQ, libc::AF_INET6 as u32, 0, 1),
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        answer(libc::SECCOMP_RET_ALLOW),
    ];

    /// The kind of a `socket`, its second argument: the lower bits, flags are above them (`SOCK_TYPE_MASK`, linux/net.h).
    const KIND_AT: u32 = FIRST_ARGUMENT_AT + 8;
    const KIND: u32 = 0xf;

    /// Ends the process at any `connect`, at `socket` of an internet family that is no stream, which needs none to send, and at `io_uring_setup`.
    static CONNECTIONS: [sock_filter; 15] = [
        load(ARCH_AT),
        jump(BPF_JEQ, ARCH, 0, 11),
        load(NUMBER_AT),
        jump(BPF_JGE, X32, 9, 0),
        jump(BPF_JEQ, libc::SYS_io_uring_setup as u32, 8, 0),
        jump(BPF_JEQ, libc::SYS_connect as u32, 7, 0),
        jump(BPF_JEQ, libc::SYS_socket as u32, 0, 7),
        load(FIRST_ARGUMENT_AT),
        jump(BPF_JEQ, libc::AF_INET as u32, 1, 0),
        jump(BPF_JEQ, libc::AF_INET6 as u32, 0, 4),
        load(KIND_AT),
        mask(KIND),
        jump(BPF_JEQ, libc::SOCK_STREAM as u32, 1, 0),
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        answer(libc::SECCOMP_RET_ALLOW),
    ];

    /// The flags of `renameat2`, its fifth argument.
    const FLAGS_AT: u32 = FIRST_ARGUMENT_AT + 4 * 8;

    /// `renameat2` with any flag does not exist (`ENOSYS`), as on a kernel before 3.15.
    static EXCHANGE: [sock_filter; 8] = [
        load(ARCH_AT),
        jump(BPF_JEQ, ARCH, 0, 5),
        load(NUMBER_AT),
        jump(BPF_JEQ, libc::SYS_renameat2 as u32, 0, 3),
        load(FLAGS_AT),
        jump(BPF_JEQ, 0, 1, 0),
        answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];

    pub(super) fn watch(command: &mut Command, forbidden: Forbidden) -> bool {
        let filter: &'static [sock_filter] = match forbidden {
            Forbidden::Internet => &INTERNET,
            Forbidden::Connections => &CONNECTIONS,
            Forbidden::Exchange => &EXCHANGE,
        };
        // SAFETY: prctl is async-signal-safe, and the filter is a constant that the kernel copies.
        unsafe { command.pre_exec(move || install(filter)) };
        true
    }

    fn install(filter: &'static [sock_filter]) -> io::Result<()> {
        let program = sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: the arguments are those of prctl(2); the program is read before the call returns and never written.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod filter {
    pub(super) fn watch(_: &mut super::Command, _: super::Forbidden) -> bool {
        false
    }
}

/// Ends the process with `SIGSYS` when it or a child of it opens an IPv4 or IPv6 socket. False, and a line that says why, where the system
/// has no such means.
#[must_use]
pub fn forbid_internet(command: &mut Command) -> bool {
    filter::watch(command, Forbidden::Internet) || skipped()
}

/// Ends the process with `SIGSYS` when it or a child of it connects to anybody, or opens an internet socket other than for TCP: it may listen.
/// False, and a line that says why, where the system has no such means.
#[must_use]
pub fn forbid_connections(command: &mut Command) -> bool {
    filter::watch(command, Forbidden::Connections) || skipped()
}

/// The kernel knows no exchange of two folders in one step, as other systems and some file systems do not. False where nothing can be denied.
#[must_use]
pub fn forbid_exchange(command: &mut Command) -> bool {
    filter::watch(command, Forbidden::Exchange)
}

#[allow(clippy::print_stderr)]
fn skipped() -> bool {
    eprintln!("skipped: system calls are watched on Linux only, on x86_64 and aarch64");
    false
}
