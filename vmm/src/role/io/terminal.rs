//! The other end of the console device: what is typed, and the output that it shares with the serial port.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::confine::Slot;
use crate::devices::virtio::console::{Console, Line};
use crate::role::serving::Hosted;
use crate::role::shared::Shared;

/// Bytes that were typed and not taken yet; this thread's alone.
pub(super) type Waiting = Rc<RefCell<VecDeque<u8>>>;

/// Standard input and output, as the console device has them.
#[derive(Debug)]
pub(super) struct Terminal {
    waiting: Waiting,
    shared: &'static Shared,
    /// Heard by the console thread.
    bell: Slot,
}

impl Terminal {
    pub(super) fn new(waiting: Waiting, shared: &'static Shared, bell: Slot) -> Self {
        Self { waiting, shared, bell }
    }
}

impl Line for Terminal {
    fn say(&mut self, bytes: &[u8]) -> usize {
        let (said, raised) = self.shared.ports.serial().print(bytes);
        if raised.output {
            self.bell.ring();
        }
        if said < bytes.len() {
            // The console thread rings `room` when it has taken some.
            let _ = self.shared.output.want_room();
        }
        said
    }

    fn has_room(&self) -> bool {
        self.shared.output.has_room()
    }

    fn typed(&mut self, bytes: &mut [u8]) -> usize {
        let mut waiting = self.waiting.borrow_mut();
        let count = waiting.len().min(bytes.len());
        bytes.iter_mut().zip(waiting.drain(..count)).for_each(|(place, byte)| *place = byte);
        count
    }

    fn has_input(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }
}

impl Hosted for Console<Terminal> {}
