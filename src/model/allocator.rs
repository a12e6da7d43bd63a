//! The runtime's tensors in a [`Pool`] instead of its own arena.
use crate::memory::Pool;
use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::sys::{OrtAllocator, OrtMemoryInfo};
use std::alloc::{Layout, handle_alloc_error};
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, OnceLock, PoisonError};

/// What the runtime gets a pointer to; it knows the first field only.
#[repr(C)]
struct Allocator {
    table: OrtAllocator,
    info: MemoryInfo<'static>,
}

/// One for the process, as the runtime's environment is.
static POOL: OnceLock<Mutex<Pool>> = OnceLock::new();

fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> Option<T> {
    POOL.get().map(|pool| work(&mut pool.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Has sessions that ask for the environment's allocators take their tensors from the pool. False where that cannot be had: the runtime's own
/// arena is used then.
pub fn register(environment: &Environment) -> bool {
    let Some(pool) = Pool::reserve() else { return false };
    let Ok(info) = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default) else {
        return false;
    };
    if POOL.set(Mutex::new(pool)).is_err() {
        return false;
    }
    // SAFETY: the table of an allocator without functions.
    let empty = unsafe { OrtAllocator::default() };
    let table = OrtAllocator { Alloc: Some(take), Free: Some(put), Info: Some(describe), ..empty };
    // The runtime keeps the pointer as long as it lives, which is as long as the process.
    let allocator = Box::leak(Box::new(Allocator { table, info }));
    // SAFETY: the environment lives, and the table is the allocator's first field.
    unsafe {
        let status = (ort::api().RegisterAllocator)(environment.ptr().cast_mut(), &raw mut allocator.table);
        ort::Error::result_from_status(status).is_ok()
    }
}

/// Gives what no tensor lies in back to the kernel.
pub fn trim() {
    with_pool(Pool::trim);
}

unsafe extern "system" fn take(_: *mut OrtAllocator, size: usize) -> *mut c_void {
    if size == 0 {
        return null_mut();
    }
    match with_pool(|pool| pool.take(size)).flatten() {
        Some(block) => block.as_ptr().cast(),
        // The runtime would write to what it gets without a look at it.
        None => handle_alloc_error(Layout::from_size_align(size, 1).unwrap_or(Layout::new::<u8>())),
    }
}

unsafe extern "system" fn put(_: *mut OrtAllocator, block: *mut c_void) {
    if let Some(block) = NonNull::new(block.cast()) {
        with_pool(|pool| pool.put(block));
    }
}

unsafe extern "system" fn describe(this: *const OrtAllocator) -> *const OrtMemoryInfo {
    // SAFETY: the runtime hands back the pointer that it was given, to the first field of an `Allocator`.
    unsafe { (*this.cast::<Allocator>()).info.ptr() }
}
