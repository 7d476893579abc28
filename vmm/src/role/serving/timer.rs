//! The clock of the devices' rate limiters, and the timer that wakes the thread for them.

use std::time::Duration;

use rustix::time::{ClockId, Itimerspec, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_settime};

use crate::confine::Slot;

/// The time of `CLOCK_MONOTONIC`.
pub(in crate::role) fn clock() -> Duration {
    // Never before the start of the machine.
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// A timerfd of that clock.
#[derive(Debug)]
pub(in crate::role) struct Timer {
    slot: Slot,
    /// When it goes off, if it was set and has not been heard.
    set: Option<Duration>,
}

impl Timer {
    pub(in crate::role) fn new(slot: Slot) -> Self {
        Self { slot, set: None }
    }

    pub(in crate::role) fn slot(&self) -> Slot {
        self.slot
    }

    /// It has gone off.
    pub(in crate::role) fn heard(&mut self) {
        self.slot.hear();
        self.set = None;
    }

    /// Has it go off no later than this.
    pub(in crate::role) fn set_for(&mut self, moment: Option<Duration>) {
        let sooner = moment.filter(|moment| self.set.is_none_or(|set| *moment < set));
        let Some(it_value) = sooner.and_then(|moment| Timespec::try_from(moment).ok()) else { return };
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        // A moment that has passed goes off at once. With a valid time the call has no error but a refusal by the filter.
        if timerfd_settime(self.slot, TimerfdTimerFlags::ABSTIME, &once).is_ok() {
            self.set = sooner;
        }
    }
}
