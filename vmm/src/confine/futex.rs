//! Waiting on a word of shared memory, by the two operations that the policies allow.
#![forbid(unsafe_code)]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::futex::{self, Flags};
use rustix::time::Timespec;

/// `FUTEX_BITSET_MATCH_ANY`, Linux `include/uapi/linux/futex.h`.
const ANY: NonZeroU32 = NonZeroU32::MAX;

/// Sleeps while the word holds `value`; may return early.
pub fn wait(word: &AtomicU32, value: u32) {
    // Its errors say that the word has changed or that a signal came: look again, in both cases.
    let _ = futex::wait_bitset(word, Flags::PRIVATE, value, None, ANY);
}

/// Wakes every thread that sleeps on the word.
pub fn wake_all(word: &AtomicU32) {
    // The only error would be a bad address, which a reference cannot be.
    let _ = futex::wake(word, Flags::PRIVATE, i32::MAX.unsigned_abs());
}

/// Sleeps until `done` accepts the word's value, at most until `deadline`; gives the last value seen.
///
/// Only for threads whose policy allows timed waits.
pub fn wait_until(word: &AtomicU32, deadline: Instant, done: impl Fn(u32) -> bool) -> u32 {
    loop {
        let value = word.load(Ordering::SeqCst);
        if done(value) || Instant::now() >= deadline {
            return value;
        }
        // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC.
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = futex::wait_bitset(word, Flags::PRIVATE, value, Some(&absolute(left)), ANY);
    }
}

/// Has rustix find the vDSO's clock, which [`wait_until`] reads. It does so at the first use, once in a process, by
/// `prctl(PR_GET_AUXV)`: a call that no fenced thread may make.
pub fn find_clock() {
    let _ = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
}

fn absolute(from_now: Duration) -> Timespec {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let from_now =
        Timespec::try_from(from_now).unwrap_or(Timespec { tv_sec: i64::from(u32::MAX), tv_nsec: 0 });
    now + from_now
}

/// Sleeps for ever: what a thread does that has nothing left to do before the process ends.
pub fn park() -> ! {
    static NEVER: AtomicU32 = AtomicU32::new(0);
    loop {
        wait(&NEVER, 0);
    }
}
