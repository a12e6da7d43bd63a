//! What the operating system tells everywhere: free memory, and, where there is no `/proc`, what a process and its descendants have resident.
use crate::units::Bytes;

/// Memory that a new process could have now without swapping.
pub fn available() -> Bytes {
    let Ok(mut system) = sysinfo::System::new() else { return Bytes::default() };
    system.refresh_memory();
    Bytes(system.available_memory())
}

/// Resident memory of a process and its descendants, shared pages counted for each of them. Not told apart into parts: macOS and Windows.
#[cfg(not(target_os = "linux"))]
pub fn resident_tree(pid: u32) -> Option<Bytes> {
    use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, ProcessRefreshKind::nothing().with_memory());
    let mut all = vec![Pid::from_u32(pid)];
    let mut at = 0;
    while let Some(&parent) = all.get(at) {
        all.extend(system.processes().iter().filter(|(_, p)| p.parent() == Some(parent)).map(|(&pid, _)| pid));
        at += 1;
    }
    Some(Bytes(all.iter().filter_map(|&pid| system.process(pid)).map(sysinfo::Process::memory).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_memory_is_free() {
        assert!(available() > Bytes::mb(1));
    }
}
