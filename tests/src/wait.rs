//! Waiting for something that will come, without saying when.
#![forbid(unsafe_code)]

use std::env;
use std::thread;
use std::time::{Duration, Instant};

/// After so many minutes a test gives up: far above what anything here takes on a busy machine, so that it is a sign
/// of something that never comes and not of something slow.
const LIMIT_MINUTES: u64 = 3;

/// Another number of minutes, for a host that is emulated itself.
const LIMIT_VARIABLE: &str = "RINGFENCE_TEST_LIMIT_MINUTES";

const LOOK_AGAIN: Duration = Duration::from_millis(5);

fn limit() -> Duration {
    let minutes = env::var(LIMIT_VARIABLE).map_or(LIMIT_MINUTES, |text| {
        text.parse().unwrap_or_else(|_| panic!("{LIMIT_VARIABLE} is a number of minutes, not {text:?}"))
    });
    Duration::from_mins(minutes)
}

/// Looks again and again until `look` finds something.
///
/// # Panics
/// After the limit, saying what did not come.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = limit();
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not seen within {} s", limit.as_secs());
        thread::sleep(LOOK_AGAIN);
    }
}
