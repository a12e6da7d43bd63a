//! When glibc's malloc gives freed memory back to the kernel (mallopt(3)); other allocators are left as they are.

/// What the process is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Creating a session: large blocks are freed for good, so each one is mapped on its own and unmapped when freed.
    Loading,
    /// Answering: blocks of a few MB come and go with every picture, and mapping them anew each time costs 3 to 6 % of the time.
    Running,
}

/// Sets malloc up for `phase`. Without it the threshold for mapping rises with the first large block that is freed, up to 32 MB, and
/// whatever is freed below it stays in the process: 30 MB of EfficientNetV2S's 80.
pub fn tune_malloc(phase: Phase) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let (map_from, keep) = match phase {
            Phase::Loading => (128 << 10, 128 << 10),
            Phase::Running => (4 << 20, 4 << 20),
        };
        // SAFETY: mallopt takes two integers and locks malloc's state itself; a refused value changes nothing.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, map_from);
            libc::mallopt(libc::M_TRIM_THRESHOLD, keep);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = phase;
}
