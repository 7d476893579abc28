//! The loop of the threads that wait for events: event-manager's.

use event_manager::{EventManager, MutEventSubscriber};

use crate::confine::{Fenced, Role};

/// Serves events for ever.
pub(super) fn run<R: Role, S: MutEventSubscriber>(_fenced: &Fenced<R>, mut events: EventManager<S>) -> ! {
    loop {
        // EINTR comes back as no event; any other error would come again for ever, so it ends the run.
        if let Err(error) = events.run() {
            panic!("waiting for events failed: {error}");
        }
    }
}
