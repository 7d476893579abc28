//! The driver's side of a queue, for tests of devices.

use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::device::Features;
use super::queue::{Queue, Setting};

/// Descriptor flags, virtio 1.2 section 2.7.5.
pub(crate) const NEXT: u16 = 1;
/// The device writes into the buffer.
pub(crate) const WRITE: u16 = 2;
/// The buffer is a table of descriptors.
pub(crate) const INDIRECT: u16 = 4;

/// Bytes of memory.
pub(crate) const MEMORY: usize = 1 << 20;
/// Where buffers may be.
pub(crate) const BUFFERS: u64 = 0x1_0000;
const DESCRIPTORS: u64 = 0x1000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
/// Descriptors of the queue.
pub(crate) const SIZE: u16 = 16;

/// A queue in memory of its own.
pub(crate) struct Driver {
    /// The guest's memory.
    pub(crate) memory: GuestMemoryMmap,
    descriptors: u16,
    available: u16,
}

impl Driver {
    pub(crate) fn new() -> Self {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)]).unwrap();
        Self { memory, descriptors: 0, available: 0 }
    }

    /// What it wrote into the registers.
    pub(crate) fn setting() -> Setting {
        Setting { size: SIZE, ready: true, descriptors: DESCRIPTORS, driver: AVAILABLE, device: USED }
    }

    pub(crate) fn queue(&self) -> Queue {
        self.queue_with(Features::VERSION_1)
    }

    /// A queue of a driver that has agreed to these features.
    pub(crate) fn queue_with(&self, features: Features) -> Queue {
        Queue::new(&Self::setting(), 256, features, &self.memory).unwrap()
    }

    /// Writes a descriptor: address, length, flags, next.
    pub(crate) fn describe(&self, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        self.describe_at(DESCRIPTORS, index, address, length, flags, next);
    }

    /// Writes a table of descriptors, (address, length, flags), to this place.
    pub(crate) fn table(&self, at: u64, buffers: &[(u64, u32, u16)]) {
        let last = buffers.len() - 1;
        for (index, &(address, length, flags)) in (0u16..).zip(buffers) {
            let next = if usize::from(index) < last { NEXT } else { 0 };
            self.describe_at(at, index, address, length, flags | next, index + 1);
        }
    }

    fn describe_at(&self, table: u64, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        let bytes =
            [&address.to_le_bytes()[..], &length.to_le_bytes(), &flags.to_le_bytes(), &next.to_le_bytes()]
                .concat();
        self.memory.write_slice(&bytes, GuestAddress(table + 16 * u64::from(index))).unwrap();
    }

    /// Puts a chain of buffers, (address, length, flags), into the queue.
    pub(crate) fn offer(&mut self, buffers: &[(u64, u32, u16)]) {
        let head = self.descriptors;
        for (position, &(address, length, flags)) in buffers.iter().enumerate() {
            let index = self.descriptors;
            self.descriptors = (index + 1) % SIZE;
            let next = if position + 1 < buffers.len() { NEXT } else { 0 };
            self.describe(index, address, length, flags | next, self.descriptors);
        }
        self.offer_head(head);
    }

    /// Puts whatever begins at this descriptor into the queue.
    pub(crate) fn offer_head(&mut self, head: u16) {
        let at = AVAILABLE + 4 + 2 * u64::from(self.available % SIZE);
        self.memory.write_slice(&head.to_le_bytes(), GuestAddress(at)).unwrap();
        self.set_available(self.available.wrapping_add(1));
    }

    /// Says that so many chains have been put into the queue.
    pub(crate) fn set_available(&mut self, count: u16) {
        self.available = count;
        self.memory.write_slice(&count.to_le_bytes(), GuestAddress(AVAILABLE + 2)).unwrap();
    }

    /// `flags`, at the start of the available ring.
    pub(crate) fn set_available_flags(&self, flags: u16) {
        self.memory.write_slice(&flags.to_le_bytes(), GuestAddress(AVAILABLE)).unwrap();
    }

    /// From which entry of the used ring on it wants an interrupt: `used_event`, after the available ring.
    pub(crate) fn want_interrupt_from(&self, entry: u16) {
        let at = AVAILABLE + 4 + 2 * u64::from(SIZE);
        self.memory.write_slice(&entry.to_le_bytes(), GuestAddress(at)).unwrap();
    }

    /// From which entry of the available ring on the device wants to hear: `avail_event`, after the used ring.
    pub(crate) fn kicks_from(&self) -> u16 {
        let bytes = self.bytes(USED + 4 + 8 * u64::from(SIZE), 2);
        u16::from_le_bytes([bytes[0], bytes[1]])
    }

    /// How many chains have come back, and head and length of the last.
    pub(crate) fn used(&self) -> (u16, u32, u32) {
        let word = |at| {
            let mut bytes = [0; 4];
            self.memory.read_slice(&mut bytes, GuestAddress(at)).unwrap();
            u32::from_le_bytes(bytes)
        };
        let count = (word(USED) >> 16) as u16;
        let last = USED + 4 + 8 * u64::from(count.wrapping_sub(1) % SIZE);
        (count, word(last), word(last + 4))
    }

    /// Head and length of the chain that came back as this one, counted from 0.
    pub(crate) fn used_at(&self, count: u16) -> (u32, u32) {
        let entry = self.bytes(USED + 4 + 8 * u64::from(count % SIZE), 8);
        let word = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().unwrap());
        (word(0), word(4))
    }

    pub(crate) fn bytes(&self, address: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }
}
