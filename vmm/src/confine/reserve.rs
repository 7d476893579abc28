//! The allocator: the system's, except in threads that have sealed it.
//!
//! A vCPU, io or console thread allocates nothing in its loop; its policy has no rule for memory. One thing needs
//! a little all the same: the standard library formats a panic's message into a string before it calls the hook.
//! So a sealed thread is served from a small reserve, and every such allocation is counted: the count is 0 at the
//! end of a run in which nothing panicked, and the report says it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes for all sealed threads together.
const RESERVE_BYTES: usize = 64 * 1024;

thread_local! {
    // Const and without a destructor, so that reading it allocates nothing and works in a signal handler.
    static SEALED: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread allocates from the reserve alone.
pub fn seal() {
    SEALED.set(true);
}

/// Tells the C library's allocator to take memory from the heap alone (`brk`), in one arena: main, which allocates
/// after it is fenced, then needs no rule for `mmap`. To be called while there is one thread.
pub fn use_heap_alone() {
    // Without effect on memory that was mapped before; glibc's allocator refuses none of these values.
    for (parameter, value) in
        [(libc::M_MMAP_MAX, 0), (libc::M_ARENA_MAX, 1), (libc::M_TRIM_THRESHOLD, libc::c_int::MAX)]
    {
        // SAFETY: takes integers and changes settings of the allocator, under its own lock.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Gives memory of the heap that is free back to the kernel: what parsing the command line and building the machine
/// took for a moment. To be called before main is fenced.
pub fn give_back() {
    // SAFETY: takes an integer; the allocator gives back pages that nobody uses, under its own lock.
    unsafe { libc::malloc_trim(0) };
}

/// How often sealed threads have allocated.
pub fn allocations() -> usize {
    RESERVE.count.load(Ordering::Relaxed)
}

struct Reserve {
    bytes: UnsafeCell<[u8; RESERVE_BYTES]>,
    used: AtomicUsize,
    count: AtomicUsize,
}

// SAFETY: `bytes` is only handed out in pieces that do not overlap: `used` grows atomically and never shrinks.
unsafe impl Sync for Reserve {}

static RESERVE: Reserve = Reserve {
    bytes: UnsafeCell::new([0; RESERVE_BYTES]),
    used: AtomicUsize::new(0),
    count: AtomicUsize::new(0),
};

impl Reserve {
    fn base(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    fn take(&self, layout: Layout) -> *mut u8 {
        self.count.fetch_add(1, Ordering::Relaxed);
        // Room for any alignment within the piece.
        let Some(length) = layout.size().checked_add(layout.align()) else { return ptr::null_mut() };
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(length).filter(|&end| end <= RESERVE_BYTES)
        });
        let Ok(start) = taken else { return ptr::null_mut() };
        let piece = self.base().wrapping_add(start);
        piece.wrapping_add(piece.align_offset(layout.align()))
    }

    fn holds(&self, pointer: *mut u8) -> bool {
        let base = self.base().addr();
        (base..base + RESERVE_BYTES).contains(&pointer.addr())
    }
}

/// The program's allocator.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: every block comes whole from `System` or from a piece of the reserve that nobody else has, and goes back
// to where it came from: `holds` tells which.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if SEALED.get() {
            return RESERVE.take(layout);
        }
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // A sealed thread keeps what it had from the system: giving back may be a system call.
        if SEALED.get() || RESERVE.holds(pointer) {
            return;
        }
        // SAFETY: not from the reserve, so from `System`, with this layout by the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if SEALED.get() {
            // Pieces of the reserve are never used twice, so they are still zero.
            return RESERVE.take(layout);
        }
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !SEALED.get() && !RESERVE.holds(pointer) {
            // SAFETY: not from the reserve, so from `System`; the caller's promises are passed on.
            return unsafe { System.realloc(pointer, layout, new_size) };
        }
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: `new_layout` is valid, and not empty by the caller's promise.
        let moved = unsafe { self.alloc(new_layout) };
        if !moved.is_null() {
            // SAFETY: both blocks are at least as long as the smaller size, and a new block overlaps no old one.
            unsafe { ptr::copy_nonoverlapping(pointer, moved, layout.size().min(new_size)) };
            // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
            unsafe { self.dealloc(pointer, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_thread_formats_text_from_the_reserve_and_is_counted() {
        let before = allocations();
        let text = std::thread::spawn(|| {
            seal();
            let text = format!("{}-{:>40}", 17, "aligned");
            assert!(RESERVE.holds(text.as_ptr().cast_mut()));
            text
        });
        // Dropped here, by a thread that is not sealed, without harm.
        assert!(text.join().unwrap().starts_with("17-"));
        assert!(allocations() > before);
    }

    #[test]
    fn an_allocation_larger_than_the_reserve_is_refused() {
        let layout = Layout::from_size_align(RESERVE_BYTES + 1, 8).unwrap();
        assert!(RESERVE.take(layout).is_null());
    }

    #[test]
    fn pieces_are_aligned() {
        for align in [1, 2, 16, 256] {
            let piece = RESERVE.take(Layout::from_size_align(3, align).unwrap());
            assert_eq!(piece.addr() % align, 0);
        }
    }
}
