//! A descriptor on its slot, and the bells among them.

use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A descriptor at its slot in this thread's own table.
///
/// Does not own it: the table goes with the thread, and nothing closes a slot before. Not `Send`, since the
/// number means something else in another thread's table.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    number: RawFd,
    not_send: PhantomData<*const ()>,
}

impl Slot {
    /// Only for `fence`, which has placed a descriptor at `number` in the calling thread's table.
    pub(super) fn placed(number: RawFd) -> Self {
        Self { number, not_send: PhantomData }
    }

    /// Rings: adds one to the eventfd, which wakes its reader.
    ///
    /// The bells are non-blocking, so a count that nobody has read for 2^64 rings is the only error, and then
    /// the reader has been woken already. A refused call under `--on-violation errno` is ignored as well.
    pub fn ring(self) {
        let _ = rustix::io::write(self, &1u64.to_ne_bytes());
    }

    /// Hears: waits for a ring, if the eventfd is a blocking one, and takes the count. False when there was none.
    pub fn hear(self) -> bool {
        let mut count = [0; 8];
        rustix::io::read(self, &mut count).is_ok()
    }
}

impl AsRawFd for Slot {
    fn as_raw_fd(&self) -> RawFd {
        self.number
    }
}

impl AsFd for Slot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `fence` made this value for the thread in whose table it placed a descriptor at `number`; the
        // value cannot leave the thread (not `Send`), and the thread closes no descriptor afterwards.
        unsafe { BorrowedFd::borrow_raw(self.number) }
    }
}
