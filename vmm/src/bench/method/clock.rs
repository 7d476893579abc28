//! The clock that times are taken by, the processors' time, and work whose cost is known.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

/// How often the clock is looked at to find its resolution.
const LOOKS: usize = 10_000;

/// What can be said of the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// The least step that was seen between two readings that differ.
    pub resolution: Duration,
    /// What one reading takes, in the middle of many.
    pub reading: Duration,
}

/// Looks at the monotonic clock, which is read without a system call on most hosts.
pub fn look() -> Clock {
    let start = Instant::now();
    let readings: Vec<Instant> = (0..LOOKS).map(|_| Instant::now()).collect();
    let took = start.elapsed();
    let steps = readings.windows(2).map(|pair| pair[1].duration_since(pair[0]));
    let resolution = steps.filter(|step| !step.is_zero()).min().unwrap_or(took);
    Clock { resolution, reading: took / u32::try_from(LOOKS).unwrap_or(u32::MAX) }
}

/// Work that takes as long whenever it is done, and no system call: so many multiplications, each of which waits for the
/// last, and nothing that comes after begins before they are done.
#[inline(never)]
pub fn work(steps: u32, start: u64) -> u64 {
    // An odd factor: Knuth, The Art of Computer Programming, volume 2, 3.3.4, table 1, line 26.
    let value =
        (0..steps).fold(start | 1, |value, _| black_box(value).wrapping_mul(6_364_136_223_846_793_005));
    wait_for_all();
    value
}

/// Lets no instruction begin before all earlier ones have ended.
#[cfg(target_arch = "x86_64")]
fn wait_for_all() {
    // SAFETY: every processor of this architecture has the instruction.
    unsafe { std::arch::x86_64::_mm_lfence() };
}

/// The kernel's own way in and out waits enough.
#[cfg(not(target_arch = "x86_64"))]
fn wait_for_all() {}

/// Processor time of the processes that this one has started and that have ended: their own, and the kernel's for them.
///
/// # Errors
/// The system's.
pub fn of_ended_children() -> io::Result<Duration> {
    // SAFETY: a structure of numbers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the structure in and keeps no pointer to it.
    if unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_has_a_resolution() {
        let clock = look();
        assert!(clock.resolution > Duration::ZERO && clock.reading > Duration::ZERO, "{clock:?}");
    }

    #[test]
    fn work_depends_on_where_it_starts_and_how_much_it_is() {
        assert_ne!(work(3, 1), work(4, 1));
        assert_ne!(work(3, 1), work(3, 5));
    }
}
