//! A split virtqueue as its driver set it up, virtio 1.2 section 2.7.

use virtio_queue::{DescriptorChain, Queue as Rings, QueueOwnedT as _, QueueT as _};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use super::device::{Broken, Processed};

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
pub struct Queue(Rings);

impl Queue {
    /// Takes a queue into use. `most`: the greatest size that the device offers.
    ///
    /// # Errors
    /// [`Broken`] where a driver may not have it so: a size that is no power of 2 or too large, addresses that are not
    /// aligned, rings outside memory.
    pub fn new(setting: &Setting, most: u16, memory: &GuestMemoryMmap) -> Result<Self, Broken> {
        let mut rings = Rings::new(most).map_err(|_| Broken("its device offers no such size"))?;
        let refused = |_| Broken("a size that is no power of 2 or too large, or rings that are not aligned");
        rings.try_set_size(setting.size).map_err(refused)?;
        rings.try_set_desc_table_address(GuestAddress(setting.descriptors)).map_err(refused)?;
        rings.try_set_avail_ring_address(GuestAddress(setting.driver)).map_err(refused)?;
        rings.try_set_used_ring_address(GuestAddress(setting.device)).map_err(refused)?;
        rings.set_ready(setting.ready);
        // virtio-queue takes address 0 of the available ring for a queue that was never set up.
        if setting.driver == 0 || !rings.is_valid(memory) {
            return Err(Broken("rings that are not in memory"));
        }
        Ok(Self(rings))
    }

    /// How many descriptors it has.
    pub fn size(&self) -> u16 {
        self.0.size()
    }

    /// Gives up to `most` chains of buffers to `used`, which says how many bytes it wrote into each, and to the driver
    /// what came of it.
    ///
    /// # Errors
    /// [`Broken`]: rings that contradict themselves, or what `used` says.
    pub fn each(
        &mut self,
        memory: &GuestMemoryMmap,
        most: u16,
        mut used: impl FnMut(DescriptorChain<&GuestMemoryMmap>) -> Result<u32, Broken>,
    ) -> Result<Processed, Broken> {
        let unreadable = |_| Broken("an available ring that runs ahead of itself");
        let mut any = false;
        for _ in 0..most {
            let Some(chain) = self.0.iter(memory).map_err(unreadable)?.next() else {
                return Ok(Processed { interrupt: any && self.interrupt_wanted(memory)?, emptied: true });
            };
            let head = chain.head_index();
            let written = used(chain)?;
            let unwritable =
                |_| Broken("a used ring that cannot be written, or a descriptor beyond the table");
            self.0.add_used(memory, head, written).map_err(unwritable)?;
            any = true;
        }
        Ok(Processed { interrupt: any && self.interrupt_wanted(memory)?, emptied: false })
    }

    fn interrupt_wanted(&mut self, memory: &GuestMemoryMmap) -> Result<bool, Broken> {
        self.0.needs_notification(memory).map_err(|_| Broken("an available ring that cannot be read"))
    }
}
