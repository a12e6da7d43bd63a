//! Files out of the page cache, so that a program that reads them is charged for them (`posix_fadvise(2)`).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Where a program looks for ONNX Runtime first.
const RUNTIME: &str = "ORT_DYLIB_PATH";

/// The files that the program touches before it comes to a model: itself, ONNX Runtime, and the libraries that both need.
pub fn programs(root: &Path, binary: &Path) -> Result<Vec<PathBuf>> {
    let runtimes = match std::env::var_os(RUNTIME).filter(|path| !path.is_empty()) {
        Some(path) => vec![PathBuf::from(path)],
        None => below(&root.join(".onnxruntime"))?
            .into_iter()
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime")))
            .collect(),
    };
    ensure!(!runtimes.is_empty(), "there is no ONNX Runtime in `.onnxruntime`: `cargo xtask setup` brings it");
    let mut files = vec![binary.to_owned()];
    files.extend(runtimes);
    for file in files.clone() {
        let listed = Command::new("ldd").arg(&file).output().context("cannot run `ldd`")?;
        files.extend(needed(&String::from_utf8_lossy(&listed.stdout)));
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// Every file in a folder and in those below it.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let named = || format!("cannot read `{}`", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(named)? {
        let path = entry.with_context(named)?.path();
        if path.is_dir() {
            files.extend(below(&path)?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// The files in what `ldd` prints: `libm.so.6 => /lib/libm.so.6 (0x7f…)`, `/lib64/ld-linux.so.2 (0x7f…)`.
fn needed(listed: &str) -> Vec<PathBuf> {
    let file = |line: &str| {
        let place = line.split_once("=>").map_or(line, |(_, place)| place).trim();
        let place = place.split_once(" (").map_or(place, |(place, _)| place);
        place.starts_with('/').then(|| PathBuf::from(place))
    };
    listed.lines().filter_map(file).collect()
}

/// Drops the pages of `files` from the cache. Those that some process has mapped stay: libc's always.
pub fn evict<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
    for path in files {
        File::open(path)
            .and_then(|file| drop_pages(&file))
            .with_context(|| format!("cannot take `{}` out of the page cache", path.display()))?;
    }
    Ok(())
}

/// Names of those of `files` that some process has mapped, whose pages stay where they are; libc and its loader, which every process has, are
/// left out.
pub fn held<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let maps = processes.filter_map(|process| fs::read_to_string(process.path().join("maps")).ok());
    let mapped: String = maps.collect();
    let files = files.into_iter().filter_map(|file| file.canonicalize().ok());
    let held = files.filter(|file| mapped.lines().any(|line| line.ends_with(&format!(" {}", file.display()))));
    let names = held.filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()));
    names.filter(|name| !["libc.", "libc-", "ld-"].iter().any(|start| name.starts_with(start))).collect()
}

#[cfg(target_os = "linux")]
fn drop_pages(file: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    file.sync_data()?; // dirty pages would stay
    // SAFETY: takes a descriptor that is open, and integers; length 0 is the whole file.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "as elsewhere")]
fn drop_pages(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::outside::Cgroups;
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_files_that_ldd_prints() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibm.so.6 => /lib/x/libm.so.6 (0x00007f1)\n\
                      \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n";
        assert_eq!(needed(listed), ["/lib/x/libm.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from));
        assert!(needed("\tstatically linked\n").is_empty());
    }

    #[test]
    fn who_reads_a_cold_file_is_charged_for_it() {
        let Ok(cgroups) = Cgroups::find() else { return };
        // Below the target folder: files of a temporary folder may lie in memory, which no cache stands before.
        let beside = std::env::current_exe().expect("a path");
        let folder = tempfile::tempdir_in(beside.parent().expect("a folder")).unwrap();
        let path = folder.path().join("read");
        fs::write(&path, vec![7; 24 << 20]).unwrap();
        let mut read = Command::new("dd");
        read.arg(format!("if={}", path.display())).args(["of=/dev/null", "bs=64K"]);
        let peak = || cgroups.run(&read, None, Duration::from_mins(1)).unwrap().well(&read).unwrap().peak >> 20;
        evict([&path]).unwrap();
        let (cold, warm) = (peak(), peak());
        assert!((24..30).contains(&cold) && warm < 6, "cold {cold} MB, warm {warm} MB");
    }

    #[test]
    fn a_file_that_a_process_has_mapped_is_told() {
        let own = std::env::current_exe().expect("a path");
        let name = own.file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!(held([&own, &PathBuf::from("no-such-file")]), [name]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = evict([&PathBuf::from("no-such-file")]).unwrap_err();
        assert!(error.to_string().contains("`no-such-file`"), "{error:#}");
    }
}
