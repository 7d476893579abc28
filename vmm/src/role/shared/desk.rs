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

/// What became of a change.
pub type End = Result<(), Failed>;

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The file did not come; the disk is as it was.
    NoFile,
    /// There is no such device.
    NoDevice,
    /// main had given it up before io came to it.
    GivenUp,
}

/// How far io is with a change for which main waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It has not begun, and will not.
    NotBegun,
    /// It has begun, and will come to an end by itself.
    Begun,
}

/// What io finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A change to be made.
    Make(Change),
    /// main has given up the change that lay here: what was sent for it is to go, and nothing else to happen.
    Forget,
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
    GivenUp,
    Taken,
    Done(End),
}

/// How long io, which has begun, may need for the few calls of a change.
const LAST_CALLS: Duration = Duration::from_secs(1);

const OPEN: u32 = 0;
const DONE: u32 = 1;

impl Desk {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// main: leaves a change, where none lies that has not come to its end. io is to be rung, and [`Desk::wait`] says what
    /// came of it.
    pub fn ask(&self, change: Change) {
        self.state.store(OPEN, Ordering::SeqCst);
        *self.place() = Place::Asked(change);
    }

    /// main: waits for the end of the change. What io has not begun by `deadline`, it does not begin afterwards.
    ///
    /// # Errors
    /// [`Late`]: the end comes later, by [`Desk::end`].
    pub fn wait(&self, deadline: Instant) -> Result<End, Late> {
        for deadline in [deadline, deadline + LAST_CALLS] {
            futex::wait_until(&self.state, deadline, |state| state == DONE);
            if let Some(end) = self.end() {
                return Ok(end);
            }
            let mut place = self.place();
            if let Place::Asked(_) = *place {
                *place = Place::GivenUp;
                return Err(Late::NotBegun);
            }
        }
        Err(Late::Begun)
    }

    /// main: the end of the change, once, if it has come.
    pub fn end(&self) -> Option<End> {
        let mut place = self.place();
        match *place {
            Place::Done(end) => {
                *place = Place::Empty;
                Some(end)
            }
            _ => None,
        }
    }

    /// io: whether there is something to do.
    pub fn has_order(&self) -> bool {
        matches!(*self.place(), Place::Asked(_) | Place::GivenUp)
    }

    /// io: takes what there is to do, if there is something. [`Desk::done`] follows.
    pub fn take(&self) -> Option<Order> {
        let mut place = self.place();
        let order = match *place {
            Place::Asked(change) => Order::Make(change),
            Place::GivenUp => Order::Forget,
            Place::Empty | Place::Taken | Place::Done(_) => return None,
        };
        *place = Place::Taken;
        Some(order)
    }

    /// io: what it took has come to its end.
    pub fn done(&self, end: End) {
        *self.place() = Place::Done(end);
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
        assert_eq!((desk.take(), desk.end()), (None, None));
        for end in [Ok(()), Err(Failed::NoFile)] {
            desk.ask(CHANGE);
            let io = std::thread::spawn(move || {
                assert_eq!((desk.take(), desk.take()), (Some(Order::Make(CHANGE)), None));
                desk.done(end);
            });
            io.join().unwrap();
            assert_eq!(desk.wait(Instant::now() + Duration::from_mins(1)), Ok(end));
            assert_eq!(desk.end(), None, "it is told once");
        }
    }

    #[test]
    fn a_change_for_which_io_had_no_time_is_not_made_later() {
        let desk = Desk::default();
        desk.ask(CHANGE);
        assert_eq!(desk.wait(Instant::now()), Err(Late::NotBegun));
        assert_eq!(desk.end(), None, "io may still have what was sent for it");
        assert_eq!((desk.take(), desk.take()), (Some(Order::Forget), None));
        desk.done(Err(Failed::GivenUp));
        assert_eq!(desk.end(), Some(Err(Failed::GivenUp)));
    }

    #[test]
    fn a_change_that_io_has_begun_comes_to_its_end_after_main_has_stopped_waiting() {
        let desk = Desk::default();
        desk.ask(CHANGE);
        assert_eq!(desk.take(), Some(Order::Make(CHANGE)));
        assert_eq!(desk.wait(Instant::now()), Err(Late::Begun));
        assert_eq!((desk.end(), desk.take()), (None, None));
        desk.done(Ok(()));
        assert_eq!((desk.end(), desk.end()), (Some(Ok(())), None));
    }
}
