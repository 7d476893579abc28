//! The devices that the thread takes with it.

use std::os::fd::RawFd;
use std::path::Path;
use std::rc::Rc;

use vm_memory::GuestMemoryMmap;

use super::pages::HostPages;
use super::tap::Tap;
use super::terminal::{Terminal, Waiting};
use super::vsock::{STREAMS, UnixSockets};
use super::vsock_address::Address;
use crate::confine::table::Placement;
use crate::confine::{Role, Slot, Slotted, fence};
use crate::devices::virtio::balloon::{Balloon, Statistics};
use crate::devices::virtio::block::{Block, Properties};
use crate::devices::virtio::console::Console;
use crate::devices::virtio::net::{Net, Rates};
use crate::devices::virtio::rng::Entropy;
use crate::devices::virtio::vsock::Vsock;
use crate::devices::virtio::{Limiter, Limits, Transport};
use crate::role::policies::io::slot;
use crate::role::policies::io_vsock::slot as stream_slot;
use crate::role::published::Published;
use crate::role::serving::{Attached, DiskFile, Hosted, clock};
use crate::role::shared::Shared;

/// A device, with numbers in its parent's table.
#[derive(Clone, Debug)]
pub struct DeviceDescriptors {
    /// Its registers.
    pub transport: &'static Transport,
    /// What it is.
    pub kind: Kind,
    /// The eventfds that hear the kicks of its queues, in their order.
    pub queues: Vec<RawFd>,
    /// Its irqfd.
    pub interrupt: RawFd,
    /// Where what it counts is read.
    pub published: &'static Published,
}

/// What a device is, and what it has of its own.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// The entropy device.
    Entropy {
        /// How much it may give in a time.
        limits: Limits,
    },
    /// The balloon.
    Balloon {
        /// How many queues it has.
        queues: usize,
        /// What its driver tells.
        statistics: &'static Statistics,
    },
    /// The console.
    Console,
    /// A disk.
    Disk {
        /// Which of the disks, from 0.
        index: u8,
        /// Its file.
        file: RawFd,
        /// What the guest is told of it.
        properties: Properties,
        /// How much it may do in a time.
        limits: Limits,
    },
    /// A network interface.
    Net {
        /// Which of the interfaces, from 0.
        index: u8,
        /// Its TAP.
        tap: RawFd,
        /// How much it does in a time.
        rates: Rates,
    },
    /// The socket device.
    Vsock {
        /// The guest's address.
        cid: u32,
        /// The listening socket.
        socket: RawFd,
        /// What its streams are to be listened to by.
        epoll: RawFd,
        /// The listening socket's path, from the root.
        path: &'static Path,
    },
}

/// What devices meet in this thread.
pub(super) struct Surroundings {
    pub(super) memory: &'static GuestMemoryMmap,
    pub(super) shared: &'static Shared,
    /// What was typed.
    pub(super) waiting: Waiting,
}

/// Where a device's descriptors lie.
struct Places {
    queues: Vec<RawFd>,
    interrupt: RawFd,
    /// Those beside its queues and its line: from where, to where.
    others: Vec<(RawFd, RawFd)>,
}

impl DeviceDescriptors {
    fn places(&self) -> Places {
        match self.kind {
            Kind::Entropy { .. } => {
                Places { queues: vec![slot::ENTROPY_QUEUE], interrupt: slot::ENTROPY_IRQ, others: Vec::new() }
            }
            Kind::Balloon { queues, .. } => Places {
                queues: slot::BALLOON_QUEUES.take(queues).collect(),
                interrupt: slot::BALLOON_IRQ,
                others: Vec::new(),
            },
            Kind::Console => Places {
                queues: vec![slot::CONSOLE_RECEIVE_QUEUE, slot::CONSOLE_TRANSMIT_QUEUE],
                interrupt: slot::CONSOLE_IRQ,
                others: Vec::new(),
            },
            Kind::Disk { index, file, .. } => {
                let index = RawFd::from(index);
                Places {
                    queues: vec![slot::DISK_QUEUES.start() + index],
                    interrupt: slot::DISK_IRQS.start() + index,
                    others: vec![(file, slot::DISKS.start() + index)],
                }
            }
            Kind::Net { index, tap, .. } => {
                let index = RawFd::from(index);
                Places {
                    queues: vec![
                        slot::NET_RECEIVE_QUEUES.start() + index,
                        slot::NET_TRANSMIT_QUEUES.start() + index,
                    ],
                    interrupt: slot::NET_IRQS.start() + index,
                    others: vec![(tap, slot::TAPS.start() + index)],
                }
            }
            Kind::Vsock { socket, epoll, .. } => Places {
                queues: vec![
                    stream_slot::VSOCK_RECEIVE_QUEUE,
                    stream_slot::VSOCK_TRANSMIT_QUEUE,
                    stream_slot::VSOCK_EVENT_QUEUE,
                ],
                interrupt: stream_slot::VSOCK_IRQ,
                others: vec![(socket, stream_slot::VSOCK_SOCKET), (epoll, stream_slot::VSOCK_EPOLL)],
            },
        }
    }

    /// Whether the device makes descriptors in its thread's loop, by a policy of its own.
    pub(super) fn has_streams(&self) -> bool {
        matches!(self.kind, Kind::Vsock { .. })
    }

    /// What the device needs of its thread before that is fenced, when it has its table.
    ///
    /// # Errors
    /// See [`fence::Error`].
    pub(super) fn prepare<R: Role>(&mut self, slotted: &Slotted<R>) -> Result<(), fence::Error> {
        let Kind::Vsock { path, .. } = &mut self.kind else { return Ok(()) };
        slotted.fill_below(*stream_slot::VSOCK_STREAMS.start())?;
        // Which path is connected to, no filter sees. Where the thread may have a root of its own, there are no paths but
        // those in the folder of its socket.
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name())
            && slotted.enter(folder)?
        {
            *path = Box::leak(Path::new("/").join(name).into_boxed_path());
        }
        Ok(())
    }

    /// Which descriptor goes where.
    pub(super) fn placements(&self) -> impl Iterator<Item = Placement> {
        let Places { queues, interrupt, others } = self.places();
        let queues = self.queues.iter().copied().zip(queues);
        let others = [(self.interrupt, interrupt)].into_iter().chain(others);
        queues.chain(others).map(|(from, slot)| Placement { from, slot })
    }

    /// The device, on its slots.
    pub(super) fn attach(&self, slot: impl Fn(RawFd) -> Slot, surroundings: &Surroundings) -> Attached {
        let Places { queues, interrupt, .. } = self.places();
        let limiter = |limits| Limiter::new(&limits, clock);
        let device: Box<dyn Hosted> = match self.kind {
            Kind::Entropy { limits } => Box::new(Entropy::new(random, limiter(limits))),
            Kind::Balloon { statistics, .. } => Box::new(Balloon::new(HostPages, statistics, clock)),
            Kind::Console => {
                let bell = slot(slot::OUTPUT_BELL);
                let waiting = Rc::clone(&surroundings.waiting);
                Box::new(Console::new(Terminal::new(waiting, surroundings.shared, bell)))
            }
            Kind::Disk { index, properties, limits, .. } => {
                let file = DiskFile { slot: slot(slot::DISKS.start() + RawFd::from(index)), index };
                Box::new(Block::new(properties, file, limiter(limits)))
            }
            Kind::Net { index, rates, .. } => {
                let tap = Tap { slot: slot(slot::TAPS.start() + RawFd::from(index)), index };
                Box::new(Net::new(tap, &rates, clock))
            }
            Kind::Vsock { cid, path, .. } => {
                let (socket, epoll) = (slot(stream_slot::VSOCK_SOCKET), slot(stream_slot::VSOCK_EPOLL));
                let sockets = UnixSockets::new(socket, epoll, Address::new(path));
                Box::new(Vsock::new(cid, sockets, STREAMS))
            }
        };
        let kicks = queues.into_iter().map(&slot);
        let (interrupt, main_bell) = (slot(interrupt), slot(slot::MAIN_BELL));
        Attached::new(
            self.transport,
            device,
            kicks,
            interrupt,
            surroundings.memory,
            self.published,
            main_bell,
        )
    }
}

/// Random bytes of the kernel's.
fn random(bytes: &mut [u8]) {
    // It gives up to 256 bytes at once and whole, and has enough long before a machine starts. A refused call under
    // `--on-violation errno` leaves zeros.
    let _ = rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty());
}
