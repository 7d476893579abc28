//! The virtio devices of a run: what they are, their registers, and the descriptors by which guest and io thread reach each
//! other.

mod balloon;
mod disk;
mod net;
mod vsock;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use kvm_ioctls::{IoEventAddress, VmFd};
use rustix::time::{TimerfdClockId, TimerfdFlags};
use vmm_sys_util::eventfd::EventFd;

pub use self::balloon::{BalloonConfig, Error as BalloonError, TextError as BalloonTextError};
pub use self::disk::{Disk, DiskConfig, Error as DiskError, Identity as DiskIdentity, TextError};
pub use self::net::{Error as NetError, Interface, NetConfig, NetTextError};
pub use self::vsock::{Error as VsockError, TextError as VsockTextError, Vsock, VsockConfig};
use super::io::{DeviceDescriptors, Kind, THREAD as IO_THREAD};
use super::published::Published;
use crate::devices::virtio::balloon::{Handle, Statistics};
use crate::devices::virtio::{
    Configuration, Identity, Limits, Transport, Windows, balloon as balloon_device, block, console,
    net as net_device, register, rng, vsock as socket,
};
use crate::machine::layout;

/// Which devices the guest gets.
#[derive(Debug, Default)]
pub struct Devices {
    /// A source of random bytes, and how much it may give in a time.
    pub entropy: Option<Limits>,
    /// The memory balloon.
    pub balloon: Option<BalloonConfig>,
    /// A console, beside the serial port.
    pub console: bool,
    /// Disks, in the order in which the guest finds them.
    pub disks: Vec<Disk>,
    /// Network interfaces, likewise.
    pub interfaces: Vec<Interface>,
    /// Streams between guest and host.
    pub vsock: Option<Vsock>,
    /// What the interfaces are called, in their order.
    pub interface_names: Vec<String>,
}

impl Devices {
    /// How many they are.
    pub fn count(&self) -> usize {
        let others = [self.entropy.is_some(), self.balloon.is_some(), self.console, self.vsock.is_some()];
        self.disks.len() + self.interfaces.len() + others.into_iter().filter(|there| *there).count()
    }
}

/// Why a device could not be wired.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed before the guest started: {source}")]
pub struct Error {
    /// What was tried.
    what: &'static str,
    /// The system's reason.
    source: io::Error,
}

fn tried<T>(what: &'static str, result: Result<T, impl Into<io::Error>>) -> Result<T, Error> {
    result.map_err(|source| Error { what, source: source.into() })
}

/// A device, its queues and its line.
#[derive(Debug)]
struct Wired {
    transport: &'static Transport,
    kind: Kind,
    published: &'static Published,
    /// KVM's ioeventfds, one a queue: a kick leaves `KVM_RUN` for no one.
    queues: Vec<EventFd>,
    interrupt: EventFd,
}

/// All of them, in main's first table.
#[derive(Debug)]
pub struct Wiring {
    devices: Vec<Wired>,
    /// For the rate limiters of those that io serves; there if a device is.
    timer: Option<OwnedFd>,
    /// What owns the descriptors that the devices name.
    disks: Vec<Disk>,
    _interfaces: Vec<Interface>,
    _vsock: Option<Vsock>,
}

impl Wiring {
    /// Makes the devices, disks first, then network interfaces, and tells KVM which accesses ring them and which lines they raise.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(
        Devices { entropy, balloon, console, disks, interfaces, vsock, interface_names }: Devices,
        vm: &VmFd,
    ) -> Result<Self, Error> {
        let of_disk = |(index, disk): (u8, &Disk)| {
            let Disk { file, properties, limits, .. } = disk;
            let kind = Kind::Disk { index, file: file.as_raw_fd(), properties: *properties, limits: *limits };
            (properties.identity(), Configuration::new(properties.configuration()), kind)
        };
        let of_interface = |(index, interface): (u8, &Interface)| {
            let Interface { tap, properties, rates, .. } = interface;
            let kind = Kind::Net { index, tap: tap.as_raw_fd(), rates: *rates };
            (properties.identity(), Configuration::new(properties.configuration()), kind)
        };
        let disks_of = (0..).zip(&disks).map(of_disk);
        let interfaces_of = (0..).zip(&interfaces).map(of_interface);
        let of_entropy = |limits| (rng::IDENTITY, Configuration::new(Vec::new()), Kind::Entropy { limits });
        let of_balloon = |config: BalloonConfig| {
            let properties = config.properties();
            let statistics = &*Box::leak(Box::new(Statistics::new(config.statistics_s.into())));
            let queues = properties.identity().queues.len();
            (properties.identity(), properties.configuration(), Kind::Balloon { queues, statistics })
        };
        let of_console = console.then(|| (console::IDENTITY, Configuration::new(vec![0; 12]), Kind::Console));
        let of_vsock = |vsock: &Vsock| {
            let space = Configuration::new(socket::configuration(vsock.cid).to_vec());
            (socket::IDENTITY, space, vsock.kind())
        };
        let others = entropy.map(of_entropy).into_iter().chain(balloon.map(of_balloon));
        let others = others.chain(of_console).chain(vsock.as_ref().map(of_vsock));
        let devices = (0..layout::MAX_VIRTIO)
            .zip(disks_of.chain(interfaces_of).chain(others))
            .map(|(place, (identity, configuration, kind))| {
                let thread = thread_of(&kind, &disks);
                let published = published(&kind, &interface_names, thread);
                Wired::new(Transport::new(identity, configuration), kind, published, place, vm)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let timer = (!devices.is_empty()).then(timer).transpose()?;
        Ok(Self { devices, timer, disks, _interfaces: interfaces, _vsock: vsock })
    }

    /// The registers, where the guest finds them.
    pub fn windows(&self) -> Windows {
        let transports = self.devices.iter().map(|device| device.transport).collect();
        Windows::new(layout::VIRTIO, layout::VIRTIO_WINDOW, transports)
    }

    /// The balloon, for whoever changes its size.
    pub fn balloon(&self) -> Option<Handle> {
        self.devices.iter().find_map(|device| match device.kind {
            Kind::Balloon { statistics, .. } => {
                Some(Handle { configuration: device.transport.configuration(), statistics })
            }
            _ => None,
        })
    }

    /// What is counted of them.
    pub fn published(&self) -> Vec<&'static Published> {
        self.devices.iter().map(|device| device.published).collect()
    }

    /// Which files are behind the disks, in their order.
    pub fn disks(&self) -> Vec<DiskIdentity> {
        self.disks.iter().map(|disk| disk.identity).collect()
    }

    /// For each disk whether it has a thread of its own.
    pub fn own_threads(&self) -> impl Iterator<Item = bool> {
        self.disks.iter().map(|disk| disk.own_thread)
    }

    /// The number of io's timer.
    pub fn timer(&self) -> Option<RawFd> {
        self.timer.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// What they are driven by.
    pub fn descriptors(&self) -> Vec<DeviceDescriptors> {
        self.devices.iter().map(Wired::descriptors).collect()
    }
}

/// The thread that serves a device.
fn thread_of(kind: &Kind, disks: &[Disk]) -> String {
    match *kind {
        Kind::Disk { index, .. } if disks[usize::from(index)].own_thread => super::disk::name(index),
        _ => IO_THREAD.to_owned(),
    }
}

fn published(kind: &Kind, interfaces: &[String], thread: String) -> &'static Published {
    let (subject, which, names) = match kind {
        Kind::Entropy { .. } => ("entropy", None, rng::COUNTS),
        Kind::Balloon { .. } => ("balloon", None, balloon_device::COUNTS),
        Kind::Console => ("console", None, &[][..]),
        Kind::Vsock { .. } => ("vsock", None, socket::COUNTS),
        Kind::Disk { properties, .. } => {
            let id = String::from_utf8_lossy(&properties.id);
            ("block", Some(id.trim_end_matches('\0').to_owned()), block::COUNTS)
        }
        Kind::Net { index, .. } => ("net", interfaces.get(usize::from(*index)).cloned(), net_device::COUNTS),
    };
    Published::new(subject, which, thread, names)
}

/// A timerfd of `CLOCK_MONOTONIC` that does not run.
///
/// # Errors
/// [`Error`]
pub fn timer() -> Result<OwnedFd, Error> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    tried("timerfd_create", rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags))
}

impl Wired {
    fn new(
        transport: Transport,
        kind: Kind,
        published: &'static Published,
        place: u8,
        vm: &VmFd,
    ) -> Result<Self, Error> {
        let eventfd = || tried("eventfd", EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC));
        let error = |error: kvm_ioctls::Error| io::Error::from_raw_os_error(error.errno());
        let registers = layout::VIRTIO + layout::VIRTIO_WINDOW * u64::from(place);
        let notify = IoEventAddress::Mmio(registers + register::QUEUE_NOTIFY);
        let Identity { queues, .. } = *transport.identity();
        let queue_of = |number: u32| {
            let queue = eventfd()?;
            // The value that is written there is the number of the queue.
            let heard = vm.register_ioevent(&queue, &notify, number).map_err(error);
            tried("registering a device's ioeventfd", heard).map(|()| queue)
        };
        let queues = (0..).zip(queues).map(|(number, _)| queue_of(number)).collect::<Result<_, _>>()?;
        let interrupt = eventfd()?;
        let line = layout::VIRTIO_IRQ + u32::from(place);
        tried("registering a device's irqfd", vm.register_irqfd(&interrupt, line).map_err(error))?;
        let transport = Box::leak(Box::new(transport));
        Ok(Self { transport, kind, published, queues, interrupt })
    }

    fn descriptors(&self) -> DeviceDescriptors {
        DeviceDescriptors {
            transport: self.transport,
            kind: self.kind,
            queues: self.queues.iter().map(EventFd::as_raw_fd).collect(),
            interrupt: self.interrupt.as_raw_fd(),
            published: self.published,
        }
    }
}
