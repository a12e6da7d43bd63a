//! Runs a child and measures it: how long it took, how it ended, what it wrote, and its own peak memory.
//!
//! `ru_maxrss` is no child's peak: it begins with what the parent had before `exec` (a tiny program "uses" its parent's
//! hundreds of MB). `VmHWM` begins anew at `exec`, but is gone with the memory once the child is a zombie. So on Linux
//! the child is traced for one event only, its exit: the kernel stops it there while its memory still stands.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::workspace::typed;

/// What a child did.
#[derive(Debug)]
pub struct Measured {
    /// From before it was started until it had ended.
    pub wall: Duration,
    /// Its highest resident memory in bytes, its own children's left out; `None` where this system cannot tell.
    pub peak: Option<u64>,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Measured {
    /// An error, with the child's own words, unless it ended with `code`.
    pub fn expect(self, code: i32, command: &Command) -> Result<Self> {
        let ended = self.status.code().map_or_else(|| self.status.to_string(), |code| format!("exit status {code}"));
        let said = self.stderr.lines().last().unwrap_or("no word of explanation");
        let line = typed(command);
        ensure!(self.status.code() == Some(code), "`{line}` ended with {ended} instead of {code}: {said}");
        Ok(self)
    }
}

/// Runs `command` to its end. Both its outputs go to files, so that nothing has to be drained meanwhile.
pub fn measure(command: &mut Command) -> Result<Measured> {
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?);
    let begun = Instant::now();
    let ended = system::run(command);
    let wall = begun.elapsed();
    let (status, peak) = ended.with_context(|| format!("cannot run `{}`", typed(command)))?;
    Ok(Measured { wall, peak, status, stdout: text(&mut out)?, stderr: text(&mut err)? })
}

/// All that a file holds, from its start.
pub fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).context("cannot read what a child wrote")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(target_os = "linux")]
#[path = "trace.rs"]
mod system;

#[cfg(not(target_os = "linux"))]
mod system {
    //! Elsewhere the peak is not measured.
    use std::io;
    use std::process::{Command, ExitStatus};

    pub fn run(command: &mut Command) -> io::Result<(ExitStatus, Option<u64>)> {
        Ok((command.status()?, None))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::process::exit;

    /// Says to the child how many MB it shall use.
    const SIZE: &str = "XTASK_TEST_ALLOCATE";
    /// Says to the child how to end.
    const END: &str = "XTASK_TEST_END";

    /// Fills `mb` MB, so that they are resident.
    fn filled(mb: usize) -> Vec<u8> {
        black_box(vec![1; mb << 20])
    }

    /// Does something only in a child of [`child`].
    #[test]
    #[allow(clippy::exit, reason = "the child's own end is what is measured")]
    fn in_a_child() {
        let Ok(size) = std::env::var(SIZE) else { return };
        drop(filled(size.parse().unwrap())); // given back before the end: the peak has to remember it
        match std::env::var(END).as_deref() {
            Ok("7") => exit(7),
            Ok("abort") => std::process::abort(),
            _ => {}
        }
    }

    fn child(mb: usize) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        let name = format!("{}::in_a_child", module_path!().split_once("::").expect("a module").1);
        command.args(["--exact", &name, "--nocapture"]).env(SIZE, mb.to_string());
        command
    }

    #[test]
    fn the_peak_is_what_the_child_used() {
        let peak = |mb| {
            let measured = measure(&mut child(mb)).unwrap();
            assert!(measured.status.success() && measured.stdout.contains("1 passed"), "{measured:?}");
            measured.peak.expect("Linux tells it") as f64 / f64::from(1 << 20)
        };
        let (small, large) = (peak(0), peak(96));
        assert!((large - small - 96.0).abs() < 3.0, "{small} MB, then {large} MB");
    }

    #[test]
    fn the_peak_is_not_the_parents() {
        let ours = filled(300);
        let peak = measure(&mut child(0)).unwrap().peak.expect("Linux tells it");
        black_box(ours);
        assert!(peak < 100 << 20, "{peak} bytes");
    }

    #[test]
    fn the_childs_end_is_passed_on() {
        let measured = measure(child(0).env(END, "7")).unwrap();
        assert_eq!(measured.status.code(), Some(7));
        assert!(measured.expect(0, &child(0)).unwrap_err().to_string().contains("exit status 7 instead of 0"));
        let aborted = measure(child(0).env(END, "abort")).unwrap();
        assert_eq!(aborted.status.code(), None, "a signal reaches the child");
        assert!(aborted.peak.is_some());
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = measure(&mut Command::new("no-such-program")).unwrap_err();
        assert!(error.to_string().contains("`no-such-program`"), "{error:#}");
    }
}
