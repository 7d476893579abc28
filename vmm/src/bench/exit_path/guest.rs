//! Machines whose guest does nothing but leave.

use std::os::fd::AsRawFd as _;

use kvm_ioctls::{IoEventAddress, NoDatamatch};
use vmm_sys_util::eventfd::EventFd;

use crate::bench::Error;
use crate::machine::{Config, HugePages, Image, Machine, QuirkChoice};

/// The port that the guest `exits` writes to.
pub const PORT: u16 = 0x80;

/// The one that it writes to with `kick=N`, so many times for each write to [`PORT`].
const KICK_PORT: u64 = 0x81;
/// How often.
pub const KICKS_PER_EXIT: u32 = 10;

/// How the guest leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It writes to a port that nobody listens on.
    Port,
    /// It reads memory that is not there.
    Mmio,
    /// It writes to a port that KVM answers by an eventfd, [`KICKS_PER_EXIT`] times, and once to the one that nobody listens on.
    Kick,
}

/// A machine. It is there for good, as the threads are that run it.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    pub(super) machine: &'static Machine,
    pub(super) way: Way,
}

impl Guest {
    /// Builds the machine.
    ///
    /// # Errors
    /// [`Error::Machine`], [`Error::IoEvent`]
    pub fn new(way: Way) -> Result<Self, Error> {
        let machine = Machine::build(&config(way)).map_err(Box::new)?;
        if way == Way::Kick {
            answer_kicks(&machine)?;
        }
        Ok(Self { machine: Box::leak(Box::new(machine)), way })
    }
}

/// Nobody listens to the eventfd: what is measured is the way out of the guest and back that KVM goes alone.
fn answer_kicks(machine: &Machine) -> Result<(), Error> {
    let bell = EventFd::new(libc::EFD_CLOEXEC | libc::EFD_NONBLOCK).map_err(Error::Descriptor)?;
    machine
        .vm
        .register_ioevent(&bell, &IoEventAddress::Pio(KICK_PORT), NoDatamatch)
        .map_err(Error::IoEvent)?;
    Ok(())
}

fn config(way: Way) -> Config {
    // Looked up by name so that a guest that was renamed shows as an error of the machine, which has no kernel then.
    let image = guest_images::bare::find("exits").map_or(&[][..], |guest| guest.image);
    // More exits than anybody takes.
    let most = i64::MAX;
    Config {
        vcpus: 1,
        memory_mib: 16,
        huge_pages: HugePages::Off,
        kernel: Image::Embedded { name: "exits", bytes: image },
        initrd: None,
        command_line: match way {
            Way::Port => most.to_string(),
            Way::Mmio => format!("mmio={most}"),
            Way::Kick => format!("kick={most}"),
        },
        devices: 0,
        keyboard: false,
        quirk: QuirkChoice::Auto,
    }
}

impl Guest {
    /// The descriptor of its vCPU.
    pub(super) fn vcpu(self) -> std::os::fd::RawFd {
        self.machine.vcpus[0].as_raw_fd()
    }
}
