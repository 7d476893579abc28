//! The memory balloon, virtio 1.2 section 5.5: the guest gives pages to the host, and takes them back when it may.
//!
//! The driver inflates and deflates towards a number of pages in the configuration space. What it gives is released on the
//! host at once; a page that it takes back is there again, full of zeros, when it is touched.

mod statistics;

use std::time::Duration;

use virtio_queue::DescriptorChain;
use vm_memory::{GuestAddress, GuestMemoryMmap};

pub use self::statistics::{Statistic, Statistics};
use super::buffers::{Buffers, Piece};
use super::configuration::Configuration;
use super::device::{Broken, Counts, Device, Features, Identity, Processed};
use super::queue::Queue;

/// Bytes of a page, whatever the guest's own are (section 5.5.6).
pub const PAGE: u64 = 4096;
/// Pages of a mebibyte.
pub const PAGES_OF_MIB: u32 = 256;

/// Device type (section 5).
const DEVICE_TYPE: u32 = 5;
/// Feature bits (section 5.5.3).
const STATS_VQ: Features = Features(1 << 1);
const DEFLATE_ON_OOM: Features = Features(1 << 2);
const PAGE_REPORTING: Features = Features(1 << 5);

/// `struct virtio_balloon_config` (section 5.5.4): how many pages the driver should have given, and how many it has, which it
/// writes itself.
const NUM_PAGES: usize = 0;
const ACTUAL: u64 = 4;
const CONFIGURATION_BYTES: usize = 8;

/// Page numbers of one chain at most; Linux sends 256. A chain of all that fits into memory would hold the thread too long.
const MOST_NUMBERS: u64 = 16 * 1024;
/// Page numbers that are looked at together.
const AT_ONCE: usize = 256;

/// What a balloon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Pages that the driver should give at first.
    pub target: u32,
    /// The driver may take pages back, whatever the target is, before a process of the guest has to die.
    pub deflate_on_oom: bool,
    /// The driver tells of the guest's memory.
    pub statistics: bool,
    /// The driver reports free pages, which are released though they stay the guest's.
    pub reporting: bool,
}

impl Properties {
    /// What a driver sees before it does anything.
    pub fn identity(&self) -> Identity {
        let optional = [
            (self.deflate_on_oom, DEFLATE_ON_OOM),
            (self.statistics, STATS_VQ),
            (self.reporting, PAGE_REPORTING),
        ];
        let features = optional.iter().filter(|(wanted, _)| *wanted);
        let features = features.fold(Features::COMMON.0, |all, (_, feature)| all | feature.0);
        let queues = 2 + usize::from(self.statistics) + usize::from(self.reporting);
        Identity { device_type: DEVICE_TYPE, features: Features(features), queues: &[256; 4][..queues] }
    }

    /// The configuration space.
    pub fn configuration(&self) -> Configuration {
        let actual = usize::try_from(ACTUAL).unwrap_or(usize::MAX);
        let space = Configuration::new(vec![0; CONFIGURATION_BYTES]).writable(actual..CONFIGURATION_BYTES);
        set_target(&space, self.target);
        space
    }
}

/// A balloon as others than its device see it: they say what it should be, and read what it is.
#[derive(Clone, Copy, Debug)]
pub struct Handle {
    /// Its configuration space.
    pub configuration: &'static Configuration,
    /// What its driver tells.
    pub statistics: &'static Statistics,
}

/// Changes how many pages the driver should have given. The device's thread is to be told, so that the driver is.
pub fn set_target(space: &Configuration, pages: u32) {
    space.set(NUM_PAGES, &pages.to_le_bytes());
}

/// How many pages the driver should have given, and how many it says that it has.
pub fn pages(space: &Configuration) -> (u32, u32) {
    let word = |at| {
        let mut bytes = [0; 4];
        space.read(at, &mut bytes);
        u32::from_le_bytes(bytes)
    };
    (word(NUM_PAGES as u64), word(ACTUAL))
}

/// The host's side of the guest's memory.
pub trait Pages: std::fmt::Debug {
    /// Gives the host what backs these bytes, whole pages: they read as zeros from now on. False if they are not all in memory.
    fn release(&self, memory: &GuestMemoryMmap, start: GuestAddress, bytes: u64) -> bool;
}

/// What a queue is for. Which there are, and so their numbers, depends on the features (section 5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Inflate,
    Deflate,
    Statistics,
    Reporting,
}

/// What a balloon counts, by Firecracker's names: buffers of pages, tellings, and reports of free pages.
pub const COUNTS: &[&str] =
    &["inflate_count", "deflate_count", "stats_updates_count", "free_page_report_count"];

/// The device.
#[derive(Debug)]
pub struct Balloon<P> {
    host: P,
    statistics: &'static Statistics,
    clock: fn() -> Duration,
    purposes: [Option<Purpose>; 4],
    /// The driver's buffer for statistics, by its first descriptor: it is given back when new ones are wanted.
    held: Option<u16>,
    /// When the last statistics came.
    told: Duration,
    tally: [u64; 4],
}

impl<P: Pages> Balloon<P> {
    /// A device that releases pages on this host. `clock`: the time since some moment.
    pub fn new(host: P, statistics: &'static Statistics, clock: fn() -> Duration) -> Self {
        Self { host, statistics, clock, purposes: [None; 4], held: None, told: Duration::ZERO, tally: [0; 4] }
    }

    fn inflate(
        &self,
        chain: DescriptorChain<&GuestMemoryMmap>,
        memory: &GuestMemoryMmap,
        count: &mut u64,
    ) -> Result<Option<u32>, Broken> {
        let mut numbers = Buffers::new(chain)?.readable;
        if numbers.left() > MOST_NUMBERS * 4 {
            return Err(Broken("more pages at once than a balloon takes"));
        }
        while numbers.left() >= 4 {
            let mut pages = [0; AT_ONCE];
            let some = usize::try_from(numbers.left() / 4).unwrap_or(AT_ONCE).min(AT_ONCE);
            for page in &mut pages[..some] {
                let mut bytes = [0; 4];
                numbers.read(memory, &mut bytes)?;
                *page = u32::from_le_bytes(bytes);
            }
            self.release_all(&mut pages[..some], memory)?;
        }
        *count += 1;
        Ok(Some(0))
    }

    /// Neighbours in one call.
    fn release_all(&self, pages: &mut [u32], memory: &GuestMemoryMmap) -> Result<(), Broken> {
        pages.sort_unstable();
        for run in pages.chunk_by(|one, next| next.saturating_sub(*one) <= 1) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            // A page that is named twice is one page.
            let count = u64::from(last - first) + 1;
            if !self.host.release(memory, GuestAddress(u64::from(*first) * PAGE), count * PAGE) {
                return Err(Broken("a page that is not in memory"));
            }
        }
        Ok(())
    }

    /// Free pages are the buffers themselves.
    fn report(
        &self,
        chain: DescriptorChain<&GuestMemoryMmap>,
        memory: &GuestMemoryMmap,
        count: &mut u64,
    ) -> Result<Option<u32>, Broken> {
        let mut free = Buffers::new(chain)?.writable;
        while let Some(Piece { address: GuestAddress(start), length }) = free.take(usize::MAX) {
            let end = start + length as u64;
            // In the last page of all addresses begins none.
            let Some(start) = start.checked_next_multiple_of(PAGE) else { continue };
            let end = end - end % PAGE;
            if start < end && !self.host.release(memory, GuestAddress(start), end - start) {
                return Err(Broken("a buffer that is not in memory"));
            }
        }
        *count += 1;
        Ok(Some(0))
    }

    /// Takes what the driver tells, and asks again when it is time.
    fn exchange(
        &mut self,
        queue: &mut Queue,
        memory: &GuestMemoryMmap,
        count: &mut u64,
    ) -> Result<Processed, Broken> {
        for _ in 0..queue.size() {
            let Some(chain) = queue.next(memory)? else { break };
            let head = chain.head_index();
            self.statistics.take(Buffers::new(chain)?.readable, memory)?;
            // There is one buffer; a driver that sends a second gets the first back.
            if let Some(first) = self.held.replace(head) {
                queue.used(memory, first, 0)?;
            }
            self.told = (self.clock)();
            *count += 1;
        }
        if self.wants_statistics()
            && let Some(held) = self.held.take()
        {
            queue.used(memory, held, 0)?;
        }
        Ok(Processed { interrupt: queue.finish(memory)?, more: false })
    }

    fn wants_statistics(&self) -> bool {
        self.resumes().is_some_and(|moment| (self.clock)() >= moment)
    }
}

impl<P: Pages> Device for Balloon<P> {
    fn start(&mut self, features: Features) {
        let optional = [(Purpose::Statistics, STATS_VQ), (Purpose::Reporting, PAGE_REPORTING)];
        let agreed = optional.into_iter().filter(|(_, feature)| features.contain(*feature));
        let all = [Purpose::Inflate, Purpose::Deflate].into_iter().chain(agreed.map(|(purpose, _)| purpose));
        self.purposes = [None; 4];
        self.purposes.iter_mut().zip(all).for_each(|(place, purpose)| *place = Some(purpose));
    }

    fn stop(&mut self) {
        self.held = None;
        self.statistics.forget();
    }

    fn serve(
        &mut self,
        index: usize,
        queue: &mut Queue,
        memory: &GuestMemoryMmap,
    ) -> Result<Processed, Broken> {
        let mut count = 0;
        let (place, outcome) = match self.purposes.get(index).copied().flatten() {
            Some(Purpose::Inflate) => {
                (0, queue.each(memory, |chain| self.inflate(chain, memory, &mut count)))
            }
            // The host does not have to do anything for a page to be there again.
            Some(Purpose::Deflate) => (
                1,
                queue.each(memory, |_| {
                    count += 1;
                    Ok(Some(0))
                }),
            ),
            Some(Purpose::Statistics) => (2, self.exchange(queue, memory, &mut count)),
            Some(Purpose::Reporting) => {
                (3, queue.each(memory, |chain| self.report(chain, memory, &mut count)))
            }
            None => return Ok(Processed { interrupt: false, more: false }),
        };
        self.tally[place] += count;
        outcome
    }

    fn counts(&self) -> Counts {
        let [inflated, deflated, told, reported] = self.tally;
        [inflated, deflated, told, reported, 0, 0, 0]
    }

    fn has_work(&self, index: usize) -> bool {
        self.purposes.get(index) == Some(&Some(Purpose::Statistics)) && self.wants_statistics()
    }

    fn resumes(&self) -> Option<Duration> {
        let interval = self.held.and(self.statistics.interval())?;
        Some(self.told.saturating_add(interval))
    }
}

#[cfg(test)]
mod tests;
