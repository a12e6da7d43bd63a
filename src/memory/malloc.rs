//! When glibc's malloc gives freed memory back to the kernel (mallopt(3)); other allocators are left as they are.

/// What the process is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Creating a session: the runtime copies the weights several times, and each copy takes the place of one that was freed.
    Loading,
    /// Answering: what creating the session has freed goes back to the kernel.
    Running,
}

/// Blocks from this size on are mapped on their own and unmapped when freed; so much may stay free at the heap's end.
///
/// A session's copies of weights are mostly smaller. When each of them was mapped (128 KB), EfficientNetV2S peaked at 132 instead of
/// 168 MB, but took three times the page faults and 0.1 s longer of 0.45 s to its first answer; afterwards both stand at 133 MB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED: libc::c_int = 4 << 20;

/// Sets malloc up for `phase`. Without it the threshold for mapping rises with the first large block that is freed, up to 32 MB, and
/// whatever is freed below it stays in the process: 30 MB of EfficientNetV2S's 80.
pub fn tune_malloc(phase: Phase) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: these take integers and lock malloc's state themselves; a refused value changes nothing.
    unsafe {
        match phase {
            Phase::Loading => {
                libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
                libc::mallopt(libc::M_TRIM_THRESHOLD, MAPPED);
            }
            Phase::Running => {
                libc::malloc_trim(0);
            }
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = phase;
}
