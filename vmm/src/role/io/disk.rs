//! A disk's file on its slot.

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::confine::Slot;
use crate::devices::virtio::block::{Failed, Storage};

/// The file at a slot of this thread's table.
#[derive(Debug)]
pub(super) struct DiskFile(pub(super) Slot);

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        match errno {
            // What the file system cannot do, and ENOSYS for what the kernel cannot.
            Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV => Self::Unsupported,
            _ => Self::Input,
        }
    }
}

/// Until all is moved: a call may move less, and a signal may come first. The end of the file, which may have become shorter
/// since it was measured, is an error.
fn all(length: usize, mut part: impl FnMut(usize) -> Result<usize, Errno>) -> Result<(), Failed> {
    let mut done = 0;
    while done < length {
        match part(done) {
            Ok(0) => return Err(Failed::Input),
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Until no signal comes first.
fn once(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Failed> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

impl DiskFile {
    fn allocate(&self, flags: FallocateFlags, offset: u64, length: u64) -> Result<(), Failed> {
        once(|| rustix::fs::fallocate(self.0, flags | FallocateFlags::KEEP_SIZE, offset, length))
    }
}

impl Storage for DiskFile {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Failed> {
        all(bytes.len(), |done| rustix::io::pread(self.0, &mut bytes[done..], offset + done as u64))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Failed> {
        all(bytes.len(), |done| rustix::io::pwrite(self.0, &bytes[done..], offset + done as u64))
    }

    fn flush(&self) -> Result<(), Failed> {
        once(|| rustix::fs::fdatasync(self.0))
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), Failed> {
        self.allocate(FallocateFlags::PUNCH_HOLE, offset, length)
    }

    fn zero(&self, offset: u64, length: u64, unmap: bool) -> Result<(), Failed> {
        // A hole reads as zeros.
        let how = if unmap { FallocateFlags::PUNCH_HOLE } else { FallocateFlags::ZERO_RANGE };
        self.allocate(how, offset, length)
    }
}
