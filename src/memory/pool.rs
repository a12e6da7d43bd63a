//! Memory for the tensors of a network while it runs: one range of addresses in which each takes the lowest place that fits.
//!
//! Layers take and free tensors of many sizes in turn. An arena of chunks that only grows (the runtime's own) held 17.3 MB for the 9.3 MB that
//! EfficientNetV2S needs at most, to the end of the run; low addresses first need 9.3 MB, and what the early, large layers have left at the
//! top goes back to the kernel while the later ones bring their weights in for the first time.
use super::places::Places;
use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ptr::NonNull;

/// Addresses that are reserved; they cost nothing until they are written to.
const RESERVED: usize = 16 << 30;
/// Addresses are made usable in steps of so many.
const STEP: usize = 1 << 20;
/// So much may lie idle at the top.
const IDLE: usize = 2 << 20;
/// More than that goes back once so many blocks have been taken without a use for it, of the hundreds that a run takes: the first run only. A
/// process that answers once never needs it again; in one that goes on, the next run would bring it in page by page, which took 3 to 7 % of
/// its time, for a peak that is the same from the second run on.
const PATIENCE: u32 = 64;
/// Tensors begin at multiples of it, as vector instructions want them (onnxruntime: `MlasGetPreferredBufferAlignment`).
const ALIGNMENT: usize = 64;
/// Whole pages are given back.
const PAGE: usize = 64 << 10;

/// The range. What does not fit into it comes from the ordinary allocator.
#[derive(Debug)]
pub struct Pool {
    base: NonNull<u8>,
    reserved: usize,
    /// Length of what may be written to.
    usable: usize,
    /// Length of what may have been written to since it was last given back.
    touched: usize,
    /// Blocks taken since more than [`IDLE`] lies idle at the top.
    idle_for: u32,
    /// Whether what lies idle there has been given back since the last [`Pool::trim`].
    has_given: bool,
    places: Places,
    /// Blocks of the ordinary allocator.
    beyond: HashMap<NonNull<u8>, Layout>,
}

// SAFETY: it is the only owner of its range.
unsafe impl Send for Pool {}

impl Pool {
    /// A range; none where addresses are limited (`ulimit -v`) or cannot be reserved.
    pub fn reserve() -> Option<Self> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: takes a number and a place to write to.
        let is_limited =
            unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } != 0 || limit.rlim_cur != libc::RLIM_INFINITY;
        if is_limited { None } else { Self::of(RESERVED) }
    }

    fn of(reserved: usize) -> Option<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), reserved, libc::PROT_NONE, flags, -1, 0) };
        (base != libc::MAP_FAILED).then(|| NonNull::new(base.cast())).flatten().map(|base| Self {
            base,
            reserved,
            usable: 0,
            touched: 0,
            idle_for: 0,
            has_given: false,
            places: Places::default(),
            beyond: HashMap::new(),
        })
    }

    /// A block of `size` bytes; none where the machine has no more.
    pub fn take(&mut self, size: usize) -> Option<NonNull<u8>> {
        let size = size.max(1).checked_next_multiple_of(ALIGNMENT)?;
        if size > self.reserved {
            return self.take_beyond(size);
        }
        let start = self.places.take(size);
        if !self.make_usable(self.places.end()) {
            self.places.put(start);
            return self.take_beyond(size);
        }
        self.touched = self.touched.max(self.places.end());
        self.idle_for = if self.touched - self.places.end() > IDLE { self.idle_for + 1 } else { 0 };
        if self.idle_for > PATIENCE && !self.has_given {
            self.give_top_back();
            self.has_given = true;
        }
        // SAFETY: `start` lies inside of the range.
        Some(unsafe { self.base.add(start) })
    }

    /// Takes a block back that [`Pool::take`] gave.
    pub fn put(&mut self, block: NonNull<u8>) {
        if let Some(layout) = self.beyond.remove(&block) {
            // SAFETY: it was allocated so.
            unsafe { dealloc(block.as_ptr(), layout) };
        } else {
            self.places.put(block.as_ptr() as usize - self.base.as_ptr() as usize);
        }
    }

    /// Gives all that is free back to the kernel: a session has been created, and its first run is next.
    pub fn trim(&mut self) {
        self.give_top_back();
        self.has_given = false;
        for (start, length) in self.places.holes() {
            self.give_back(start, start + length);
        }
    }

    fn make_usable(&mut self, end: usize) -> bool {
        if end <= self.usable {
            return true;
        }
        let wanted = end.next_multiple_of(STEP);
        if wanted > self.reserved {
            return false;
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: addresses of our own, which nobody uses yet.
        let done =
            unsafe { libc::mprotect(self.base.add(self.usable).as_ptr().cast(), wanted - self.usable, access) } == 0;
        if done {
            self.usable = wanted;
        }
        done
    }

    fn take_beyond(&mut self, size: usize) -> Option<NonNull<u8>> {
        let layout = Layout::from_size_align(size, ALIGNMENT).ok()?;
        // SAFETY: the size is not zero.
        let block = NonNull::new(unsafe { alloc(layout) })?;
        self.beyond.insert(block, layout);
        Some(block)
    }

    fn give_top_back(&mut self) {
        let top = self.touched.next_multiple_of(PAGE);
        self.touched = self.places.end();
        self.idle_for = 0;
        self.give_back(self.touched, top);
    }

    /// Gives the whole pages between two places back; no block may lie there.
    fn give_back(&self, start: usize, end: usize) {
        let (start, end) = (start.next_multiple_of(PAGE), end / PAGE * PAGE);
        if start < end {
            // SAFETY: pages of our own without a block; they read as zero when they are used again.
            unsafe { libc::madvise(self.base.add(start).as_ptr().cast(), end - start, libc::MADV_DONTNEED) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the pool that take memory.
    fn resident(pool: &Pool) -> usize {
        // SAFETY: takes a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let mut seen = vec![0u8; pool.usable / page];
        // SAFETY: a range of our own, and a byte for each of its pages.
        assert_eq!(unsafe { libc::mincore(pool.base.as_ptr().cast(), pool.usable, seen.as_mut_ptr().cast()) }, 0);
        seen.iter().filter(|page| **page & 1 == 1).count() * page
    }

    fn filled(pool: &mut Pool, size: usize) -> NonNull<u8> {
        let block = pool.take(size).unwrap();
        // SAFETY: the block has that size.
        unsafe { block.as_ptr().write_bytes(7, size) };
        block
    }

    #[test]
    fn memory_is_used_again_and_goes_back_when_it_lies_idle() {
        let mut pool = Pool::reserve().unwrap();
        let (a, b) = (filled(&mut pool, 8 << 20), filled(&mut pool, 4 << 20));
        assert_eq!(a.as_ptr() as usize % ALIGNMENT, 0);
        assert!(resident(&pool) >= 12 << 20);
        pool.put(a);
        assert_eq!(filled(&mut pool, 5 << 20), a, "the lowest place that fits");
        pool.put(b);
        for _ in 0..=PATIENCE {
            let small = filled(&mut pool, 100);
            pool.put(small);
        }
        assert!(resident(&pool) <= (5 << 20) + 2 * PAGE, "{} stay", resident(&pool));
        let again = filled(&mut pool, 4 << 20);
        pool.put(again);
        for _ in 0..=PATIENCE {
            let small = filled(&mut pool, 100);
            pool.put(small);
        }
        assert!(resident(&pool) >= 9 << 20, "what the first run gave back and the second needed stays");
        pool.put(a);
        pool.trim();
        assert_eq!(resident(&pool), 0);
    }

    #[test]
    fn what_does_not_fit_comes_from_elsewhere() {
        let mut pool = Pool::of(2 * STEP).unwrap();
        let inside = |block: NonNull<u8>, pool: &Pool| {
            (pool.base.as_ptr() as usize..pool.base.as_ptr() as usize + pool.reserved)
                .contains(&(block.as_ptr() as usize))
        };
        let (a, b) = (filled(&mut pool, STEP), filled(&mut pool, 2 * STEP));
        assert!(inside(a, &pool) && !inside(b, &pool));
        pool.put(b);
        let c = filled(&mut pool, STEP);
        assert!(inside(c, &pool), "the place is still there");
        assert!(pool.take(usize::MAX).is_none() && pool.take(usize::MAX / 2).is_none() && pool.beyond.is_empty());
    }
}
