//! An `io_uring` that may do nothing but read, write and synchronize one file: as it would have to be for a thread under a filter,
//! which sees that the ring is entered and nothing of what is asked for by it.

use std::io;
use std::os::fd::{AsRawFd as _, RawFd};

use io_uring::register::Restriction;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fixed, FsyncFlags};
use io_uring::{IoUring, opcode};

use crate::requests::{Access, BYTES, Disk, Page};

/// Where the one file is registered.
const FILE: Fixed = Fixed(0);

/// A ring for one disk.
pub struct Ring {
    ring: IoUring,
    /// One for each request that is on its way.
    pages: Vec<Page>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("depth", &self.pages.len()).finish_non_exhaustive()
    }
}

impl Ring {
    /// `depth`: requests at once.
    ///
    /// # Errors
    /// The system's: `EPERM` where the host forbids rings (`kernel.io_uring_disabled`).
    pub fn new(disk: &Disk, depth: u32) -> io::Result<Self> {
        let ring = IoUring::builder().setup_r_disabled().build(depth)?;
        let submitter = ring.submitter();
        submitter.register_files(&[disk.file.as_raw_fd()])?;
        submitter.register_restrictions(&mut [
            Restriction::sqe_op(opcode::Read::CODE),
            Restriction::sqe_op(opcode::Write::CODE),
            Restriction::sqe_op(opcode::Fsync::CODE),
            Restriction::sqe_flags_required(Flags::FIXED_FILE.bits()),
            Restriction::sqe_flags_allowed(Flags::IO_LINK.bits()),
        ])?;
        submitter.register_enable_rings()?;
        Ok(Self { ring, pages: vec![Page::new(); depth as usize] })
    }

    /// The ring's descriptor: readable when something is done.
    pub fn number(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// So many requests at random places, as many at once as the ring has room for; each that is done makes way for the next.
    ///
    /// # Errors
    /// The system's; `UnexpectedEof` for a request that was not carried out whole.
    pub fn run(&mut self, disk: &Disk, access: Access, requests: u32, seed: u64) -> io::Result<()> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut free: Vec<usize> = (0..self.pages.len()).collect();
        let (mut asked, mut done) = (0, 0);
        while done < requests {
            while asked < requests
                && let Some(index) = free.pop()
            {
                self.ask(access, index, disk.place(&mut random))?;
                asked += 1;
            }
            self.ring.submit_and_wait(1)?;
            for completion in self.ring.completion() {
                outcome(completion.result(), BYTES)?;
                free.push(usize::try_from(completion.user_data()).unwrap_or_default());
                done += 1;
            }
        }
        Ok(())
    }

    fn ask(&mut self, access: Access, index: usize, place: u64) -> io::Result<()> {
        let page = self.pages[index].0.as_mut_ptr();
        let bytes = u32::try_from(BYTES).unwrap_or(u32::MAX);
        let entry = match access {
            Access::Read => opcode::Read::new(FILE, page, bytes).offset(place).build(),
            Access::Write => opcode::Write::new(FILE, page, bytes).offset(place).build(),
        };
        self.push(&entry.user_data(index as u64))
    }

    /// Asks for a write at the beginning and for a synchronization after it, without waiting for either.
    ///
    /// # Errors
    /// The system's.
    pub fn begin_synchronized_write(&mut self) -> io::Result<()> {
        let bytes = u32::try_from(BYTES).unwrap_or(u32::MAX);
        let write = opcode::Write::new(FILE, self.pages[0].0.as_ptr(), bytes).build().flags(Flags::IO_LINK);
        self.push(&write)?;
        self.push(&opcode::Fsync::new(FILE).flags(FsyncFlags::DATASYNC).build())?;
        self.ring.submit().map(|_| ())
    }

    /// How many of what was asked for are done by now.
    ///
    /// # Errors
    /// That of one that failed.
    pub fn done(&mut self) -> io::Result<usize> {
        let mut count = 0;
        for completion in self.ring.completion() {
            outcome(completion.result(), 0)?;
            count += 1;
        }
        Ok(count)
    }

    /// Waits until so many more are done.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&mut self, count: usize) -> io::Result<()> {
        self.ring.submit_and_wait(count).map(|_| ())
    }

    fn push(&mut self, entry: &Entry) -> io::Result<()> {
        // SAFETY: the pages are this value's, which outlives what it asked for: `Drop` takes the ring down first, and nobody else reads or
        // writes a page meanwhile. The file is registered, and so is kept by the ring.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)
    }
}

fn outcome(result: i32, least: usize) -> io::Result<()> {
    match usize::try_from(result) {
        Ok(moved) if moved >= least => Ok(()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::from_raw_os_error(-result)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring, unless this host has none for us.
    fn ring(disk: &Disk) -> Option<Ring> {
        match Ring::new(disk, 2) {
            Ok(ring) => Some(ring),
            Err(error) => {
                println!("not run: there is no io_uring here: {error}");
                None
            }
        }
    }

    #[test]
    fn a_ring_reads_and_writes_its_file() {
        let disk = Disk::new(1, false).unwrap();
        let Some(mut ring) = ring(&disk) else { return };
        ring.pages.iter_mut().for_each(|page| page.0.fill(7));
        ring.run(&disk, Access::Write, 3, 1).unwrap();
        ring.pages.iter_mut().for_each(|page| page.0.fill(0));
        ring.run(&disk, Access::Read, 3, 1).unwrap();
        assert_eq!(ring.pages[1].0, [7; BYTES]);
        ring.begin_synchronized_write().unwrap();
        ring.wait(2).unwrap();
        assert_eq!(ring.done().unwrap(), 2);
    }

    #[test]
    fn a_ring_refuses_another_operation_and_a_file_that_is_not_registered() {
        let disk = Disk::new(1, false).unwrap();
        let Some(mut ring) = ring(&disk) else { return };
        let fixed = Flags::FIXED_FILE;
        let other = io_uring::types::Fd(disk.file.as_raw_fd());
        let page = ring.pages[0].0.as_mut_ptr();
        for entry in [opcode::Nop::new().build().flags(fixed), opcode::Read::new(other, page, 1).build()] {
            ring.push(&entry).unwrap();
            ring.wait(1).unwrap();
            assert_eq!(ring.done().unwrap_err().raw_os_error(), Some(libc::EACCES));
        }
    }

    #[test]
    fn what_a_file_lacks_is_an_error() {
        let disk = Disk { pages: 2, ..Disk::new(1, false).unwrap() };
        let Some(mut ring) = ring(&disk) else { return };
        assert_eq!(ring.run(&disk, Access::Read, 200, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
