//! How much a piece of work holds at once: an allocator that counts for each thread on its own, so that tests do not disturb each other.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// Bytes held and the most that were.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn note(bytes: isize) {
    // A thread that is ending has no counter any more.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        held.set((now + bytes, most.max(now + bytes)));
    });
}

// SAFETY: every call is passed on to the system's allocator with the arguments that came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size().cast_signed());
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size().cast_signed());
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(-layout.size().cast_signed());
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// The most bytes that `work` held at once on this thread, through Rust's allocator: what C libraries take does not count.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, u64) {
    HELD.set((0, 0));
    let result = work();
    (result, HELD.get().1.try_into().unwrap_or(0))
}

#[test]
fn the_peak_is_the_most_at_once() {
    let (_, peak) = peak_of(|| {
        drop(vec![1u8; 3 << 20]);
        std::thread::spawn(|| vec![1u8; 50 << 20]).join().expect("a thread");
        let mut grown = vec![1u8; 1 << 20];
        grown.reserve_exact(1 << 20);
        grown.len()
    });
    assert!((3 << 20..4 << 20).contains(&peak), "{peak}");
}
