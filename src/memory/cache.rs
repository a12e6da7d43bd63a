//! The page cache: whoever touches a file's page first is charged for it, so a run is measured with the files it will touch out of the cache
//! (`posix_fadvise(2)`, `mincore(2)`).
use crate::units::Bytes;
use anyhow::{Context, Result};
use std::fs::File;
use std::path::Path;

/// Asks the kernel to drop a file's pages from the cache. Pages that a process has mapped stay.
#[cfg(target_os = "linux")]
pub fn evict(path: &Path) -> Result<()> {
    use std::os::fd::AsRawFd;
    let file = File::open(path).with_context(|| format!("`{}`", path.display()))?;
    // Dirty pages stay in the cache until they are written; on a file that cannot be synced there are none.
    let _ = file.sync_data();
    // SAFETY: takes a descriptor that is open and integers; length 0 is the whole file.
    unsafe {
        libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED);
    }
    Ok(())
}

/// How much of a file is in the page cache; of a file of others, about how much of it does not leave the cache.
#[cfg(target_os = "linux")]
pub fn resident(path: &Path) -> Result<Bytes> {
    match resident_of_own(path)? {
        Some(bytes) => Ok(bytes),
        None => left_by_sample(path),
    }
}

/// The same at the cost of one system call; none for a file that this process could not write: of those mincore(2) says since Linux 5.2 that
/// every page is there, whatever is the case.
#[cfg(target_os = "linux")]
pub fn resident_of_own(path: &Path) -> Result<Option<Bytes>> {
    let named = || format!("`{}`", path.display());
    let file = File::open(path).with_context(named)?;
    let metadata = file.metadata().with_context(named)?;
    if metadata.len() == 0 {
        return Ok(Some(Bytes(0)));
    }
    if !may_ask(path, &metadata) {
        return Ok(None);
    }
    // SAFETY: the map is only asked about, never read.
    let map = unsafe { memmap2::Mmap::map(&file) }.with_context(named)?;
    let page = page_size()?;
    let mut pages = vec![0u8; map.len().div_ceil(page)];
    // SAFETY: the address and the length are those of a map that lives, and there is a byte for each of its pages.
    let told = unsafe { libc::mincore(map.as_ptr().cast_mut().cast(), map.len(), pages.as_mut_ptr().cast()) };
    if told != 0 {
        return Err(std::io::Error::last_os_error()).with_context(named);
    }
    Ok(Some(Bytes((pages.iter().filter(|&&page| page & 1 == 1).count() * page) as u64)))
}

/// As the kernel decides it (`can_do_mincore`, mm/mincore.c): the owner, and who may write.
#[cfg(target_os = "linux")]
fn may_ask(path: &Path, metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: geteuid takes nothing; faccessat takes a string that ends with a zero, and integers.
    unsafe {
        metadata.uid() == libc::geteuid()
            || libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::W_OK, libc::AT_EACCESS) == 0
    }
}

/// Of a file of others: asks for a byte of some pages without waiting for the disk (preadv2(2), `RWF_NOWAIT`). The kernel then begins to read
/// those that are not there, so only few are asked for, without reading ahead, and they are dropped again; a disk may be so fast that the
/// byte comes all the same, so a page is there when it comes every time.
#[cfg(target_os = "linux")]
fn left_by_sample(path: &Path) -> Result<Bytes> {
    use std::os::fd::AsRawFd;
    let named = || format!("`{}`", path.display());
    let file = File::open(path).with_context(named)?;
    let (descriptor, page) = (file.as_raw_fd(), page_size()? as u64);
    let pages = file.metadata().with_context(named)?.len().div_ceil(page);
    let advise = |offset: u64, length: u64, advice: i32| {
        // SAFETY: takes a descriptor that is open and integers.
        unsafe { libc::posix_fadvise(descriptor, offset as i64, length as i64, advice) };
    };
    let is_there = |offset: u64| {
        let mut byte = 0u8;
        let piece = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: the descriptor is open, and the one piece is a byte that lives.
        let read = unsafe { libc::preadv2(descriptor, &raw const piece, 1, offset as i64, libc::RWF_NOWAIT) };
        // A file system that cannot tell is taken to hold the page: a warm cache is the careful answer.
        let is_there = read >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::WouldBlock;
        advise(offset, page, libc::POSIX_FADV_DONTNEED);
        is_there
    };
    advise(0, 0, libc::POSIX_FADV_RANDOM);
    let sample: Vec<u64> = (0..pages).step_by((pages / SAMPLE).max(1) as usize).map(|at| at * page).collect();
    let there = sample.iter().filter(|&&offset| (0..TRIES).all(|_| is_there(offset))).count() as u64;
    advise(0, 0, libc::POSIX_FADV_DONTNEED); // what was still being read
    Ok(Bytes((pages * page * there).checked_div(sample.len() as u64).unwrap_or_default()))
}

/// Pages of a file that are asked for, about.
#[cfg(target_os = "linux")]
const SAMPLE: u64 = 32;
/// How often a page is asked for.
#[cfg(target_os = "linux")]
const TRIES: usize = 8;

#[cfg(target_os = "linux")]
fn page_size() -> Result<usize> {
    // SAFETY: sysconf takes an integer.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).context("the page size is unknown")
}

/// Elsewhere the cache is left as it is.
#[cfg(not(target_os = "linux"))]
pub fn evict(path: &Path) -> Result<()> {
    File::open(path).map(|_| ()).with_context(|| format!("`{}`", path.display()))
}

/// Elsewhere it is not known.
#[cfg(not(target_os = "linux"))]
pub fn resident(_path: &Path) -> Result<Bytes> {
    Ok(Bytes(0))
}

/// Elsewhere it is not known.
#[cfg(not(target_os = "linux"))]
pub fn resident_of_own(_path: &Path) -> Result<Option<Bytes>> {
    Ok(None)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_leaves_the_cache_unless_it_is_mapped() {
        // Beside the program: a temporary folder may lie in memory, which has no cache to leave.
        let path = std::env::current_exe().unwrap().with_file_name(format!("cache-test-{}", std::process::id()));
        fs::write(&path, vec![7; 3 << 20]).unwrap();
        assert_eq!(resident(&path).unwrap(), Bytes::mb(3));
        evict(&path).unwrap();
        assert_eq!(resident(&path).unwrap(), Bytes(0));
        // SAFETY: nobody changes the file.
        let map = unsafe { memmap2::Mmap::map(&File::open(&path).unwrap()) }.unwrap();
        assert_eq!(map[1 << 20], 7);
        evict(&path).unwrap();
        assert!(resident(&path).unwrap() > Bytes(0));
        fs::remove_file(&path).unwrap();
    }

    /// A file of others is asked about another way.
    #[test]
    fn a_sample_tells_what_does_not_leave_the_cache() {
        let path = std::env::current_exe().unwrap().with_file_name(format!("sample-test-{}", std::process::id()));
        fs::write(&path, vec![7; 4 << 20]).unwrap();
        evict(&path).unwrap();
        assert_eq!(left_by_sample(&path).unwrap(), Bytes(0));
        // What was asked for is not left there.
        let left = resident_of_own(&path).unwrap().unwrap();
        assert!(left <= Bytes(SAMPLE << 12), "{left}");
        // SAFETY: nobody changes the file.
        let map = unsafe { memmap2::MmapOptions::new().len(2 << 20).map(&File::open(&path).unwrap()) }.unwrap();
        assert!(map.iter().step_by(4096).all(|&byte| byte == 7));
        evict(&path).unwrap();
        let (all, sampled) = (resident_of_own(&path).unwrap().unwrap(), left_by_sample(&path).unwrap());
        assert!(sampled.0.abs_diff(all.0) <= 1 << 19 && all >= Bytes::mb(2), "{all} and {sampled}");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        for error in [evict("no-such-file".as_ref()).unwrap_err(), resident("no-such-file".as_ref()).unwrap_err()] {
            assert!(format!("{error:#}").contains("`no-such-file`"));
        }
    }
}
