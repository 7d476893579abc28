//! The threads of the disks that have threads of their own.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use super::bells::{Bells, bell};
use super::served::sockets;
use super::{Error, prepare};
use crate::confine::Fencing;
use crate::confine::thread::Started;
use crate::role::devices::timer;
use crate::role::disk::{self, Work};
use crate::role::io::{DeviceDescriptors, Elsewhere, Kind};
use crate::role::serving;
use crate::role::shared::Shared;

/// Such a disk, and what its thread is reached by, in main's first table.
#[derive(Debug)]
pub(super) struct Disk {
    work: Work,
    file: RawFd,
    queue: RawFd,
    interrupt: RawFd,
    bell: EventFd,
    timer: OwnedFd,
    /// The ends of main and of the thread, where there is an API.
    sockets: Option<(OwnedFd, OwnedFd)>,
}

impl Disk {
    /// Takes those disks out of the devices, of which the others are io's.
    pub(super) fn take(
        devices: &mut Vec<DeviceDescriptors>,
        memory: &'static GuestMemoryMmap,
        shared: &'static Shared,
        with_api: bool,
    ) -> Result<Vec<Self>, Error> {
        let mut disks = Vec::new();
        for device in std::mem::take(devices) {
            let DeviceDescriptors { transport, kind, ref queues, interrupt, published } = device;
            if let Kind::Disk { index, file, properties, limits } = kind
                && let Some(thread) = shared.thread_of_disk(index)
                && let &[queue] = &queues[..]
            {
                let work = Work { index, thread, memory, transport, properties, limits, published };
                let sockets = with_api.then(|| prepare("socketpair", sockets())).transpose()?;
                let (bell, timer) = (bell(libc::EFD_NONBLOCK)?, timer()?);
                disks.push(Self { work, file, queue, interrupt, bell, timer, sockets });
            } else {
                devices.push(device);
            }
        }
        Ok(disks)
    }

    /// How io rings the thread.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        let Work { index, transport, .. } = self.work;
        Elsewhere { index, transport, bell: self.bell.as_raw_fd() }
    }

    /// By which main sends the thread files, and which of the disks it is.
    pub(super) fn socket(&self) -> Option<(u8, RawFd)> {
        self.sockets.as_ref().map(|(main, _)| (self.work.index, main.as_raw_fd()))
    }

    /// Gives birth to the thread.
    pub(super) fn start(&self, fencing: Fencing, bells: &Bells) -> Result<Started, Error> {
        let serving = serving::Descriptors {
            bell: self.bell.as_raw_fd(),
            main_bell: bells.main.as_raw_fd(),
            main_socket: self.sockets.as_ref().map(|(_, thread)| thread.as_raw_fd()),
            timer: Some(self.timer.as_raw_fd()),
        };
        let &Self { work, file, queue, interrupt, .. } = self;
        Ok(disk::start(fencing, disk::Descriptors { serving, file, queue, interrupt }, work)?)
    }
}
