//! A device's configuration space, virtio 1.2 section 2.5.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that driver and device both see. Held for the length of a copy by whoever reads or writes.
#[derive(Debug)]
pub struct Configuration {
    content: Mutex<Content>,
    /// What the driver may write.
    writable: Range<usize>,
}

#[derive(Debug)]
struct Content {
    bytes: Vec<u8>,
    generation: u32,
    /// The device has changed something that the driver was not told of.
    untold: bool,
}

impl Configuration {
    /// A space that the driver only reads.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { content: Mutex::new(Content { bytes, generation: 0, untold: false }), writable: 0..0 }
    }

    /// The same, but for bytes that the driver may write.
    #[must_use]
    pub fn writable(self, bytes: Range<usize>) -> Self {
        Self { writable: bytes, ..self }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies from `offset` on into `data`; where nothing is, it stays as it was.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        let content = self.content();
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = content.bytes.get(from..).unwrap_or_default();
        data.iter_mut().zip(part).for_each(|(byte, value)| *byte = *value);
    }

    /// The driver writes; what it may not write stays.
    pub fn driver_writes(&self, offset: u64, data: &[u8]) {
        let mut content = self.content();
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let places = content.bytes.iter_mut().enumerate().skip(from);
        for ((place, byte), value) in places.zip(data) {
            if self.writable.contains(&place) {
                *byte = *value;
            }
        }
    }

    /// The device's thread: changes bytes from `offset` on. The driver is to be told, see
    /// [`Transport::tell_of_configuration`](super::Transport::tell_of_configuration).
    pub fn set(&self, offset: usize, bytes: &[u8]) {
        let mut content = self.content();
        let places = content.bytes.iter_mut().skip(offset);
        places.zip(bytes).for_each(|(byte, value)| *byte = *value);
        content.generation = content.generation.wrapping_add(1);
        content.untold = true;
    }

    /// A number that changes with the content (section 4.2.2.1), so that a driver knows when to read again.
    pub fn generation(&self) -> u32 {
        self.content().generation
    }

    /// Whether there is something new since this was last asked.
    pub(super) fn take_untold(&self) -> bool {
        std::mem::take(&mut self.content().untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(space: &Configuration, offset: u64) -> [u8; 4] {
        let mut data = [0xee; 4];
        space.read(offset, &mut data);
        data
    }

    #[test]
    fn beside_the_space_is_nothing() {
        let space = Configuration::new(vec![1, 2, 3, 4, 5]);
        assert_eq!(read(&space, 0), [1, 2, 3, 4]);
        assert_eq!(read(&space, 3), [4, 5, 0xee, 0xee]);
        assert_eq!((read(&space, 5), read(&space, u64::MAX)), ([0xee; 4], [0xee; 4]));
        space.set(4, &[9, 9, 9]);
        assert_eq!(read(&space, 2), [3, 4, 9, 0xee]);
    }

    #[test]
    fn a_driver_writes_where_it_may_and_nowhere_else() {
        let space = Configuration::new(vec![0; 8]).writable(4..6);
        space.driver_writes(3, &[1, 2, 3, 4]);
        space.driver_writes(u64::MAX, &[5]);
        assert_eq!((read(&space, 0), read(&space, 4)), ([0; 4], [2, 3, 0, 0]));
        assert_eq!((space.generation(), space.take_untold()), (0, false), "the driver knows what it wrote");
        space.driver_writes(0, &[7; 8]);
        assert_eq!((read(&space, 0), read(&space, 4)), ([0; 4], [7, 7, 0, 0]));
    }

    #[test]
    fn a_change_is_told_once() {
        let space = Configuration::new(vec![0; 8]);
        space.set(0, &[1]);
        space.set(1, &[2]);
        assert_eq!(space.generation(), 2);
        assert_eq!((space.take_untold(), space.take_untold()), (true, false));
    }
}
