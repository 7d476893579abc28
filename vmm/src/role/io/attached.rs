//! A virtio device as this thread drives it.

use std::os::fd::{AsRawFd as _, RawFd};

use vm_memory::GuestMemoryMmap;

use crate::confine::{Slot, futex};
use crate::devices::virtio::{Device, Queue, Request, Transport};

/// A device with one queue, between its registers and its descriptors.
#[derive(Debug)]
pub(super) struct Attached {
    transport: &'static Transport,
    device: Box<dyn Device>,
    /// In use from the driver's start to its reset.
    queue: Option<Queue>,
    kick: Slot,
    interrupt: Slot,
    memory: &'static GuestMemoryMmap,
}

impl Attached {
    pub(super) fn new(
        transport: &'static Transport,
        device: Box<dyn Device>,
        kick: Slot,
        interrupt: Slot,
        memory: &'static GuestMemoryMmap,
    ) -> Self {
        Self { transport, device, queue: None, kick, interrupt, memory }
    }

    /// The eventfd that hears the queue's kicks.
    pub(super) fn queue(&self) -> Slot {
        self.kick
    }

    /// Whether the descriptor of this number hears its kicks.
    pub(super) fn hears(&self, number: RawFd) -> bool {
        self.kick.as_raw_fd() == number
    }

    /// A vCPU may wait for something that its guest asked for by a register.
    pub(super) fn settle(&mut self) {
        let Some(request) = self.transport.request() else { return };
        self.queue = None;
        if request == Request::Activate {
            self.activate();
        }
        futex::wake_all(self.transport.settle(request));
    }

    fn activate(&mut self) {
        let most = self.transport.identity().queues.first().copied().unwrap_or_default();
        let setting = self.transport.setting(0);
        match setting.map(|setting| Queue::new(&setting, most, self.memory)) {
            Some(Ok(queue)) => self.queue = Some(queue),
            Some(Err(_)) => self.give_up(),
            // The driver uses no queue, which is of no use and no error.
            None => {}
        }
    }

    /// The queue was kicked.
    pub(super) fn kicked(&mut self) {
        // Unheard until the queue is empty, so that epoll comes back after the others had their turn. What came between
        // the last look and the hearing is looked for once more.
        if self.process() {
            self.kick.hear();
            self.process();
        }
    }

    /// Uses as many buffers as the queue can hold; true if none is left.
    fn process(&mut self) -> bool {
        let Some(queue) = &mut self.queue else { return true };
        let most = queue.size();
        let served = queue.each(self.memory, most, |chain| self.device.serve(chain, self.memory));
        let Ok(processed) = served else {
            self.give_up();
            return true;
        };
        if processed.interrupt {
            self.transport.used_buffers();
            self.interrupt.ring();
        }
        processed.emptied
    }

    /// Nothing more until the driver resets the device, which it is told to.
    fn give_up(&mut self) {
        self.queue = None;
        self.transport.need_reset();
        self.interrupt.ring();
    }
}
