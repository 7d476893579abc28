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
    index: u8,
    device: DeviceDescriptors,
    bell: EventFd,
    timer: OwnedFd,
    /// The ends of main and of the thread, where there is an API.
    sockets: Option<(OwnedFd, OwnedFd)>,
}

impl Disk {
    /// Takes those disks out of the devices, of which the others are io's.
    pub(super) fn take(
        devices: &mut Vec<DeviceDescriptors>,
        shared: &Shared,
        with_api: bool,
    ) -> Result<Vec<Self>, Error> {
        let own = |device: &DeviceDescriptors| match device.kind {
            Kind::Disk { index, .. } => shared.thread_of_disk(index).map(|_| index),
            _ => None,
        };
        let disks: Vec<_> =
            devices.iter().filter_map(|device| Some((own(device)?, device.clone()))).collect();
        devices.retain(|device| own(device).is_none());
        let disk = |(index, device)| {
            let sockets = with_api.then(|| prepare("socketpair", sockets())).transpose()?;
            Ok(Self { index, device, bell: bell(libc::EFD_NONBLOCK)?, timer: timer()?, sockets })
        };
        disks.into_iter().map(disk).collect()
    }

    /// How io rings the thread.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        Elsewhere { index: self.index, transport: self.device.transport, bell: self.bell.as_raw_fd() }
    }

    /// By which main sends the thread files, and which of the disks it is.
    pub(super) fn socket(&self) -> Option<(u8, RawFd)> {
        self.sockets.as_ref().map(|(main, _)| (self.index, main.as_raw_fd()))
    }

    /// Gives birth to the thread.
    pub(super) fn start(
        &self,
        fencing: Fencing,
        bells: &Bells,
        memory: &'static GuestMemoryMmap,
        shared: &'static Shared,
    ) -> Result<Option<Started>, Error> {
        let DeviceDescriptors { transport, kind, ref queues, interrupt, published } = self.device;
        let (Kind::Disk { index, file, properties, limits }, Some(thread), &[queue]) =
            (kind, shared.thread_of_disk(self.index), &queues[..])
        else {
            return Ok(None);
        };
        let serving = serving::Descriptors {
            bell: self.bell.as_raw_fd(),
            main_bell: bells.main.as_raw_fd(),
            main_socket: self.sockets.as_ref().map(|(_, thread)| thread.as_raw_fd()),
            timer: Some(self.timer.as_raw_fd()),
        };
        let descriptors = disk::Descriptors { serving, file, queue, interrupt };
        let work = Work { index, thread, memory, transport, properties, limits, published };
        Ok(Some(disk::start(fencing, descriptors, work)?))
    }
}
