//! Requests of 4 KiB for a file at random places, one call after the other: by one thread, or by several.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;

use rustix::fs::OFlags;

/// Bytes of a request, and what its place is a multiple of: what a file opened past the page cache asks for.
pub const BYTES: usize = 4096;

/// Memory for a request, at a multiple of its size.
#[derive(Clone, Debug)]
#[repr(align(4096))]
pub struct Page(pub [u8; BYTES]);

impl Page {
    /// With bytes that are no zeros.
    pub const fn new() -> Self {
        Self([0x5a; BYTES])
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Write.
    Write,
}

/// A file of so many pages, without holes.
#[derive(Debug)]
pub struct Disk {
    /// The file.
    pub file: File,
    /// Its size in pages of [`BYTES`].
    pub pages: u64,
}

impl Disk {
    /// Makes one without a name in the folder for temporary files. `direct`: past the page cache.
    ///
    /// # Errors
    /// The system's: `EINVAL` where the file system knows no way past its cache.
    pub fn new(pages: u64, direct: bool) -> io::Result<Self> {
        use std::io::Write as _;

        let mut file = tempfile::tempfile()?;
        let page = Page::new();
        (0..pages).try_for_each(|_| file.write_all(&page.0))?;
        file.sync_all()?;
        if direct {
            let flags = rustix::fs::fcntl_getfl(&file)?;
            rustix::fs::fcntl_setfl(&file, flags | OFlags::DIRECT)?;
        }
        Ok(Self { file, pages })
    }

    /// The first byte of a page at random.
    pub fn place(&self, random: &mut fastrand::Rng) -> u64 {
        random.u64(..self.pages) * BYTES as u64
    }
}

/// So many requests by the calling thread.
///
/// # Errors
/// The system's, and `WriteZero` or `UnexpectedEof` for a request that was not carried out whole.
pub fn one_by_one(disk: &Disk, access: Access, requests: u32, seed: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;

    let mut random = fastrand::Rng::with_seed(seed);
    let mut page = Page::new();
    (0..requests).try_for_each(|_| {
        let place = disk.place(&mut random);
        match access {
            Access::Read => disk.file.read_exact_at(&mut page.0, place),
            Access::Write => disk.file.write_all_at(&page.0, place),
        }
    })
}

/// So many requests in all by so many threads, which are started for them.
///
/// # Errors
/// As [`one_by_one`].
pub fn by_threads(disk: &Disk, access: Access, requests: u32, threads: u32, seed: u64) -> io::Result<()> {
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || one_by_one(disk, access, requests / threads, seed ^ u64::from(thread)))
            })
            .collect();
        started.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread of the benchmark panicked")))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_a_disk_can_be_asked_for_and_nothing_behind() {
        let disk = Disk::new(4, false).unwrap();
        let mut random = fastrand::Rng::with_seed(1);
        let places: std::collections::BTreeSet<_> = (0..200).map(|_| disk.place(&mut random)).collect();
        assert_eq!(places.into_iter().collect::<Vec<_>>(), [0, 4096, 8192, 12288]);
    }

    #[test]
    fn what_a_file_lacks_is_an_error() {
        let disk = Disk { pages: 2, ..Disk::new(1, false).unwrap() };
        let error = by_threads(&disk, Access::Read, 200, 2, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        one_by_one(&disk, Access::Write, 200, 1).unwrap();
        assert_eq!(disk.file.metadata().unwrap().len(), 2 * BYTES as u64);
    }
}
