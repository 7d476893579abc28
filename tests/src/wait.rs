//! Waiting for something that will come, without saying when.
#![forbid(unsafe_code)]

use std::thread;
use std::time::{Duration, Instant};

/// After this long a test gives up: far above what anything here takes on a busy machine, so that it is a sign of
/// something that never comes and not of something slow.
pub const LIMIT: Duration = Duration::from_mins(3);

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Looks again and again until `look` finds something.
///
/// # Panics
/// After [`LIMIT`], saying what did not come.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "{what}: not seen within {} s", LIMIT.as_secs());
        thread::sleep(LOOK_AGAIN);
    }
}
