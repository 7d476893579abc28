//! A virtio device as this thread drives it.

use std::os::fd::{AsRawFd as _, RawFd};
use std::time::Duration;

use event_manager::{EventOps, Events};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::epoll::EventSet;

use super::received::Files;
use crate::confine::{Slot, futex};
use crate::devices::virtio::balloon::{Balloon, Pages};
use crate::devices::virtio::rng::Entropy;
use crate::devices::virtio::{Broken, Configuration, Device, Queue, Request, Transport};
use crate::role::published::Published;
use crate::role::shared::desk::{Change, End};

/// A device together with what it has on this host: descriptors of its own, beside the queues' kicks.
pub(in crate::role) trait Hosted: Device {
    /// Listens to its descriptors from the start on. Before the fence.
    fn listen(&mut self, _ops: &mut EventOps) {}

    /// The descriptor of this number has an event: false if it is none of the device's. What there is to do for a queue,
    /// [`Device::has_work`] says afterwards.
    fn ready(&mut self, _number: RawFd, _events: EventSet, _ops: &mut EventOps) -> bool {
        false
    }

    /// Changes what the user wants changed: `None` if it is another device's.
    fn change(
        &mut self,
        _change: &Change,
        _configuration: &Configuration,
        _files: Files<Slot>,
    ) -> Option<End> {
        None
    }

    /// The queues were served, begun or ended: listens from now on to what it wants to hear.
    fn listen_again(&mut self, _ops: &mut EventOps) {}
}

impl<P: Pages> Hosted for Balloon<P> {}
impl Hosted for Entropy {}

/// A device between its registers and its descriptors.
#[derive(Debug)]
pub(in crate::role) struct Attached {
    transport: &'static Transport,
    device: Box<dyn Hosted>,
    lines: Vec<Line>,
    interrupt: Slot,
    memory: &'static GuestMemoryMmap,
    published: &'static Published,
    /// Main's, which hears of drivers that break the rules.
    main_bell: Slot,
}

/// A queue and the eventfd that hears its kicks.
#[derive(Debug)]
struct Line {
    kick: Slot,
    /// In use from the driver's start to its reset.
    queue: Option<Queue>,
    /// There may be buffers that no turn has looked at.
    unserved: bool,
}

/// Whether there is something that could be done at once.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing before the next event.
    Nothing,
    /// The device's turn is over, and no event will bring it back.
    Turn,
}

impl Attached {
    /// `kicks`: one for each queue, in their order.
    pub(in crate::role) fn new(
        transport: &'static Transport,
        device: Box<dyn Hosted>,
        kicks: impl IntoIterator<Item = Slot>,
        interrupt: Slot,
        memory: &'static GuestMemoryMmap,
        published: &'static Published,
        main_bell: Slot,
    ) -> Self {
        let lines = kicks.into_iter().map(|kick| Line { kick, queue: None, unserved: false }).collect();
        Self { transport, device, lines, interrupt, memory, published, main_bell }
    }

    /// Before the fence.
    pub(super) fn listen(&mut self, ops: &mut EventOps) {
        for line in &self.lines {
            // A new epoll descriptor takes an eventfd; anything else is a defect and must not go by in silence.
            ops.add(Events::new(&line.kick, EventSet::IN)).expect("epoll takes a queue's eventfd");
        }
        self.device.listen(ops);
    }

    /// When it has work again without an event: never, while it has no queue for it.
    pub(super) fn resumes(&self) -> Option<Duration> {
        self.device.resumes().filter(|_| self.lines.iter().any(|line| line.queue.is_some()))
    }

    /// Changes what the user wants changed, and tells the driver of what it can see: `None` if it is another device's. What a
    /// limiter held back, [`Self::go_on`] does afterwards.
    pub(super) fn change(&mut self, change: &Change, files: Files<Slot>) -> Option<End> {
        let end = self.device.change(change, self.transport.configuration(), files)?;
        if self.transport.tell_of_configuration() {
            self.interrupt.ring();
        }
        Some(end)
    }

    /// A vCPU may wait for something that its guest asked for by a register.
    pub(super) fn settle(&mut self) {
        let Some(request) = self.transport.request() else { return };
        self.stop();
        if request == Request::Activate && self.activate().is_err() {
            self.give_up();
        }
        futex::wake_all(self.transport.settle(request));
    }

    fn activate(&mut self) -> Result<(), Broken> {
        let features = self.transport.agreed();
        let greatest = self.transport.identity().queues;
        for ((index, line), most) in (0..).zip(&mut self.lines).zip(greatest) {
            // A queue that the driver does not set up is of no use and no error.
            let setting = self.transport.setting(index);
            line.queue =
                setting.map(|setting| Queue::new(&setting, *most, features, self.memory)).transpose()?;
            // Linux' balloon puts a buffer in and kicks before it has started the device, when nobody could hear it.
            line.unserved = true;
        }
        self.device.start(features);
        Ok(())
    }

    /// Serves what an event of this descriptor is about; `None` if it is none of the device's.
    pub(super) fn event(&mut self, number: RawFd, events: EventSet, ops: &mut EventOps) -> Option<Rest> {
        let kicked = self.lines.iter_mut().find(|line| line.kick.as_raw_fd() == number);
        if let Some(line) = kicked {
            line.kick.hear();
            line.unserved = true;
            self.published.kicked();
        } else if !self.device.ready(number, events, ops) {
            return None;
        }
        Some(self.go_on(ops))
    }

    /// One turn for each queue in which there may be something, or for which the device has something by itself.
    pub(super) fn go_on(&mut self, ops: &mut EventOps) -> Rest {
        for index in 0..self.lines.len() {
            if self.works_on(index) {
                self.process(index);
            }
        }
        self.device.listen_again(ops);
        self.published.publish(&self.device.counts());
        if self.transport.tell_of_configuration() {
            self.interrupt.ring();
        }
        if (0..self.lines.len()).any(|index| self.works_on(index)) { Rest::Turn } else { Rest::Nothing }
    }

    fn works_on(&self, index: usize) -> bool {
        let line = &self.lines[index];
        line.queue.is_some() && (line.unserved || self.device.has_work(index))
    }

    /// One turn of a queue.
    fn process(&mut self, index: usize) {
        let line = &mut self.lines[index];
        let Some(queue) = &mut line.queue else { return };
        match self.device.serve(index, queue, self.memory) {
            Ok(processed) => {
                line.unserved = processed.more;
                if processed.interrupt {
                    self.transport.used_buffers();
                    self.interrupt.ring();
                }
            }
            Err(_) => self.give_up(),
        }
    }

    fn stop(&mut self) {
        for line in &mut self.lines {
            (line.queue, line.unserved) = (None, false);
        }
        self.device.stop();
    }

    /// Nothing more until the driver resets the device, which it is told to.
    fn give_up(&mut self) {
        if self.published.broke() {
            self.main_bell.ring();
        }
        self.stop();
        self.transport.need_reset();
        self.interrupt.ring();
    }
}
