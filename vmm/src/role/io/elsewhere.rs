//! Disks that have threads of their own. vCPUs and main ring io alone, which rings those that they mean.

use std::os::fd::RawFd;

use crate::confine::Slot;
use crate::confine::table::Placement;
use crate::devices::virtio::Transport;
use crate::role::policies::io::slot;
use crate::role::shared::{IoThread, Shared};

/// Such a disk.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere {
    /// Which of the disks, from 0.
    pub index: u8,
    /// Its registers.
    pub transport: &'static Transport,
    /// Its thread's bell, a number in this thread's parent's table.
    pub bell: RawFd,
}

impl Elsewhere {
    fn slot(&self) -> RawFd {
        slot::DISK_BELLS.start() + RawFd::from(self.index)
    }

    /// Where the bell goes.
    pub(super) fn placement(&self) -> Placement {
        Placement { from: self.bell, slot: self.slot() }
    }
}

/// A disk's thread as this one rings it.
#[derive(Debug)]
pub(super) struct Forwarded {
    transport: &'static Transport,
    thread: &'static IoThread,
    bell: Slot,
}

impl Forwarded {
    /// `None` if the disk has no thread of its own.
    pub(super) fn new(
        disk: &Elsewhere,
        shared: &'static Shared,
        slot: impl Fn(RawFd) -> Slot,
    ) -> Option<Self> {
        let thread = shared.thread_of_disk(disk.index)?;
        Some(Self { transport: disk.transport, thread, bell: slot(disk.slot()) })
    }

    /// Rings the thread if what this one was rung for may be about it.
    pub(super) fn look(&self) {
        if self.thread.is_wanted() || self.transport.request().is_some() {
            self.bell.ring();
        }
    }
}
