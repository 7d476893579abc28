//! How long a guest has taken to say that it has started, in Firecracker's words.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment, by the wall and in the processor time of the process.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    wall: Duration,
    processor: Duration,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        // Neither clock is ever negative.
        let time = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        Self { wall: time(ClockId::Monotonic), processor: time(ClockId::ProcessCPUTime) }
    }

    /// What has passed since an earlier one.
    pub(super) fn since(self, earlier: Self) -> BootTime {
        BootTime {
            wall: self.wall.saturating_sub(earlier.wall),
            processor: self.processor.saturating_sub(earlier.processor),
        }
    }
}

/// As the log has it, where programs look for this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BootTime {
    wall: Duration,
    processor: Duration,
}

impl fmt::Display for BootTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wall, processor } = self;
        write!(
            formatter,
            "Guest-boot-time = {:>6} us {} ms, {:>6} CPU us {} CPU ms",
            wall.as_micros(),
            wall.as_millis(),
            processor.as_micros(),
            processor.as_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_time_is_told_in_firecracker_s_form() {
        let moment = |wall, processor| Moment {
            wall: Duration::from_micros(wall),
            processor: Duration::from_micros(processor),
        };
        let time = moment(1_125_400, 30_900).since(moment(1_000_000, 500));
        assert_eq!(time.to_string(), "Guest-boot-time = 125400 us 125 ms,  30400 CPU us 30 CPU ms");
    }
}
