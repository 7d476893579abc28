//! A frame into the buffers of the receive queue, section 5.1.6.4.

use virtio_queue::DescriptorChain;
use vm_memory::GuestMemoryMmap;

use super::super::buffers::{self, Buffers, Piece, Side};
use super::super::device::Broken;
use super::super::queue::{Queue, Used};
use super::HEADER_BYTES;

/// Where a header's number of buffers stands.
const COUNT_AT: usize = 10;

/// Chains that one frame takes at most: no queue of this device is longer.
const MOST_CHAINS: usize = 256;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The driver has it.
    Done,
    /// It can never have it: it fits into no buffer that the driver uses.
    Dropped,
    /// There are not enough buffers yet. None is used up.
    Waits,
}

/// The chains that a frame has taken.
struct Taken {
    chains: [Used; MOST_CHAINS],
    count: u16,
    /// Where the two bytes of the header's count lie.
    count_at: Option<[Piece; 2]>,
}

impl Taken {
    fn new() -> Self {
        Self { chains: [Used::default(); MOST_CHAINS], count: 0, count_at: None }
    }

    fn push(&mut self, used: Used) -> Result<(), Broken> {
        let place = self.chains.get_mut(usize::from(self.count));
        *place.ok_or(Broken("an available ring longer than its queue"))? = used;
        self.count += 1;
        Ok(())
    }
}

/// Copies a frame, of a header at least, into one chain of buffers, or into as many as it takes if the driver `merges` them.
///
/// # Errors
/// [`Broken`]: a chain that holds no header, or buffers outside memory.
pub(super) fn deliver(
    frame: &[u8],
    merges: bool,
    queue: &mut Queue,
    memory: &GuestMemoryMmap,
) -> Result<Delivery, Broken> {
    let mut taken = Taken::new();
    let mut rest = frame;
    while !rest.is_empty() {
        let Some(chain) = queue.next(memory)? else {
            // Where all that the queue can hold does not do, more will not come.
            let never = taken.count == queue.size();
            queue.put_back(taken.count);
            return Ok(if never { Delivery::Dropped } else { Delivery::Waits });
        };
        let head = chain.head_index();
        let mut room = room(chain)?;
        let part = usize::try_from(room.left()).unwrap_or(usize::MAX).min(rest.len());
        if part < rest.len() && !merges {
            queue.put_back(1);
            return Ok(Delivery::Dropped);
        }
        let (now, later) = rest.split_at(part);
        if taken.count == 0 {
            taken.count_at = Some(write_first(memory, &mut room, now)?);
        } else {
            room.write(memory, now)?;
        }
        // At most a frame's length.
        let written = u32::try_from(part).unwrap_or(u32::MAX);
        taken.push(Used { head, written })?;
        rest = later;
    }
    for (piece, byte) in taken.count_at.into_iter().flatten().zip(taken.count.to_le_bytes()) {
        buffers::write(memory, piece, &[byte])?;
    }
    queue.used_together(memory, &taken.chains[..taken.count.into()])?;
    Ok(Delivery::Done)
}

const NO_ROOM: Broken = Broken("a receive buffer that holds no header");

/// What a chain has room for: a header at least (section 5.1.6.3.1).
fn room(chain: DescriptorChain<&GuestMemoryMmap>) -> Result<Side, Broken> {
    let room = Buffers::new(chain)?.writable;
    if room.left() < HEADER_BYTES as u64 { Err(NO_ROOM) } else { Ok(room) }
}

/// The part of a frame that goes into its first chain, a header at least; where the count of chains belongs, once it is known.
fn write_first(memory: &GuestMemoryMmap, room: &mut Side, part: &[u8]) -> Result<[Piece; 2], Broken> {
    let (before, after) = part.split_at(COUNT_AT);
    room.write(memory, before)?;
    let count_at = [room.take(1).ok_or(NO_ROOM)?, room.take(1).ok_or(NO_ROOM)?];
    room.write(memory, &after[count_at.len()..])?;
    Ok(count_at)
}
