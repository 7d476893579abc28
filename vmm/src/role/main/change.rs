//! Devices that change while the guest uses them: main opens what is to be opened, and io does the rest.
#![forbid(unsafe_code)]

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::monitor::Monitor;
use crate::api::machine::{DriveChange, InterfaceChange};
use crate::api::{Fault, Response};
use crate::confine::table::Taken;
use crate::devices::virtio::Limits;
use crate::devices::virtio::net::Rates;
use crate::role::desk::{Change, Contents, Failed};
use crate::role::devices::{Disk, DiskConfig, DiskIdentity};
use crate::role::policies::main_api::slot;

/// How long io may take to finish what it is doing: a request of a disk, which the host's disk may hold up.
const IO_LIMIT: Duration = Duration::from_secs(5);

/// The disks' files, as far as main knows of them.
#[derive(Debug)]
pub(super) struct Files {
    /// Which file each disk has, in the guest's order.
    present: Vec<DiskIdentity>,
    /// The number of the last message to io.
    message: u64,
}

impl Files {
    /// Those of the start.
    pub(super) fn new(present: Vec<DiskIdentity>) -> Self {
        Self { present, message: 0 }
    }
}

impl Monitor {
    /// Changes a drive.
    ///
    /// # Errors
    /// Why it is as it was.
    pub(super) fn change_drive(&mut self, change: DriveChange) -> Result<Response, Fault> {
        let DriveChange { index, drive, file, limits } = change;
        let nothing = || Fault::new("the machine was started without this drive");
        let present = self.files.present.get(index).copied().ok_or_else(nothing)?;
        // Held until io has the file, and closed then: io's own keeps the lock.
        let opened = if file {
            let config = DiskConfig::from(drive.clone());
            Some(Disk::open_beside(&config, Some(present)).map_err(Fault::new)?)
        } else {
            None
        };
        let (contents, identity) = match &opened {
            None => (Contents::Same, present),
            // The file that it has, which may have grown: it stays open where it is.
            Some(disk) if disk.identity == present => {
                (Contents::Resized { sectors: disk.properties.sectors }, present)
            }
            Some(disk) => {
                let message = self.send(&disk.file).map_err(|errno| {
                    Fault::new(format_args!(
                        "the file could not be handed to the io thread: {errno}; try again"
                    ))
                })?;
                (Contents::File { sectors: disk.properties.sectors, message }, disk.identity)
            }
        };
        let index = u8::try_from(index).map_err(|_| nothing())?;
        self.ask(Change::Disk { index, contents, limits: limits.into() })?;
        self.files.present[usize::from(index)] = identity;
        if let Some(service) = &mut self.service {
            service.machine.set_drive(drive);
        }
        Ok(Response::DONE)
    }

    /// Changes the limits of an interface.
    ///
    /// # Errors
    /// Why it is as it was.
    pub(super) fn change_interface(&mut self, change: InterfaceChange) -> Result<Response, Fault> {
        let InterfaceChange { index, interface, receive, transmit } = change;
        let rates = Rates { receive: Limits::from(receive), transmit: Limits::from(transmit) };
        let index =
            u8::try_from(index).map_err(|_| Fault::new("the machine was started without this interface"))?;
        self.ask(Change::Interface { index, rates })?;
        if let Some(service) = &mut self.service {
            service.machine.set_interface(interface);
        }
        Ok(Response::DONE)
    }

    /// Has io make a change, also while the machine is paused.
    fn ask(&self, change: Change) -> Result<(), Fault> {
        self.shared.desk.ask(change);
        self.shared.io.look_up();
        self.fenced.slot(slot::IO_BELL).ring();
        self.shared.desk.wait(Instant::now() + IO_LIMIT).map_err(|failed| match failed {
            Failed::Busy => Fault::new(format_args!(
                "the devices did not come to rest within {} s: the host's disk may be slow; nothing has changed",
                IO_LIMIT.as_secs()
            )),
            Failed::NoFile => Fault::new("the file did not reach the io thread; the drive is as it was"),
            Failed::NoDevice => Fault::new("the machine was started without this device"),
        })
    }

    /// Sends io a file; the number of the message.
    fn send(&mut self, file: &Taken) -> Result<u64, Errno> {
        self.files.message += 1;
        let message = self.files.message;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let files = [file.as_fd()];
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
        let socket = self.fenced.slot(slot::IO_SOCKET);
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let number = message.to_le_bytes();
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(socket, &[IoSlice::new(&number)], &mut ancillary, flags)
        })?;
        Ok(message)
    }
}
