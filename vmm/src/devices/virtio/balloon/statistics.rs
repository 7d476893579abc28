//! What a guest tells of its memory, virtio 1.2 section 5.5.6.3. Shared between the device and whoever asks for it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use vm_memory::GuestMemoryMmap;

use crate::devices::virtio::buffers::Side;
use crate::devices::virtio::device::Broken;

/// A number that a driver may tell, by its tag (`VIRTIO_BALLOON_S_*`, Linux `include/uapi/linux/virtio_balloon.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Statistic {
    /// Bytes that were swapped in.
    SwapIn = 0,
    /// Bytes that were swapped out.
    SwapOut = 1,
    /// Page faults that waited for a disk.
    MajorFaults = 2,
    /// Page faults that did not.
    MinorFaults = 3,
    /// Bytes that are used for nothing.
    FreeMemory = 4,
    /// Bytes in all.
    TotalMemory = 5,
    /// Bytes that processes could have without swapping.
    AvailableMemory = 6,
    /// Bytes of files that could be given up.
    DiskCaches = 7,
    /// Huge pages that were given to processes.
    HugetlbAllocations = 8,
    /// Huge pages that could not be.
    HugetlbFailures = 9,
    /// Processes that the kernel ended for want of memory.
    OomKill = 10,
    /// Times that an allocation had to wait for memory.
    AllocStall = 11,
    /// Pages that were looked at in the background.
    AsyncScan = 12,
    /// Pages that an allocation had to look at.
    DirectScan = 13,
    /// Pages that were taken back in the background.
    AsyncReclaim = 14,
    /// Pages that an allocation had to take back.
    DirectReclaim = 15,
}

/// How many there are.
const COUNT: usize = 16;
/// A tag of 16 bits and a value of 64.
const ENTRY_BYTES: u64 = 10;

/// The latest numbers, and how often new ones are asked for.
#[derive(Debug, Default)]
pub struct Statistics {
    values: [AtomicU64; COUNT],
    /// A bit for each that was told.
    told: AtomicU32,
    /// Seconds; 0: never.
    interval_s: AtomicU32,
}

impl Statistics {
    /// Nothing told yet, and asked for every so many seconds, or with 0 never.
    pub fn new(interval_s: u32) -> Self {
        Self { interval_s: AtomicU32::new(interval_s), ..Self::default() }
    }

    /// Seconds from one telling to the next question; 0: none. The device's thread is to be told.
    pub fn set_interval(&self, seconds: u32) {
        self.interval_s.store(seconds, Ordering::SeqCst);
    }

    /// How long after numbers were told new ones are asked for.
    pub fn interval(&self) -> Option<Duration> {
        let seconds = self.interval_s.load(Ordering::SeqCst);
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// The latest of a number, if the driver has told it.
    pub fn get(&self, statistic: Statistic) -> Option<u64> {
        let index = statistic as usize;
        let told = self.told.load(Ordering::SeqCst) & 1 << index != 0;
        told.then(|| self.values[index].load(Ordering::SeqCst))
    }

    /// Takes what a driver tells. Tags that are not known are left out, and so is what comes after as many as there are.
    pub(super) fn take(&self, mut entries: Side, memory: &GuestMemoryMmap) -> Result<(), Broken> {
        for _ in 0..(entries.left() / ENTRY_BYTES).min(2 * COUNT as u64) {
            let (mut tag, mut value) = ([0; 2], [0; 8]);
            entries.read(memory, &mut tag)?;
            entries.read(memory, &mut value)?;
            let index = usize::from(u16::from_le_bytes(tag));
            if let Some(place) = self.values.get(index) {
                place.store(u64::from_le_bytes(value), Ordering::SeqCst);
                self.told.fetch_or(1 << index, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    /// The driver is gone.
    pub(super) fn forget(&self) {
        self.told.store(0, Ordering::SeqCst);
    }
}
