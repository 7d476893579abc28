//! What a device does with its queues.

use std::time::Duration;

use vm_memory::GuestMemoryMmap;

use super::queue::Queue;

/// Feature bits, as virtio 1.2 section 6 numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(pub u64);

impl Features {
    /// `VIRTIO_F_VERSION_1`: the device follows version 1 or later. Every device here offers it, and a driver that does not
    /// take it is refused.
    pub const VERSION_1: Self = Self(1 << 32);

    /// `VIRTIO_F_INDIRECT_DESC`: a descriptor may stand for a table of them.
    pub const INDIRECT_DESC: Self = Self(1 << 28);

    /// `VIRTIO_F_EVENT_IDX`: each side tells the other from which entry of a ring on it wants to hear.
    pub const EVENT_IDX: Self = Self(1 << 29);

    /// What every device here offers.
    pub const COMMON: Self = Self(Self::VERSION_1.0 | Self::INDIRECT_DESC.0 | Self::EVENT_IDX.0);

    /// Whether all features of `other` are among these.
    pub const fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a driver sees of a device before it does anything.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Device type, virtio 1.2 section 5.
    pub device_type: u32,
    /// The features that it offers.
    pub features: Features,
    /// The greatest size of each queue: a power of 2, at most 32768.
    pub queues: &'static [u16],
}

/// The driver did what the specification does not allow, so that the queue cannot be read any more; the device needs a
/// reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the driver broke a queue of the device: {0}")]
pub struct Broken(pub &'static str);

/// The most that a device counts.
pub const MOST_COUNTS: usize = 7;

/// What a device has counted since it was made, in the order of the names that its module has as `COUNTS`.
pub type Counts = [u64; MOST_COUNTS];

/// What a device does, apart from its registers. Runs in a thread that allocates nothing.
pub trait Device: std::fmt::Debug {
    /// The driver has started the device, and these features are agreed upon. No queue was served yet.
    fn start(&mut self, _features: Features) {}

    /// The queues are gone: the driver has reset the device, or has broken a queue.
    fn stop(&mut self) {}

    /// Does what there is to do with a queue: the driver has put buffers into it, or [`Self::has_work`] said so.
    ///
    /// # Errors
    /// [`Broken`]: the driver is told to reset the device.
    fn serve(
        &mut self,
        index: usize,
        queue: &mut Queue,
        memory: &GuestMemoryMmap,
    ) -> Result<Processed, Broken>;

    /// Whether the device by itself has something for a queue: what came from the host, or what serving another queue
    /// brought. Not while it waits for buffers of the driver's.
    fn has_work(&self, _index: usize) -> bool {
        false
    }

    /// What it has counted.
    fn counts(&self) -> Counts {
        [0; MOST_COUNTS]
    }

    /// When the device has work again without an event, by the clock of its rate limiters.
    fn resumes(&self) -> Option<Duration> {
        None
    }
}

/// What became of the buffers of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processed {
    /// The driver wants an interrupt for what was used.
    pub interrupt: bool,
    /// The turn is over, and more could be done at once.
    pub more: bool,
}
