//! The page cache: whoever touches a file's page first is charged for it, so a run is measured with the files it will touch out of the cache
//! (`posix_fadvise(2)`, mincore(2)).
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

/// How much of a file is in the page cache.
#[cfg(target_os = "linux")]
pub fn resident(path: &Path) -> Result<Bytes> {
    let named = || format!("`{}`", path.display());
    let file = File::open(path).with_context(named)?;
    if file.metadata().with_context(named)?.len() == 0 {
        return Ok(Bytes(0));
    }
    // SAFETY: the map is only asked about, never read.
    let map = unsafe { memmap2::Mmap::map(&file) }.with_context(named)?;
    // SAFETY: sysconf takes an integer.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).context("the page size is unknown")?;
    let mut pages = vec![0u8; map.len().div_ceil(page)];
    // SAFETY: the address and the length are those of a map that lives, and there is a byte for each of its pages.
    let told = unsafe { libc::mincore(map.as_ptr().cast_mut().cast(), map.len(), pages.as_mut_ptr().cast()) };
    if told != 0 {
        return Err(std::io::Error::last_os_error()).with_context(named);
    }
    Ok(Bytes((pages.iter().filter(|&&page| page & 1 == 1).count() * page) as u64))
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

    #[test]
    fn a_file_that_is_not_there_is_named() {
        for error in [evict("no-such-file".as_ref()).unwrap_err(), resident("no-such-file".as_ref()).unwrap_err()] {
            assert!(format!("{error:#}").contains("`no-such-file`"));
        }
    }
}
