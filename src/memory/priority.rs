//! Which thread runs first, and which process the kernel ends first, when there is too little for all.

/// Of this thread: work gives way to whoever answers health checks (setpriority(2); on Linux it is one of a thread, and lowering it is always allowed).
pub fn lower_priority() {
    const NICE: i32 = 5;
    #[cfg(target_os = "linux")]
    // SAFETY: takes integers; 0 is the calling thread, and a refusal leaves it as it was.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = NICE;
}

/// This process is ended before others of its cgroup when memory runs out (`proc_pid_oom_score_adj(5)`): raising it is always allowed.
pub fn be_killed_first() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}
