//! Where main leaves for io what is to change about a device that the guest uses: one change at a time lies here.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::confine::futex;
use crate::devices::virtio::Limits;
use crate::devices::virtio::net::Rates;

/// What is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A disk.
    Disk {
        /// Which, from 0.
        index: u8,
        /// Its contents.
        contents: Contents,
        /// How much it may do in a time; what is absent stays.
        limits: Limits,
    },
    /// A network interface.
    Interface {
        /// Which, from 0.
        index: u8,
        /// How much it does in a time; what is absent stays.
        rates: Rates,
    },
}

/// What becomes of the contents of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// They stay.
    Same,
    /// The file has another size now.
    Resized {
        /// In sectors.
        sectors: u64,
    },
    /// Another file takes its place.
    File {
        /// Its size.
        sectors: u64,
        /// The number of the message by which it comes.
        message: u64,
    },
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// io had no time for it; nothing has changed.
    Busy,
    /// The file did not come; the disk is as it was.
    NoFile,
    /// There is no such device.
    NoDevice,
}

/// The place of one change. Lives as long as the run.
#[derive(Debug, Default)]
pub struct Desk {
    place: Mutex<Place>,
    /// [`OPEN`] or [`DONE`], and the futex word on which main waits.
    state: AtomicU32,
}

#[derive(Debug, Default)]
enum Place {
    #[default]
    Empty,
    Asked(Change),
    Taken,
    Done(Result<(), Failed>),
}

/// How long io, which has begun, may need for the few calls of a change.
const LAST_CALLS: Duration = Duration::from_secs(1);

const OPEN: u32 = 0;
const DONE: u32 = 1;

impl Desk {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// main: leaves a change. io is to be rung, and [`Desk::wait`] says what came of it.
    pub fn ask(&self, change: Change) {
        self.state.store(OPEN, Ordering::SeqCst);
        *self.place() = Place::Asked(change);
    }

    /// main: waits until the change is made. What io has not begun by `deadline`, it does not find here afterwards.
    ///
    /// # Errors
    /// [`Failed`]
    pub fn wait(&self, deadline: Instant) -> Result<(), Failed> {
        for deadline in [deadline, deadline + LAST_CALLS] {
            futex::wait_until(&self.state, deadline, |state| state == DONE);
            let mut place = self.place();
            match std::mem::take(&mut *place) {
                Place::Done(result) => return result,
                Place::Asked(_) | Place::Empty => return Err(Failed::Busy),
                Place::Taken => *place = Place::Taken,
            }
        }
        // It was refused a call on the way, and main is about to find that out.
        Err(Failed::Busy)
    }

    /// io: takes the change, if there is one.
    pub fn take(&self) -> Option<Change> {
        let mut place = self.place();
        match *place {
            Place::Asked(change) => {
                *place = Place::Taken;
                Some(change)
            }
            _ => None,
        }
    }

    /// io: has made the change that it took, or has not.
    pub fn done(&self, result: Result<(), Failed>) {
        *self.place() = Place::Done(result);
        self.state.store(DONE, Ordering::SeqCst);
        futex::wake_all(&self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: Change = Change::Interface {
        index: 1,
        rates: Rates {
            receive: Limits { bandwidth: None, operations: None },
            transmit: Limits { bandwidth: None, operations: None },
        },
    };

    #[test]
    fn a_change_is_taken_once_and_its_end_told() {
        let desk: &'static Desk = Box::leak(Box::default());
        assert_eq!(desk.take(), None);
        for result in [Ok(()), Err(Failed::NoFile)] {
            desk.ask(CHANGE);
            let io = std::thread::spawn(move || {
                assert_eq!((desk.take(), desk.take()), (Some(CHANGE), None));
                desk.done(result);
            });
            io.join().unwrap();
            assert_eq!(desk.wait(Instant::now() + Duration::from_mins(1)), result);
        }
    }

    #[test]
    fn a_change_for_which_io_had_no_time_is_not_made_later() {
        let desk = Desk::default();
        desk.ask(CHANGE);
        assert_eq!(desk.wait(Instant::now()), Err(Failed::Busy));
        assert_eq!(desk.take(), None);
    }
}
