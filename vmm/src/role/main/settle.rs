//! The last moments of a run: the guest comes to a halt, and what it has said is written.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::monitor::Monitor;
use super::slot;
use crate::report::Cause;

/// How often main looks whether the output has been written, while it waits for just that.
pub(super) const LOOK_AT_OUTPUT: Duration = Duration::from_millis(2);
/// As much as main's policy lets it write to standard output at once.
const LAST_CHUNK_BYTES: usize = 4096;
/// How many times a vCPU may be too slow. The first may have waited for room.
const SLOW_PAUSES: u32 = 2;
/// How long output may take to be written once the user has asked for the end.
pub(super) const LAST_OUTPUT_LIMIT: Duration = Duration::from_secs(1);

impl Monitor {
    /// Brings the guest to a halt and lets the console thread write what the guest has said; gives the number of
    /// bytes that it could not.
    ///
    /// Output has all the time it needs, unless the user has asked for the end or asks now, by a signal. A vCPU has
    /// not: one that is held by a debugger, or by a lock whose owner is parked, cannot be waited for.
    pub(super) fn settle(&mut self, cause: &Cause) -> u64 {
        let hurried = matches!(cause, Cause::Signal(_) | Cause::Left);
        let mut limit = hurried.then(|| Instant::now() + LAST_OUTPUT_LIMIT);
        let mut slow_pauses = 0;
        loop {
            let paused = self.pause_vcpus();
            slow_pauses += u32::from(!paused);
            self.wait_for_output(&mut limit);
            // A vCPU that waited for room has got it by now, may have written more, and can be paused.
            let halted = paused || slow_pauses == SLOW_PAUSES;
            if limit.is_some_and(|limit| Instant::now() >= limit) || (halted && !self.output_waits()) {
                return u64::from(self.shared.output.waiting()) + self.shared.output.lost();
            }
        }
    }

    /// Waits until the ring is empty, or until `limit`, which a signal or the console's end set to now.
    fn wait_for_output(&self, limit: &mut Option<Instant>) {
        loop {
            if self.console_gone().is_some() {
                self.write_last_output();
                *limit = Some(Instant::now());
            }
            if self.signal().is_some() {
                *limit = Some(Instant::now());
            }
            if !self.output_waits() || limit.is_some_and(|limit| Instant::now() >= limit) {
                return;
            }
            self.poll(Some(LOOK_AT_OUTPUT));
        }
    }

    /// Writes what the console thread has left. A signal, or an output that takes no more, ends it.
    fn write_last_output(&self) {
        let (stdout, signals) = (self.fenced.slot(slot::STDOUT), self.fenced.slot(slot::SIGNALS));
        let mut chunk = [0; LAST_CHUNK_BYTES];
        while self.output_waits() && self.signal().is_none() {
            let mut polled = [PollFd::new(&stdout, PollFlags::OUT), PollFd::new(&signals, PollFlags::IN)];
            // An interrupted wait leaves no event behind, and is tried again.
            let _ = rustix::event::poll(&mut polled, None);
            if polled[0].revents().is_empty() {
                continue;
            }
            let count = self.shared.output.peek(&mut chunk);
            match rustix::io::write(stdout, &chunk[..count]) {
                // Nobody listens for room any more but vCPUs that are about to be ended.
                Ok(written) => self.shared.output.take(written),
                Err(_) => return,
            };
        }
    }

    fn output_waits(&self) -> bool {
        self.shared.output.waiting() > 0
    }
}
