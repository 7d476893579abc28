//! Where main says what a run came to, and how: it waits for whoever reads, until somebody asks for the end.

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::confine::Slot;

/// A pipe that can be written takes as many bytes without waiting: `PIPE_BUF`, Linux `include/uapi/linux/limits.h`.
const AT_ONCE_BYTES: usize = 4096;

/// Descriptors of main's.
#[derive(Clone, Copy, Debug)]
pub struct Outlets {
    /// Standard error.
    pub stderr: Slot,
    /// The report file, where there is one.
    pub report: Option<Slot>,
    /// Readable when a signal has asked for the end.
    pub signals: Slot,
}

impl Outlets {
    /// Writes to standard error. If nobody reads there, nobody reads.
    pub fn say(self, text: &str) {
        let _ = self.write(self.stderr, text.as_bytes());
    }

    /// Writes to the report file, if there is one.
    ///
    /// # Errors
    /// The kernel's, of `write`, and [`Errno::INTR`] when a signal came while nobody read.
    pub fn write_report(self, text: impl FnOnce() -> String) -> Result<(), Errno> {
        self.report.map_or(Ok(()), |report| self.write(report, text().as_bytes()))
    }

    /// Signals are blocked in every thread, so a write that waits could be ended by SIGKILL alone. This one waits in
    /// `poll`, and for signals as well.
    fn write(self, to: Slot, mut rest: &[u8]) -> Result<(), Errno> {
        while !rest.is_empty() {
            let mut polled = [PollFd::new(&to, PollFlags::OUT), PollFd::new(&self.signals, PollFlags::IN)];
            match rustix::event::poll(&mut polled, None) {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            if polled[0].revents().is_empty() {
                return Err(Errno::INTR);
            }
            match rustix::io::write(to, &rest[..rest.len().min(AT_ONCE_BYTES)]) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}
