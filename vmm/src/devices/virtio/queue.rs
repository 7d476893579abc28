//! A split virtqueue as its driver set it up, virtio 1.2 section 2.7.

use std::sync::atomic::{Ordering, fence};

use virtio_queue::{DescriptorChain, Queue as Rings, QueueOwnedT as _, QueueT as _};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::device::{Broken, Features, Processed};

/// What a driver writes into the registers of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Descriptors, 0 before the driver says.
    pub size: u16,
    /// The driver says that the queue may be used.
    pub ready: bool,
    /// Guest physical address of the descriptor table.
    pub descriptors: u64,
    /// Of the available ring, which the driver writes.
    pub driver: u64,
    /// Of the used ring, which the device writes.
    pub device: u64,
}

/// A queue in use.
#[derive(Debug)]
pub struct Queue {
    rings: Rings,
    /// Up to which entry of the used ring the driver was told.
    told: u16,
}

/// A chain that the device has done with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The number of its first descriptor.
    pub head: u16,
    /// Bytes that were written into it.
    pub written: u32,
}

impl Queue {
    /// Takes a queue into use. `most`: the greatest size that the device offers; `features`: what is agreed upon.
    ///
    /// # Errors
    /// [`Broken`] where a driver may not have it so: a size that is no power of 2 or too large, addresses that are not
    /// aligned, rings outside memory.
    pub fn new(
        setting: &Setting,
        most: u16,
        features: Features,
        memory: &GuestMemoryMmap,
    ) -> Result<Self, Broken> {
        let mut rings = Rings::new(most).map_err(|_| Broken("its device offers no such size"))?;
        let refused = |_| Broken("a size that is no power of 2 or too large, or rings that are not aligned");
        rings.try_set_size(setting.size).map_err(refused)?;
        rings.try_set_desc_table_address(GuestAddress(setting.descriptors)).map_err(refused)?;
        rings.try_set_avail_ring_address(GuestAddress(setting.driver)).map_err(refused)?;
        rings.try_set_used_ring_address(GuestAddress(setting.device)).map_err(refused)?;
        rings.set_event_idx(features.contain(Features::EVENT_IDX));
        rings.set_ready(setting.ready);
        // virtio-queue takes address 0 of the available ring for a queue that was never set up.
        if setting.driver == 0 || !rings.is_valid(memory) {
            return Err(Broken("rings that are not in memory"));
        }
        Ok(Self { rings, told: 0 })
    }

    /// How many descriptors it has.
    pub fn size(&self) -> u16 {
        self.rings.size()
    }

    /// The next chain of buffers. `None`: none is left, and the driver tells when it puts one in.
    ///
    /// # Errors
    /// [`Broken`]: rings that contradict themselves.
    pub fn next<'memory>(
        &mut self,
        memory: &'memory GuestMemoryMmap,
    ) -> Result<Option<DescriptorChain<&'memory GuestMemoryMmap>>, Broken> {
        let unreadable = |_| Broken("an available ring that runs ahead of itself");
        if let Some(chain) = self.rings.iter(memory).map_err(unreadable)?.next() {
            return Ok(Some(chain));
        }
        // One that came before the driver could know that it is to tell.
        let came = self.rings.enable_notification(memory);
        if !came.map_err(|_| Broken("a used ring that cannot be written"))? {
            return Ok(None);
        }
        Ok(self.rings.iter(memory).map_err(unreadable)?.next())
    }

    /// So many chains, the last that were taken, are in the queue again.
    pub fn put_back(&mut self, chains: u16) {
        self.rings.set_next_avail(self.rings.next_avail().wrapping_sub(chains));
    }

    /// Gives a chain back to the driver, by the number of its first descriptor, with so many bytes written into it.
    ///
    /// # Errors
    /// [`Broken`]
    pub fn used(&mut self, memory: &GuestMemoryMmap, head: u16, written: u32) -> Result<(), Broken> {
        self.used_together(memory, &[Used { head, written }])
    }

    /// Gives chains back to the driver that belong together: it sees all of them at once or none, since a driver that looks
    /// while they come takes the first for what is incomplete.
    ///
    /// # Errors
    /// [`Broken`]
    pub fn used_together(&mut self, memory: &GuestMemoryMmap, chains: &[Used]) -> Result<(), Broken> {
        let Some((last, before)) = chains.split_last() else { return Ok(()) };
        // virtio-queue shows the driver each chain that it adds; the others are written beside it, and shown with the last.
        for chain in before {
            let index = self.rings.next_used();
            let entry = 4 + 8 * u64::from(index % self.size());
            let bytes = (u64::from(chain.written) << 32 | u64::from(chain.head)).to_le_bytes();
            memory
                .write_slice(&bytes, Self::place(self.rings.used_ring(), entry)?)
                .map_err(|_| UNWRITABLE)?;
            self.rings.set_next_used(index.wrapping_add(1));
        }
        self.rings.add_used(memory, last.head, last.written).map_err(|_| UNWRITABLE)
    }

    fn place(ring: u64, offset: u64) -> Result<GuestAddress, Broken> {
        ring.checked_add(offset).map(GuestAddress).ok_or(UNWRITABLE)
    }

    /// Whether the driver wants an interrupt for what it was given back.
    ///
    /// # Errors
    /// [`Broken`]
    pub fn finish(&mut self, memory: &GuestMemoryMmap) -> Result<bool, Broken> {
        let now = self.rings.next_used();
        let before = std::mem::replace(&mut self.told, now);
        if before == now {
            return Ok(false);
        }
        // What was given back is written before the driver's wish is read (section 2.7.7.2).
        fence(Ordering::SeqCst);
        if !self.rings.event_idx_enabled() {
            return Ok(self.available_word(memory, 0)? & NO_INTERRUPT == 0);
        }
        let wish = self.available_word(memory, 4 + 2 * u64::from(self.size()))?;
        // It was passed since the last time.
        Ok(now.wrapping_sub(wish).wrapping_sub(1) < now.wrapping_sub(before))
    }

    /// A word of the available ring, which the driver writes.
    fn available_word(&self, memory: &GuestMemoryMmap, offset: u64) -> Result<u16, Broken> {
        let place = Self::place(self.rings.avail_ring(), offset)?;
        let word = memory.load(place, Ordering::Relaxed).map(u16::from_le);
        word.map_err(|_| Broken("an available ring that cannot be read"))
    }

    /// Gives as many chains of buffers as the queue can hold to `serve`, which says how many bytes it wrote into each, and
    /// to the driver what came of it. `None`: the device does not serve this one yet, and it stays in the queue.
    ///
    /// # Errors
    /// [`Broken`]: rings that contradict themselves, or what `serve` says.
    pub fn each(
        &mut self,
        memory: &GuestMemoryMmap,
        mut serve: impl FnMut(DescriptorChain<&GuestMemoryMmap>) -> Result<Option<u32>, Broken>,
    ) -> Result<Processed, Broken> {
        let mut more = true;
        for _ in 0..self.size() {
            let Some(chain) = self.next(memory)? else {
                more = false;
                break;
            };
            let head = chain.head_index();
            let Some(written) = serve(chain)? else {
                self.put_back(1);
                more = false;
                break;
            };
            self.used(memory, head, written)?;
        }
        Ok(Processed { interrupt: self.finish(memory)?, more })
    }
}

/// `VIRTQ_AVAIL_F_NO_INTERRUPT`, section 2.7.6: the driver looks by itself.
const NO_INTERRUPT: u16 = 1;

const UNWRITABLE: Broken = Broken("a used ring that cannot be written, or a descriptor beyond the table");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::virtio::buffers::Buffers;
    use crate::devices::virtio::test_driver::{BUFFERS, Driver, INDIRECT, MEMORY, SIZE, WRITE};

    #[test]
    fn a_turn_uses_no_more_chains_than_the_queue_can_hold() {
        let mut driver = Driver::new();
        let mut queue = driver.queue();
        driver.offer(&[(BUFFERS, 1, WRITE)]);
        let memory = driver.memory.clone();
        // A driver that is always faster.
        let turn = queue.each(&memory, |_| {
            driver.offer(&[(BUFFERS, 1, WRITE)]);
            Ok(Some(0))
        });
        assert_eq!(turn, Ok(Processed { interrupt: true, more: true }));
        assert_eq!(driver.used().0, SIZE);
        assert_eq!(queue.each(&memory, |_| Ok(Some(0))), Ok(Processed { interrupt: true, more: false }));
    }

    #[test]
    fn what_is_put_back_comes_again_in_its_order() {
        let mut driver = Driver::new();
        let mut queue = driver.queue();
        driver.offer(&[(BUFFERS, 1, WRITE)]);
        driver.offer(&[(BUFFERS, 2, WRITE)]);
        let mut heads = |count: usize| -> Vec<u16> {
            let next = || queue.next(&driver.memory).unwrap().unwrap().head_index();
            std::iter::repeat_with(next).take(count).collect()
        };
        assert_eq!(heads(2), [0, 1]);
        queue.put_back(2);
        assert_eq!(queue.next(&driver.memory).unwrap().unwrap().head_index(), 0);
        queue.used(&driver.memory, 0, 7).unwrap();
        assert_eq!(driver.used(), (1, 0, 7));
        assert!(queue.finish(&driver.memory).unwrap());
        assert!(!queue.finish(&driver.memory).unwrap(), "the driver has been told");
    }

    #[test]
    fn a_chain_that_is_not_served_yet_stays_in_the_queue() {
        let mut driver = Driver::new();
        let mut queue = driver.queue();
        driver.offer(&[(BUFFERS, 1, WRITE)]);
        driver.offer(&[(BUFFERS, 1, WRITE)]);
        let mut left = 1;
        let mut turn = |queue: &mut Queue| {
            queue.each(&driver.memory, |chain| {
                left -= 1;
                Ok((left >= 0).then_some(chain.head_index().into()))
            })
        };
        assert_eq!(turn(&mut queue), Ok(Processed { interrupt: true, more: false }));
        assert_eq!(driver.used(), (1, 0, 0));
        let turn =
            |queue: &mut Queue| queue.each(&driver.memory, |chain| Ok(Some(chain.head_index().into())));
        assert_eq!(turn(&mut queue), Ok(Processed { interrupt: true, more: false }));
        assert_eq!(driver.used(), (2, 1, 1));
    }

    #[test]
    fn without_event_indices_a_driver_that_looks_by_itself_is_not_interrupted() {
        let mut driver = Driver::new();
        let mut queue = driver.queue();
        let mut turn = |driver: &mut Driver, flags: u16| {
            driver.set_available_flags(flags);
            driver.offer(&[(BUFFERS, 1, WRITE)]);
            queue.each(&driver.memory, |_| Ok(Some(0))).unwrap().interrupt
        };
        let flags = [0, NO_INTERRUPT, !NO_INTERRUPT, NO_INTERRUPT];
        assert_eq!(flags.map(|flags| turn(&mut driver, flags)), [true, false, true, false]);
        assert_eq!(driver.used().0, 4);
    }

    #[test]
    fn with_event_indices_each_side_hears_from_the_entry_on_that_it_named() {
        let mut driver = Driver::new();
        let mut queue = driver.queue_with(Features(Features::VERSION_1.0 | Features::EVENT_IDX.0));
        driver.want_interrupt_from(1);
        let mut turn = |driver: &mut Driver| {
            driver.offer(&[(BUFFERS, 1, WRITE)]);
            queue.each(&driver.memory, |_| Ok(Some(0))).unwrap().interrupt
        };
        assert_eq!([turn(&mut driver), turn(&mut driver), turn(&mut driver)], [false, true, false]);
        assert_eq!(driver.kicks_from(), 3);
    }

    #[test]
    fn of_chains_given_back_together_any_may_be_the_one_that_the_driver_waits_for() {
        let features = Features(Features::VERSION_1.0 | Features::EVENT_IDX.0);
        for (wish, interrupt) in [(0, true), (1, true), (2, true), (3, false)] {
            let driver = Driver::new();
            let mut queue = driver.queue_with(features);
            driver.want_interrupt_from(wish);
            let chains = [5, 6, 7].map(|head| Used { head, written: 10 * u32::from(head) });
            queue.used_together(&driver.memory, &chains).unwrap();
            assert_eq!((driver.used_at(0), driver.used_at(1)), ((5, 50), (6, 60)));
            assert_eq!(driver.used(), (3, 7, 70));
            assert_eq!(queue.finish(&driver.memory), Ok(interrupt), "{wish}");
            assert_eq!(queue.finish(&driver.memory), Ok(false));
        }
    }

    #[test]
    fn a_table_of_descriptors_is_read_where_it_is_in_memory_and_empty_where_not() {
        let features = Features(Features::VERSION_1.0 | Features::INDIRECT_DESC.0);
        let lengths = |address: u64, bytes: u32| {
            let mut driver = Driver::new();
            let mut queue = driver.queue_with(features);
            driver.table(BUFFERS, &[(BUFFERS + 256, 3, 0), (BUFFERS + 512, 5, WRITE)]);
            driver.offer(&[(address, bytes, INDIRECT)]);
            let chain = queue.next(&driver.memory).unwrap().unwrap();
            Buffers::new(chain).map(|buffers| (buffers.readable.left(), buffers.writable.left()))
        };
        assert_eq!(lengths(BUFFERS, 32), Ok((3, 5)));
        for (address, bytes) in
            [(MEMORY as u64, 32), (u64::MAX - 15, 32), (BUFFERS, 0), (BUFFERS, 31), (BUFFERS, u32::MAX - 15)]
        {
            assert_eq!(lengths(address, bytes), Ok((0, 0)), "{address:#x}, {bytes}");
        }
    }
}
