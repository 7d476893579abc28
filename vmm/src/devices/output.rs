//! The way of the guest's output from the vCPU threads to the console thread: a ring of bytes in shared memory.
//!
//! One producer at a time (the serial port's lock sees to that) and one consumer. Neither ever blocks here:
//! the producer asks for room first, and is told when to ring the consumer's bell.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Bytes that wait for the console thread at most. A power of two, so that positions may wrap.
pub const CAPACITY: u32 = 64 * 1024;

/// The ring. Positions count bytes since the start, modulo 2^32.
#[derive(Debug)]
pub struct Output {
    bytes: [AtomicU8; CAPACITY as usize],
    /// Position behind the last byte written; only the producer stores it.
    head: AtomicU32,
    /// Position of the next byte to take; only the consumer stores it. Also the futex word on which a producer
    /// waits for room.
    tail: AtomicU32,
    /// Set by whoever wants to hear that bytes were taken; cleared by the consumer when it says so.
    room_wanted: AtomicBool,
    /// The error number that ended writing; 0 while all is well.
    failure: AtomicI32,
    /// Bytes that were dropped after that.
    lost: AtomicU64,
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Output {
    /// An empty ring. It is all zeros, so that a static one takes no memory where no output has come by.
    #[expect(clippy::large_stack_arrays, reason = "a static is not built on a stack")]
    pub const fn new() -> Self {
        Self {
            bytes: [const { AtomicU8::new(0) }; CAPACITY as usize],
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            room_wanted: AtomicBool::new(false),
            failure: AtomicI32::new(0),
            lost: AtomicU64::new(0),
        }
    }

    fn cell(&self, position: u32) -> &AtomicU8 {
        &self.bytes[(position % CAPACITY) as usize]
    }

    /// How many bytes wait to be taken.
    pub fn waiting(&self) -> u32 {
        self.head.load(Ordering::SeqCst).wrapping_sub(self.tail.load(Ordering::SeqCst))
    }

    /// Whether a byte fits. Stays true for the producer until it pushes, since only the consumer moves `tail`.
    pub fn has_room(&self) -> bool {
        self.waiting() < CAPACITY
    }

    /// Appends a byte; says whether the ring was empty, which is when the consumer may be asleep and its bell
    /// must be rung. Only for the thread that holds the serial port's lock and has seen [`Output::has_room`].
    pub fn push(&self, byte: u8) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        debug_assert!(self.has_room());
        self.cell(head).store(byte, Ordering::Relaxed);
        self.head.store(head.wrapping_add(1), Ordering::SeqCst);
        // After the store, so that either this thread sees the consumer's last `tail`, or the consumer sees `head`.
        self.tail.load(Ordering::SeqCst) == head
    }

    /// Copies waiting bytes, oldest first, and says how many. They stay in the ring until [`Output::take`].
    pub fn peek(&self, into: &mut [u8]) -> usize {
        let tail = self.tail.load(Ordering::Relaxed);
        let mut position = tail;
        let head = self.head.load(Ordering::SeqCst);
        let mut count = 0;
        for byte in into.iter_mut() {
            if position == head {
                break;
            }
            *byte = self.cell(position).load(Ordering::Relaxed);
            position = position.wrapping_add(1);
            count += 1;
        }
        count
    }

    /// Removes `count` bytes, at most as many as were peeked; says whether somebody wants to hear of it.
    pub fn take(&self, count: usize) -> bool {
        let count = u32::try_from(count).unwrap_or(CAPACITY).min(self.waiting());
        self.tail.store(self.tail.load(Ordering::Relaxed).wrapping_add(count), Ordering::SeqCst);
        self.room_wanted.swap(false, Ordering::SeqCst)
    }

    /// Prepares to wait for room: returns the futex word and the value to wait on, or `None` when there is room
    /// after all. The word changes when bytes are taken.
    pub fn want_room(&self) -> Option<(&AtomicU32, u32)> {
        let tail = self.tail.load(Ordering::SeqCst);
        self.room_wanted.store(true, Ordering::SeqCst);
        let full = self.head.load(Ordering::SeqCst).wrapping_sub(tail) >= CAPACITY;
        full.then_some((&self.tail, tail))
    }

    /// The futex word on which producers wait for room.
    pub fn room(&self) -> &AtomicU32 {
        &self.tail
    }

    /// Records that writing failed for good.
    pub fn fail(&self, errno: i32) {
        self.failure.store(errno, Ordering::SeqCst);
    }

    /// Counts bytes that cannot be written any more, and gives the count back.
    pub fn drop_unwritten(&self, count: usize) -> usize {
        self.lost.fetch_add(count as u64, Ordering::SeqCst);
        count
    }

    /// Bytes of output that were dropped after writing had failed.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }

    /// The error number that ended writing.
    pub fn failure(&self) -> Option<i32> {
        match self.failure.load(Ordering::SeqCst) {
            0 => None,
            errno => Some(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in_across_the_wrap() {
        let output = Output::default();
        let mut expected = 0u8;
        let mut next = 0u8;
        for round in 0..9u32 {
            for _ in 0..(CAPACITY / 3 + round) {
                output.push(next);
                next = next.wrapping_add(1);
            }
            let mut chunk = [0; 1000];
            loop {
                let count = output.peek(&mut chunk);
                if count == 0 {
                    break;
                }
                for &byte in &chunk[..count] {
                    assert_eq!(byte, expected);
                    expected = expected.wrapping_add(1);
                }
                output.take(count);
            }
        }
    }

    #[test]
    fn only_the_first_byte_into_an_empty_ring_asks_for_the_bell() {
        let output = Output::default();
        assert!(output.push(1));
        assert!(!output.push(2));
        output.take(2);
        assert!(output.push(3));
    }

    #[test]
    fn a_full_ring_has_no_room_until_bytes_are_taken_and_says_so_once() {
        let output = Output::default();
        for _ in 0..CAPACITY {
            assert!(output.has_room());
            output.push(0);
        }
        assert!(!output.has_room());
        let (word, value) = output.want_room().expect("full");
        assert_eq!(word.load(Ordering::SeqCst), value);
        assert!(output.take(1), "somebody wanted to hear of room");
        assert!(!output.take(1), "and has been told");
        assert_ne!(word.load(Ordering::SeqCst), value);
        assert!(output.want_room().is_none());
    }

    #[test]
    fn taking_more_than_waits_takes_what_waits() {
        let output = Output::default();
        output.push(7);
        output.take(1000);
        assert_eq!(output.waiting(), 0);
        assert!(output.has_room());
    }
}
