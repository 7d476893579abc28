//! A disk's file on its slot. Bytes go between it and the guest's memory without a copy.

use std::io;
use std::os::fd::AsRawFd as _;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use vm_memory::VolatileSlice;

use super::attached::Hosted;
use super::received::Files;
use crate::confine::Slot;
use crate::devices::virtio::Configuration;
use crate::devices::virtio::block::{self, Block, Failed as Refused, Storage};
use crate::role::shared::desk::{Change, Contents, End, Failed};

/// The file at a slot of this thread's table.
#[derive(Debug)]
pub(in crate::role) struct DiskFile {
    pub(in crate::role) slot: Slot,
    /// Which of the disks it is, from 0.
    pub(in crate::role) index: u8,
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        match errno {
            // What the file system cannot do, and ENOSYS for what the kernel cannot.
            Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV => Self::Unsupported,
            _ => Self::Input,
        }
    }
}

/// Calls `part` with what is left of guest memory and its place in the file, until all is moved: a call may move less, and a
/// signal may come first. The end of the file, which may have become shorter since it was measured, is an error.
fn all(
    memory: &VolatileSlice<'_>,
    offset: u64,
    mut part: impl FnMut(*mut u8, usize, libc::off_t) -> Result<usize, Errno>,
) -> Result<(), Refused> {
    let guard = memory.ptr_guard_mut();
    let mut done = 0;
    while done < memory.len() {
        let offset = libc::off_t::try_from(offset + done as u64).map_err(|_| Refused::Input)?;
        match part(guard.as_ptr().wrapping_add(done), memory.len() - done, offset) {
            Ok(0) => return Err(Refused::Input),
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// The result of a call: how many bytes it moved, or why none.
fn moved(count: isize) -> Result<usize, Errno> {
    usize::try_from(count).map_err(|_| Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
}

/// Until no signal comes first.
fn once(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Refused> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

impl DiskFile {
    fn allocate(&self, flags: FallocateFlags, offset: u64, length: u64) -> Result<(), Refused> {
        once(|| rustix::fs::fallocate(self.slot, flags | FallocateFlags::KEEP_SIZE, offset, length))
    }
}

impl Storage for DiskFile {
    fn read(&self, offset: u64, memory: &VolatileSlice<'_>) -> Result<(), Refused> {
        all(memory, offset, |bytes, length, offset| {
            // SAFETY: guest memory of `length` bytes, into which this program keeps no reference, so that the kernel may write
            // to it as the guest itself may at any time.
            let count = unsafe { libc::pread(self.slot.as_raw_fd(), bytes.cast(), length, offset) };
            moved(count)
        })
    }

    fn write(&self, offset: u64, memory: &VolatileSlice<'_>) -> Result<(), Refused> {
        all(memory, offset, |bytes, length, offset| {
            // SAFETY: the kernel reads guest memory of `length` bytes, whatever the guest does to it meanwhile.
            let count = unsafe { libc::pwrite(self.slot.as_raw_fd(), bytes.cast(), length, offset) };
            moved(count)
        })
    }

    fn flush(&self) -> Result<(), Refused> {
        once(|| rustix::fs::fdatasync(self.slot))
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), Refused> {
        self.allocate(FallocateFlags::PUNCH_HOLE, offset, length)
    }

    fn zero(&self, offset: u64, length: u64, unmap: bool) -> Result<(), Refused> {
        // A hole reads as zeros.
        let how = if unmap { FallocateFlags::PUNCH_HOLE } else { FallocateFlags::ZERO_RANGE };
        self.allocate(how, offset, length)
    }
}

impl Hosted for Block<DiskFile> {
    fn change(&mut self, change: &Change, configuration: &Configuration, files: Files<Slot>) -> Option<End> {
        let &Change::Disk { index, contents, limits } = change else { return None };
        if index != self.storage().index {
            return None;
        }
        if let Contents::File { message, .. } = contents
            && !files.put_in_place(message, self.storage().slot.as_raw_fd())
        {
            return Some(Err(Failed::NoFile));
        }
        if let Contents::Resized { sectors } | Contents::File { sectors, .. } = contents {
            self.resize(sectors);
            configuration.set(block::CAPACITY, &sectors.to_le_bytes());
        }
        self.change_limits(&limits);
        Some(Ok(()))
    }
}
