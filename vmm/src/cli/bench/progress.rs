//! How far it is, on a terminal alone.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::time::Instant;

use crate::cli::output;

/// A line that is written over and over, and is gone when this is dropped.
pub(super) struct Progress {
    start: Instant,
    is_shown: bool,
    last: Cell<u64>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), is_shown: io::stderr().is_terminal(), last: Cell::new(u64::MAX) }
    }

    /// `share` of the whole, from 0 to 1.
    pub(super) fn show(&self, share: f64) {
        let elapsed = self.start.elapsed();
        if !self.is_shown || self.last.replace(elapsed.as_secs()) == elapsed.as_secs() {
            return;
        }
        let left = elapsed.as_secs_f64() * (1.0 / share.max(0.01) - 1.0);
        output::say(&format!("\r\x1b[Kmeasuring: {:.0} %, about {left:.0} s left", share * 100.0));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            output::say("\r\x1b[K");
        }
    }
}
