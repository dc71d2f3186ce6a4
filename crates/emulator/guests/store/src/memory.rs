//! Memory for what the store takes at mount. Nothing is given back: each run of the program mounts once.
#![expect(
    unsafe_code,
    reason = "an allocator cannot be written without; this file has nothing else"
)]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Twice what a store of three channels takes, and what a scan takes for a moment.
const BYTES: usize = 160 * 1024;

#[repr(align(16))]
struct Memory {
    bytes: UnsafeCell<[u8; BYTES]>,
    used: AtomicUsize,
}

// SAFETY: the processor has one hart and nothing interrupts it.
unsafe impl Sync for Memory {}

#[global_allocator]
static MEMORY: Memory = Memory {
    bytes: UnsafeCell::new([0; BYTES]),
    used: AtomicUsize::new(0),
};

// SAFETY: each allocation gets bytes behind those of all before, aligned as asked, and they are never given out again.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.bytes.get() as usize;
        let from =
            (base + self.used.load(Ordering::Relaxed)).next_multiple_of(layout.align()) - base;
        let end = from + layout.size();
        if end > BYTES {
            return ptr::null_mut();
        }
        self.used.store(end, Ordering::Relaxed);
        // SAFETY: `from` lies within the bytes, which was just checked.
        unsafe { self.bytes.get().cast::<u8>().add(from) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
