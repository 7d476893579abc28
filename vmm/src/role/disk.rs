//! The thread of one disk, in a run whose disks have threads of their own: what takes long there keeps no other device waiting.
//!
//! Its loop is event-manager's.

use std::convert::Infallible;
use std::os::fd::RawFd;

use event_manager::{EventManager, EventOps, Events, MutEventSubscriber, SubscriberOps};
use seccomp_policies::embed::Embedded;
use vm_memory::GuestMemoryMmap;

use super::events;
use super::policies::disk::{POLICY, slot};
use super::published::Published;
use super::serving::{self, Attached, DiskFile, Serving};
use super::shared::IoThread;
use crate::confine::table::Placement;
use crate::confine::thread::{self, Failure, Started};
use crate::confine::{Farewell, Fencing, Role, Unfenced};
use crate::devices::virtio::block::{Block, Properties};
use crate::devices::virtio::{Limiter, Limits, Transport};

/// The role.
#[derive(Debug)]
pub struct Disk;

impl Role for Disk {
    const POLICY: &'static Embedded = &POLICY;
}

/// What the thread takes with it: numbers in its parent's table.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    /// What it serves devices by.
    pub serving: serving::Descriptors,
    /// The disk's file.
    pub file: RawFd,
    /// The eventfd that hears the kicks of its queue.
    pub queue: RawFd,
    /// Its irqfd.
    pub interrupt: RawFd,
}

impl Descriptors {
    fn placements(&self) -> impl Iterator<Item = Placement> {
        let own = [
            Placement { from: self.file, slot: slot::DISK },
            Placement { from: self.queue, slot: slot::QUEUE },
            Placement { from: self.interrupt, slot: slot::IRQ },
        ];
        self.serving.placements().chain(own)
    }
}

/// What the thread works on.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Which of the disks it is, from 0.
    pub index: u8,
    /// What main tells the thread.
    pub thread: &'static IoThread,
    /// Where the buffers of the disk's queue are.
    pub memory: &'static GuestMemoryMmap,
    /// The disk's registers.
    pub transport: &'static Transport,
    /// What the guest is told of it.
    pub properties: Properties,
    /// How much it may do in a time.
    pub limits: Limits,
    /// Where what it counts is read.
    pub published: &'static Published,
}

/// Starts the thread.
///
/// # Errors
/// [`thread::Error::Spawn`]
pub fn start(fencing: Fencing, descriptors: Descriptors, work: Work) -> Result<Started, thread::Error> {
    let body = move |unfenced| become_disk(unfenced, descriptors, work);
    thread::start::<Disk>(name(work.index), fencing, body)
}

/// The thread's name.
pub fn name(index: u8) -> String {
    format!("rf-disk{index}")
}

fn become_disk(
    unfenced: Unfenced<Disk>,
    descriptors: Descriptors,
    work: Work,
) -> Result<Infallible, Failure> {
    let placements: Vec<_> = descriptors.placements().collect();
    // SAFETY: this thread has brought numbers alone.
    let slotted = unsafe { unfenced.own_table(&placements, Farewell::RingMain(slot::MAIN_BELL)) }?;
    let mut events = EventManager::new()?;
    // The event manager made its epoll descriptor at the lowest free number.
    slotted.assert_open(slot::EPOLL)?;
    descriptors.serving.fill(&slotted)?;
    let slot = |number| slotted.slot(number);
    let file = DiskFile { slot: slot(slot::DISK), index: work.index };
    let disk = Block::new(work.properties, file, Limiter::new(&work.limits, serving::clock));
    let attached = Attached::new(
        work.transport,
        Box::new(disk),
        [slot(slot::QUEUE)],
        slot(slot::IRQ),
        work.memory,
        work.published,
        slot(slot::MAIN_BELL),
    );
    events.add_subscriber(Loop(Serving::new(&descriptors.serving, vec![attached], work.thread, slot)));
    let fenced = slotted.fence()?;
    events::run(&fenced, events)
}

/// What the events are for.
#[derive(Debug)]
struct Loop(Serving);

impl MutEventSubscriber for Loop {
    fn init(&mut self, ops: &mut EventOps) {
        self.0.listen(ops);
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        self.0.process(events.fd(), events.event_set(), ops);
        self.0.set_timer();
    }
}
