//! When glibc's malloc gives freed memory back to the kernel (mallopt(3)); other allocators are left as they are.

use crate::units::Bytes;

/// What the process is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Creating a session over a file of this size: the runtime copies the weights several times, and each copy takes the place of one that was freed.
    Loading(Bytes),
    /// Answering: what creating the session has freed goes back to the kernel.
    Running,
}

/// Blocks from this size on are mapped on their own and unmapped when freed; so much may stay free at the heap's end.
///
/// A small threshold costs page faults, a large one leaves holes whose place depends on where the kernel put the heap, so that the peak differs
/// from run to run. Measured, whole process, one image, peak of its own cgroup from a cold cache in ten runs:
///
/// | threshold | EfficientNetV2S (80.6 MB) | `models/default` (2.5 MB) |
/// |---|---|---|
/// | 128 KB | 218 MB, spread 0.2 %, 355 ms | 48 MB, spread 0.5 %, 37 ms |
/// | 1 MB | 218 MB, spread 0.3 %, 293 ms | 50 to 51 MB, spread 2.5 %, 36 ms |
/// | 2 MB and more | 236 to 248 MB, spread 4 %, 250 ms | 50 to 51 MB, spread 2.5 %, 36 ms |
///
/// So the threshold follows the file: a sixty-fourth of it, within 128 KB and 1 MB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn mapped_from(file: Bytes) -> libc::c_int {
    (file.0 / 64).clamp(128 << 10, 1 << 20) as libc::c_int
}

/// Sets malloc up for `phase`. Without it the threshold for mapping rises with the first large block that is freed, up to 32 MB, and
/// whatever is freed below it stays in the process: 30 MB of EfficientNetV2S's 80.
pub fn tune_malloc(phase: Phase) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: these take integers and lock malloc's state themselves; a refused value changes nothing.
    unsafe {
        match phase {
            Phase::Loading(file) => {
                libc::mallopt(libc::M_MMAP_THRESHOLD, mapped_from(file));
                libc::mallopt(libc::M_TRIM_THRESHOLD, mapped_from(file));
            }
            Phase::Running => {
                libc::malloc_trim(0);
            }
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = phase;
}
