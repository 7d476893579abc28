//! What a device does with its queues.

use virtio_queue::DescriptorChain;
use vm_memory::GuestMemoryMmap;

/// Feature bits, as virtio 1.2 section 6 numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(pub u64);

impl Features {
    /// `VIRTIO_F_VERSION_1`: the device follows version 1 or later. Every device here offers it, and a driver that does not
    /// take it is refused.
    pub const VERSION_1: Self = Self(1 << 32);

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

/// What a device does, apart from its registers. Runs in a thread that allocates nothing.
pub trait Device: std::fmt::Debug {
    /// Uses one chain of buffers, and says how many bytes it wrote into them.
    ///
    /// # Errors
    /// [`Broken`]: the driver is told to reset the device.
    fn serve(
        &mut self,
        chain: DescriptorChain<&GuestMemoryMmap>,
        memory: &GuestMemoryMmap,
    ) -> Result<u32, Broken>;
}

/// What became of the buffers of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processed {
    /// The driver wants an interrupt for what was used.
    pub interrupt: bool,
    /// No buffer is left.
    pub emptied: bool,
}
