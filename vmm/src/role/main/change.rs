//! Devices that change while the guest uses them: main opens what is to be opened, and io does the rest.
#![forbid(unsafe_code)]

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, RawFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::monitor::Monitor;
use super::pause::IO_LIMIT;
use crate::api::machine::{DriveChange, InterfaceChange};
use crate::api::model::{Drive, NetworkInterface};
use crate::api::{Fault, Response};
use crate::confine::table::Taken;
use crate::devices::virtio::Limits;
use crate::devices::virtio::net::Rates;
use crate::role::devices::{Disk, DiskConfig, DiskIdentity};
use crate::role::policies::main_api::slot;
use crate::role::shared::IoThread;
use crate::role::shared::desk::{Change, Contents, End, Failed, Late};

/// The disks' files, as far as main knows of them.
#[derive(Debug)]
pub(super) struct Files {
    /// Which file each disk has, in the guest's order.
    present: Vec<DiskIdentity>,
    /// The number of the last message.
    message: u64,
    /// A change for which main waits no longer: who makes it, and what is to be noted if it is made.
    underway: Option<(&'static IoThread, Made)>,
}

/// What main knows of a machine when a change has been made.
#[derive(Debug)]
enum Made {
    Drive { index: u8, identity: DiskIdentity, drive: Drive },
    Interface(NetworkInterface),
}

/// Where the socket to the thread of a disk lies.
pub(super) fn disk_socket(index: u8) -> RawFd {
    slot::DISK_SOCKETS.start() + RawFd::from(index)
}

impl Files {
    /// Those of the start.
    pub(super) fn new(present: Vec<DiskIdentity>) -> Self {
        Self { present, message: 0, underway: None }
    }
}

impl Monitor {
    /// Changes a drive.
    ///
    /// # Errors
    /// Why it is as it was.
    pub(super) fn change_drive(&mut self, change: DriveChange) -> Result<Response, Fault> {
        self.see_none_underway()?;
        let DriveChange { index, drive, file, limits } = change;
        let nothing = || Fault::new("the machine was started without this drive");
        let present = self.files.present.get(index).copied().ok_or_else(nothing)?;
        let index = u8::try_from(index).map_err(|_| nothing())?;
        // Held until that thread has the file, and closed then: its own keeps the lock.
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
                let message = self.send(index, &disk.file).map_err(|errno| {
                    Fault::new(format_args!(
                        "the file could not be handed to the thread that serves the drive: {errno}; try again"
                    ))
                })?;
                (Contents::File { sectors: disk.properties.sectors, message }, disk.identity)
            }
        };
        let change = Change::Disk { index, contents, limits: limits.into() };
        self.ask(change, Made::Drive { index, identity, drive })
    }

    /// Changes the limits of an interface.
    ///
    /// # Errors
    /// Why it is as it was.
    pub(super) fn change_interface(&mut self, change: InterfaceChange) -> Result<Response, Fault> {
        self.see_none_underway()?;
        let InterfaceChange { index, interface, receive, transmit } = change;
        let rates = Rates { receive: Limits::from(receive), transmit: Limits::from(transmit) };
        let index =
            u8::try_from(index).map_err(|_| Fault::new("the machine was started without this interface"))?;
        self.ask(Change::Interface { index, rates }, Made::Interface(interface))
    }

    /// Has the thread that serves the device make a change, also while the machine is paused.
    fn ask(&mut self, change: Change, made: Made) -> Result<Response, Fault> {
        let thread = self.shared.thread_of(&change);
        thread.desk.ask(change);
        thread.state.look_up();
        // A thread other than io is rung by io.
        self.fenced.slot(slot::IO_BELL).ring();
        let late = match thread.desk.wait(Instant::now() + IO_LIMIT) {
            Ok(end) => return self.conclude(end, made),
            Err(late) => late,
        };
        self.files.underway = Some((thread, made));
        let seconds = IO_LIMIT.as_secs();
        Err(match late {
            Late::NotBegun => Fault::new(format_args!(
                "the devices did not come to rest within {seconds} s: the host's disk may be slow; nothing has changed"
            )),
            Late::Begun => Fault::new(
                "the change has begun and not come to its end: the host's disk may be slow; GET /vm/config tells of it when it has",
            ),
        })
    }

    /// The end of a change: what io made is noted.
    fn conclude(&mut self, end: End, made: Made) -> Result<Response, Fault> {
        match end {
            Ok(()) => {}
            Err(Failed::NoFile) => {
                return Err(Fault::new("the file did not arrive; the drive is as it was"));
            }
            Err(Failed::NoDevice) => return Err(Fault::new("the machine was started without this device")),
            Err(Failed::GivenUp) => return Err(Fault::new("the change was given up; nothing has changed")),
        }
        if let Made::Drive { index, identity, .. } = made {
            self.files.present[usize::from(index)] = identity;
        }
        if let Some(service) = &mut self.service {
            match made {
                Made::Drive { drive, .. } => service.machine.set_drive(drive),
                Made::Interface(interface) => service.machine.set_interface(interface),
            }
        }
        Ok(Response::DONE)
    }

    /// Notes what has become meanwhile of a change for which main waits no longer, if there is one. Before a request is looked
    /// at, which is about the machine as it is.
    pub(super) fn conclude_late(&mut self) {
        if let Some((thread, _)) = &self.files.underway
            && let Some(end) = thread.desk.end()
            && let Some((_, made)) = self.files.underway.take()
        {
            // Whoever asked for it was answered long ago.
            let _ = self.conclude(end, made);
        }
    }

    /// One change at a time: sees that what was sent for the last one has been let go of, whose file stays locked until then.
    fn see_none_underway(&self) -> Result<(), Fault> {
        if self.files.underway.is_none() {
            return Ok(());
        }
        Err(Fault::new(
            "the devices' thread has not come back to the change that it was asked for before: the host's disk may be slow; try again",
        ))
    }

    /// Sends a file to the thread that serves a disk; the number of the message.
    fn send(&mut self, index: u8, file: &Taken) -> Result<u64, Errno> {
        self.files.message += 1;
        let message = self.files.message;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let files = [file.as_fd()];
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
        let has_thread = self.shared.thread_of_disk(index).is_some();
        let socket = self.fenced.slot(if has_thread { disk_socket(index) } else { slot::IO_SOCKET });
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let number = message.to_le_bytes();
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(socket, &[IoSlice::new(&number)], &mut ancillary, flags)
        })?;
        Ok(message)
    }
}
