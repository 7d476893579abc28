//! The time that devices see: it stands still unless an input has it pass.

use std::cell::Cell;
use std::time::Duration;

use ringfence::devices::virtio::{Limits, Rate};

use super::input::Input;

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The time since an input's start.
pub fn now() -> Duration {
    NOW.get()
}

/// An input starts.
pub fn start() {
    NOW.set(Duration::ZERO);
}

/// So much time passes.
pub fn pass(time: Duration) {
    NOW.set(NOW.get() + time);
}

/// How much a device may do in a time: mostly anything.
pub fn limits(input: &mut Input<'_>) -> Limits {
    let choice = input.byte();
    let mut rate = |wanted: bool| {
        wanted.then(|| Rate {
            size: 1 + u64::from(input.short()),
            refill: Duration::from_millis(1 + u64::from(input.byte())),
            burst: input.short().into(),
        })
    };
    Limits { bandwidth: rate(choice % 4 == 1), operations: rate(choice / 4 % 4 == 1) }
}
