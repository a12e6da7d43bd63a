//! Processes whose system calls the kernel watches (seccomp(2)): one that opens an internet socket is ended, and one may be denied a call that
//! other systems do not have.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod filter {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog};
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

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

    /// Skips `yes` or `no` instructions.
    const fn jump(test: u32, value: u32, yes: u8, no: u8) -> sock_filter {
        sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt: yes, jf: no, k: value }
    }

    const fn answer(action: u32) -> sock_filter {
        sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: action }
    }

    /// Ends the process at `socket` of an internet family, and at `io_uring_setup`, behind which no filter sees.
    static FILTER: [sock_filter; 11] = [
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

    /// The flags of `renameat2`, its fifth argument.
    const FLAGS_AT: u32 = FIRST_ARGUMENT_AT + 4 * 8;

    /// `renameat2` with any flag does not exist (`ENOSYS`), as on a kernel before 3.15.
    static WITHOUT_EXCHANGE: [sock_filter; 8] = [
        load(ARCH_AT),
        jump(BPF_JEQ, ARCH, 0, 5),
        load(NUMBER_AT),
        jump(BPF_JEQ, libc::SYS_renameat2 as u32, 0, 3),
        load(FLAGS_AT),
        jump(BPF_JEQ, 0, 1, 0),
        answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];

    pub fn forbid_internet(command: &mut Command) {
        // SAFETY: prctl is async-signal-safe, and the filter is a constant that the kernel copies.
        unsafe { command.pre_exec(|| install(&FILTER)) };
    }

    pub fn forbid_exchange(command: &mut Command) {
        // SAFETY: as above.
        unsafe { command.pre_exec(|| install(&WITHOUT_EXCHANGE)) };
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

/// Ends the process with `SIGSYS` when it or a child of it opens an IPv4 or IPv6 socket. False, and a line that says why, where the system
/// has no such means.
#[must_use]
pub fn forbid_internet(command: &mut std::process::Command) -> bool {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        filter::forbid_internet(command);
        true
    }
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        let _ = command;
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: system calls are watched on Linux only, on x86_64 and aarch64");
        }
        false
    }
}

/// The kernel knows no exchange of two folders in one step, as other systems and some file systems do not. False where nothing can be denied.
#[must_use]
pub fn forbid_exchange(command: &mut std::process::Command) -> bool {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        filter::forbid_exchange(command);
        true
    }
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        let _ = command;
        false
    }
}
