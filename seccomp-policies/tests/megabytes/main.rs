//! A megabyte of anything: every reader takes it or refuses it, and what it allocates for it grows no faster than the
//! input.

mod imports;
mod language;
mod traces;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The largest text that is read.
const MAX_BYTES: usize = 1 << 20;

/// Counts what each thread allocates, in bytes. Freed bytes are not taken off: they count as work.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<u64> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    ALLOCATED.set(ALLOCATED.get() + bytes as u64);
}

// SAFETY: every call is the system's own with the same arguments; counting touches a number without a destructor, of this
// thread alone, and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the rules of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` is from `alloc` or `realloc` above, which are the system's.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a reader allocates for an input.
fn allocated(read: impl FnOnce(&str), input: &str) -> u64 {
    let before = ALLOCATED.get();
    read(input);
    ALLOCATED.get() - before
}

/// An input that repeats a part, as long as is asked for.
struct Shape {
    name: &'static str,
    before: &'static str,
    part: fn(usize) -> String,
    after: &'static str,
}

impl Shape {
    /// The input, of at most so many bytes.
    fn of(&self, bytes: usize) -> String {
        let mut text = self.before.to_owned();
        for number in 0.. {
            let part = (self.part)(number);
            if text.len() + part.len() + self.after.len() > bytes {
                break;
            }
            text.push_str(&part);
        }
        text + self.after
    }
}

/// Reads each shape at a quarter of a megabyte and at a whole one. Four times the input may cost four times as much and
/// some, and a square of it sixteen times.
fn assert_linear(read: fn(&str), shapes: &[Shape]) {
    for shape in shapes {
        let (quarter, whole) = (shape.of(MAX_BYTES / 4), shape.of(MAX_BYTES));
        let (few, many) = (allocated(read, &quarter), allocated(read, &whole));
        let most = few * 8 + (64 << 20);
        assert!(
            many <= most,
            "{}: {few} bytes for {}, {many} for {}",
            shape.name,
            quarter.len(),
            whole.len()
        );
    }
}

fn shape(name: &'static str, before: &'static str, part: fn(usize) -> String, after: &'static str) -> Shape {
    Shape { name, before, part, after }
}

/// The head of a policy.
const HEADER: &str = "role r\ntier filter\notherwise trap\n";
