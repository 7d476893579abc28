//! A file or a named pipe to which lines go, and which never makes the writer wait.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::confine::Slot;

/// Where lines go.
#[derive(Debug)]
pub enum Outlet {
    /// Before main is fenced.
    File(File),
    /// Afterwards.
    Slot(Slot),
}

impl Outlet {
    /// Opens a file, which is made if it is not there, or a pipe, whether or not anybody reads it yet: with both ends, as
    /// Firecracker does (fifo(7)). `appends`: what is there already stays.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path, appends: bool) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).create(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        if appends {
            options.append(true)
        } else {
            options.write(true).truncate(false)
        };
        options.open(path).map(Self::File)
    }

    /// Writes all of it at once; false if not all of it is taken.
    pub fn write(&self, bytes: &[u8]) -> bool {
        rustix::io::retry_on_intr(|| rustix::io::write(self, bytes)) == Ok(bytes.len())
    }

    /// Puts it in the place of what is there; false if not all of it is taken. A pipe has nothing to be replaced.
    pub fn replace(&self, bytes: &[u8]) -> bool {
        if rustix::fs::ftruncate(self, 0).is_err() {
            return self.write(bytes);
        }
        rustix::io::retry_on_intr(|| rustix::io::pwrite(self, bytes, 0)) == Ok(bytes.len())
    }

    /// The number of the file that it is.
    pub fn number(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }

    /// The file lies at this slot now; its number from before means something else.
    pub fn lies_at(&mut self, slot: Slot) {
        std::mem::forget(std::mem::replace(self, Self::Slot(slot)));
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::File(file) => file.as_fd(),
            Self::Slot(slot) => slot.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_or_replace_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "before\n").unwrap();
        let added = Outlet::open(&path, true).unwrap();
        assert!(added.write(b"one\n") && added.write(b"two\n"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\none\ntwo\n");
        let replaced = Outlet::open(&path, false).unwrap();
        assert!(replaced.replace(b"long text\n") && replaced.replace(b"x\n"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "x\n");
    }

    #[test]
    fn a_pipe_that_nobody_reads_takes_what_it_holds_and_then_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let pipe = Outlet::open(&path, true).unwrap();
        let taken = (0..10_000).take_while(|_| pipe.write(&[b'x'; 100])).count();
        assert!((1..10_000).contains(&taken), "{taken}");
        assert!(!Outlet::open(Path::new("/dev/full"), true).unwrap().write(b"x"));
    }
}
