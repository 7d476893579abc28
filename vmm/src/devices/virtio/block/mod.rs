//! The block device, virtio 1.2 section 5.2: one queue of requests for sectors of 512 bytes.

mod request;
mod storage;

use std::time::Duration;

use virtio_queue::DescriptorChain;
use vm_memory::{GuestMemoryMmap, VolatileSlice};

use self::request::{Asks, Header, Range};
pub use self::request::{ID_BYTES, Status};
pub use self::storage::{Failed, Storage};
use super::buffers::{self, Buffers};
use super::device::{Broken, Counts, Device, Features, Identity, Processed};
use super::queue::Queue;
use super::rate_limiter::{Limiter, Limits};

/// Bytes of a sector, whatever the storage's own are (section 5.2.4).
pub const SECTOR: u64 = 512;

/// Device type (section 5).
const DEVICE_TYPE: u32 = 2;
/// Feature bits (section 5.2.3).
const READ_ONLY: u64 = 1 << 5;
const FLUSH: u64 = 1 << 9;
const DISCARD: u64 = 1 << 13;
const WRITE_ZEROES: u64 = 1 << 14;

/// Bytes that are moved at once.
pub const AT_ONCE: usize = 64 * 1024;

/// Zeros that are written at once.
const ZEROS_AT_ONCE: usize = 16 * 1024;

/// Sectors of one range to discard or to zero at most, 64 MiB, and ranges of one request. Zeroing sectors that the storage cannot
/// zero by itself takes a write for each 64 KiB, and holds the thread meanwhile.
const MOST_SECTORS: u32 = 64 << 11;
const MOST_RANGES: u32 = 1;

/// What promises a disk keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cache {
    /// A driver's flush does nothing, and none is offered: after the host has lost power, anything may be lost.
    #[default]
    Unsafe,
    /// What was written before a flush outlives a loss of power of the host.
    Writeback,
}

/// What a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Sectors that the guest sees: whole ones alone.
    pub sectors: u64,
    /// Whether it can only be read.
    pub read_only: bool,
    /// What a flush does.
    pub cache: Cache,
    /// What the driver gets for a name, with zeros after it.
    pub id: [u8; ID_BYTES],
}

/// Where the configuration space has the number of sectors, `capacity` of `struct virtio_blk_config`: in 8 bytes, little-endian.
pub const CAPACITY: usize = 0;

impl Properties {
    /// What a driver sees before it does anything.
    pub fn identity(&self) -> Identity {
        let mut features = Features::COMMON.0;
        if self.read_only {
            features |= READ_ONLY;
        } else {
            features |= DISCARD | WRITE_ZEROES;
        }
        if self.cache == Cache::Writeback {
            features |= FLUSH;
        }
        Identity { device_type: DEVICE_TYPE, features: Features(features), queues: &[256] }
    }

    /// The configuration space, `struct virtio_blk_config` (section 5.2.4).
    pub fn configuration(&self) -> Vec<u8> {
        let mut space = vec![0; 60];
        let mut put = |at: usize, bytes: &[u8]| space[at..at + bytes.len()].copy_from_slice(bytes);
        put(CAPACITY, &self.sectors.to_le_bytes());
        if !self.read_only {
            put(36, &MOST_SECTORS.to_le_bytes());
            put(40, &MOST_RANGES.to_le_bytes());
            put(44, &1u32.to_le_bytes()); // a range to discard may begin at any sector
            put(48, &MOST_SECTORS.to_le_bytes());
            put(52, &MOST_RANGES.to_le_bytes());
            put(56, &[1]); // sectors of zeros may become a hole
        }
        space
    }
}

/// What a disk counts, by Firecracker's names.
pub const COUNTS: &[&str] = &[
    "read_count",
    "read_bytes",
    "write_count",
    "write_bytes",
    "flush_count",
    "execute_fails",
    "rate_limiter_throttled_events",
];

/// A disk.
#[derive(Debug)]
pub struct Block<S> {
    properties: Properties,
    storage: S,
    limiter: Limiter,
    tally: Tally,
}

/// Requests that were carried out, and those that were not.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    reads: u64,
    read_bytes: u64,
    writes: u64,
    written_bytes: u64,
    flushes: u64,
    failures: u64,
}

/// Why a request was not carried out, other than by a driver that breaks the rules.
#[derive(Debug)]
enum Stopped {
    Refused(Status),
    Broken(Broken),
}

impl From<Broken> for Stopped {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Self::Refused(match failed {
            Failed::Input => Status::Error,
            Failed::Unsupported => Status::Unsupported,
        })
    }
}

impl<S: Storage> Block<S> {
    /// A disk on this storage.
    pub fn new(properties: Properties, storage: S, limiter: Limiter) -> Self {
        Self { properties, storage, limiter, tally: Tally::default() }
    }

    /// What keeps its bytes.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The storage has another size from now on, in sectors; what the driver knows of it is the caller's to change.
    pub fn resize(&mut self, sectors: u64) {
        self.properties.sectors = sectors;
    }

    /// How much it may do in a time from now on; where nothing is said, as much as before.
    pub fn change_limits(&mut self, limits: &Limits) {
        self.limiter.change(limits);
    }

    fn carry_out(&mut self, buffers: &mut Buffers, memory: &GuestMemoryMmap) -> Result<(), Stopped> {
        let mut header = [0; Header::BYTES];
        if !buffers.readable.read(memory, &mut header)? {
            return Err(Broken("a request without a header").into());
        }
        let header = Header::from_bytes(&header);
        match header.asks {
            Asks::Read => self.read(header.sector, buffers, memory),
            Asks::Write => self.write(header.sector, buffers, memory),
            Asks::Flush if self.properties.cache == Cache::Writeback => {
                self.storage.flush()?;
                self.tally.flushes += 1;
                Ok(())
            }
            // A driver that did not look at the features: there is nothing to keep.
            Asks::Flush => Ok(()),
            Asks::Id => {
                // As much as the driver has room for (section 5.2.6).
                buffers.writable.write(memory, &self.properties.id)?;
                Ok(())
            }
            Asks::Discard | Asks::WriteZeroes => self.clear(header.asks, buffers, memory),
            Asks::Unknown => Err(Stopped::Refused(Status::Unsupported)),
        }
    }

    /// The first byte of sectors that are all on the disk.
    fn place(&self, sector: u64, bytes: u64) -> Result<u64, Stopped> {
        let sectors = bytes / SECTOR;
        let whole = bytes.is_multiple_of(SECTOR);
        let end = sector.checked_add(sectors).filter(|end| whole && *end <= self.properties.sectors);
        end.map(|_| sector * SECTOR).ok_or(Stopped::Refused(Status::Error))
    }

    fn place_to_write(&self, sector: u64, bytes: u64) -> Result<u64, Stopped> {
        if self.properties.read_only {
            return Err(Stopped::Refused(Status::Error));
        }
        self.place(sector, bytes)
    }

    fn read(&mut self, sector: u64, buffers: &mut Buffers, memory: &GuestMemoryMmap) -> Result<(), Stopped> {
        let mut at = self.place(sector, buffers.writable.left())?;
        while let Some(piece) = buffers.writable.take(AT_ONCE) {
            for slice in buffers::slices(memory, piece) {
                let slice = slice?;
                self.storage.read(at, &slice)?;
                at += slice.len() as u64;
                self.tally.read_bytes += slice.len() as u64;
            }
        }
        self.tally.reads += 1;
        Ok(())
    }

    fn write(&mut self, sector: u64, buffers: &mut Buffers, memory: &GuestMemoryMmap) -> Result<(), Stopped> {
        let mut at = self.place_to_write(sector, buffers.readable.left())?;
        while let Some(piece) = buffers.readable.take(AT_ONCE) {
            for slice in buffers::slices(memory, piece) {
                let slice = slice?;
                self.storage.write(at, &slice)?;
                at += slice.len() as u64;
                self.tally.written_bytes += slice.len() as u64;
            }
        }
        self.tally.writes += 1;
        Ok(())
    }

    fn clear(&mut self, asks: Asks, buffers: &mut Buffers, memory: &GuestMemoryMmap) -> Result<(), Stopped> {
        if self.properties.read_only {
            return Err(Stopped::Refused(Status::Error));
        }
        if buffers.readable.left() != Range::BYTES as u64 {
            return Err(Stopped::Refused(Status::Unsupported));
        }
        let mut range = [0; Range::BYTES];
        buffers.readable.read(memory, &mut range)?;
        let range = Range::from_bytes(&range);
        if range.sectors > MOST_SECTORS {
            return Err(Stopped::Refused(Status::Error));
        }
        let length = u64::from(range.sectors) * SECTOR;
        let at = self.place_to_write(range.sector, length)?;
        match (asks, range.flags) {
            _ if length == 0 => Ok(()),
            (Asks::Discard, 0) => Ok(self.storage.discard(at, length)?),
            (Asks::WriteZeroes, Range::UNMAP) => self.zero(at, length, true),
            (Asks::WriteZeroes, 0) => self.zero(at, length, false),
            _ => Err(Stopped::Refused(Status::Unsupported)),
        }
    }

    /// Zeros by the storage's own means, or else by writing them.
    fn zero(&mut self, at: u64, length: u64, unmap: bool) -> Result<(), Stopped> {
        match self.storage.zero(at, length, unmap) {
            Err(Failed::Unsupported) => {}
            result => return Ok(result?),
        }
        let mut zeros = [0; ZEROS_AT_ONCE];
        let end = at + length;
        for start in (at..end).step_by(ZEROS_AT_ONCE) {
            let most = usize::try_from(end - start).unwrap_or(ZEROS_AT_ONCE).min(ZEROS_AT_ONCE);
            self.storage.write(start, &VolatileSlice::from(&mut zeros[..most]))?;
        }
        Ok(())
    }

    /// One request; the bytes that it wrote, the status among them, or `None` if the disk has done enough for now.
    fn request(
        &mut self,
        chain: DescriptorChain<&GuestMemoryMmap>,
        memory: &GuestMemoryMmap,
    ) -> Result<Option<u32>, Broken> {
        let mut buffers = Buffers::new(chain)?;
        if !self.limiter.take(buffers.readable.left() + buffers.writable.left()) {
            return Ok(None);
        }
        // The last byte that the device may write is the status, however the rest is divided (section 5.2.6).
        let status =
            buffers.writable.take_last().ok_or(Broken("a request without a place for its status"))?;
        let room = buffers.writable.left();
        let outcome = match self.carry_out(&mut buffers, memory) {
            Ok(()) => Status::Done,
            Err(Stopped::Refused(status)) => {
                self.tally.failures += 1;
                status
            }
            Err(Stopped::Broken(broken)) => return Err(broken),
        };
        buffers::write(memory, buffers::Piece { address: status, length: 1 }, &[outcome as u8])?;
        let written = room - buffers.writable.left() + 1;
        Ok(Some(u32::try_from(written).unwrap_or(u32::MAX)))
    }
}

impl<S: Storage> Device for Block<S> {
    fn serve(
        &mut self,
        _index: usize,
        queue: &mut Queue,
        memory: &GuestMemoryMmap,
    ) -> Result<Processed, Broken> {
        self.limiter.begin_turn();
        queue.each(memory, |chain| self.request(chain, memory))
    }

    fn has_work(&self, _index: usize) -> bool {
        self.limiter.may_go_on()
    }

    fn counts(&self) -> Counts {
        let Tally { reads, read_bytes, writes, written_bytes, flushes, failures } = self.tally;
        [reads, read_bytes, writes, written_bytes, flushes, failures, self.limiter.refused()]
    }

    fn resumes(&self) -> Option<Duration> {
        self.limiter.resumes()
    }
}

#[cfg(test)]
mod tests;
