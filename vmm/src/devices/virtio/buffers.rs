//! The buffers of a chain: what the driver wrote for the device, then what the device is to write.

use virtio_queue::DescriptorChain;
use vm_memory::{
    Address as _, Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap, VolatileSlice,
};

use super::device::Broken;

/// The most buffers of a chain: no queue here is longer, and no chain is longer than its queue, by a table of descriptors or
/// without (section 2.7.5.3.1).
const MOST: usize = 256;

/// One side of a chain, from the first byte that was not taken yet.
#[derive(Debug)]
pub struct Side {
    buffers: [(GuestAddress, u32); MOST],
    count: usize,
    at: usize,
}

/// Both sides.
#[derive(Debug)]
pub struct Buffers {
    /// What the driver wrote.
    pub readable: Side,
    /// What the device is to write.
    pub writable: Side,
}

/// A piece of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub address: GuestAddress,
    /// Bytes.
    pub length: usize,
}

impl Buffers {
    /// Those of a chain.
    ///
    /// # Errors
    /// [`Broken`]: more buffers than a queue has descriptors, or one that goes past the end of all addresses.
    pub fn new(chain: DescriptorChain<&GuestMemoryMmap>) -> Result<Self, Broken> {
        let mut buffers = Self { readable: Side::empty(), writable: Side::empty() };
        for descriptor in chain {
            let side = if descriptor.is_write_only() { &mut buffers.writable } else { &mut buffers.readable };
            side.push(descriptor.addr(), descriptor.len())?;
        }
        Ok(buffers)
    }
}

impl Side {
    fn empty() -> Self {
        Self { buffers: [(GuestAddress(0), 0); MOST], count: 0, at: 0 }
    }

    fn push(&mut self, address: GuestAddress, length: u32) -> Result<(), Broken> {
        let end = address.raw_value().checked_add(length.into());
        end.ok_or(Broken("a buffer past the end of all addresses"))?;
        let place = self.buffers.get_mut(self.count).ok_or(Broken("a chain longer than its queue"))?;
        *place = (address, length);
        self.count += 1;
        Ok(())
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.buffers[self.at..self.count].iter().map(|(_, length)| u64::from(*length)).sum()
    }

    /// Takes a piece of at most `most` bytes; `None` at the end.
    pub fn take(&mut self, most: usize) -> Option<Piece> {
        while self.at < self.count && self.buffers[self.at].1 == 0 {
            self.at += 1;
        }
        let (address, left) = self.buffers[..self.count].get_mut(self.at)?;
        let length = u32::try_from(most).unwrap_or(u32::MAX).min(*left);
        let piece = Piece { address: *address, length: length as usize };
        // No buffer goes past the end of all addresses.
        *address = GuestAddress(address.raw_value() + u64::from(length));
        *left -= length;
        Some(piece)
    }

    /// Leaves out so many bytes, or as many as there are.
    pub fn skip(&mut self, bytes: usize) {
        let mut left = bytes;
        while let Some(piece) = self.take(left).filter(|_| left > 0) {
            left -= piece.length;
        }
    }

    /// Takes the last byte away from the end; `None` if there is none.
    pub fn take_last(&mut self) -> Option<GuestAddress> {
        let (address, left) =
            self.buffers[self.at..self.count].iter_mut().rev().find(|(_, left)| *left > 0)?;
        *left -= 1;
        Some(GuestAddress(address.raw_value() + u64::from(*left)))
    }

    /// Copies the next bytes out; false when fewer are left.
    ///
    /// # Errors
    /// [`Broken`]: a buffer outside memory.
    pub fn read(&mut self, memory: &GuestMemoryMmap, bytes: &mut [u8]) -> Result<bool, Broken> {
        let mut done = 0;
        while done < bytes.len() {
            let Some(piece) = self.take(bytes.len() - done) else { return Ok(false) };
            read(memory, piece, &mut bytes[done..done + piece.length])?;
            done += piece.length;
        }
        Ok(true)
    }

    /// Copies bytes in; false when fewer fit, and then those that do.
    ///
    /// # Errors
    /// [`Broken`]: a buffer outside memory.
    pub fn write(&mut self, memory: &GuestMemoryMmap, bytes: &[u8]) -> Result<bool, Broken> {
        let mut done = 0;
        while done < bytes.len() {
            let Some(piece) = self.take(bytes.len() - done) else { return Ok(false) };
            write(memory, piece, &bytes[done..done + piece.length])?;
            done += piece.length;
        }
        Ok(true)
    }
}

const OUTSIDE: Broken = Broken("a buffer that is not in memory");

/// Copies a piece out of memory; `bytes` is as long as it.
///
/// # Errors
/// [`Broken`]: it is not in memory.
pub fn read(memory: &GuestMemoryMmap, piece: Piece, bytes: &mut [u8]) -> Result<(), Broken> {
    memory.read_slice(bytes, piece.address).map_err(|_| OUTSIDE)
}

/// Copies a piece into memory; `bytes` is as long as it.
///
/// # Errors
/// [`Broken`]: it is not in memory.
pub fn write(memory: &GuestMemoryMmap, piece: Piece, bytes: &[u8]) -> Result<(), Broken> {
    memory.write_slice(bytes, piece.address).map_err(|_| OUTSIDE)
}

/// A piece where it lies in memory: in one slice, or in two where it goes over the end of a region.
pub fn slices(
    memory: &GuestMemoryMmap,
    piece: Piece,
) -> impl Iterator<Item = Result<VolatileSlice<'_>, Broken>> {
    memory.get_slices(piece.address, piece.length).map(|slice| slice.map_err(|_| OUTSIDE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(buffers: &[(u64, u32)]) -> Side {
        let mut side = Side::empty();
        for &(address, length) in buffers {
            side.push(GuestAddress(address), length).unwrap();
        }
        side
    }

    fn pieces(side: &mut Side, most: usize) -> Vec<(u64, usize)> {
        std::iter::from_fn(|| side.take(most)).map(|piece| (piece.address.0, piece.length)).collect()
    }

    #[test]
    fn pieces_are_no_longer_than_asked_for_and_end_where_a_buffer_does() {
        let mut side = side(&[(0x1000, 10), (0x2000, 0), (0x3000, 4)]);
        assert_eq!(side.left(), 14);
        assert_eq!(pieces(&mut side, 6), [(0x1000, 6), (0x1006, 4), (0x3000, 4)]);
        assert_eq!((side.left(), side.take(1)), (0, None));
    }

    #[test]
    fn bytes_are_left_out_across_buffers_and_no_further_than_the_end() {
        let mut side = side(&[(0x1000, 10), (0x2000, 0), (0x3000, 4)]);
        side.skip(0);
        side.skip(11);
        assert_eq!(
            (side.left(), side.take(9)),
            (3, Some(Piece { address: GuestAddress(0x3001), length: 3 }))
        );
        side.skip(1);
        assert_eq!(side.left(), 0);
    }

    #[test]
    fn the_last_byte_is_that_of_the_last_buffer_that_has_any() {
        let mut side = side(&[(0x1000, 2), (0x2000, 1), (0x3000, 0)]);
        assert_eq!(side.take_last(), Some(GuestAddress(0x2000)));
        assert_eq!(side.take_last(), Some(GuestAddress(0x1001)));
        assert_eq!(pieces(&mut side, 9), [(0x1000, 1)]);
        assert_eq!(side.take_last(), None);
    }

    #[test]
    fn a_piece_lies_in_as_many_slices_as_regions_and_nowhere_beyond_them() {
        let regions = [(GuestAddress(0), 0x1000), (GuestAddress(0x1000), 0x1000)];
        let memory = GuestMemoryMmap::from_ranges(&regions).unwrap();
        let lengths = |address| {
            let piece = Piece { address: GuestAddress(address), length: 32 };
            slices(&memory, piece).map(|slice| slice.ok().map(|slice| slice.len())).collect::<Vec<_>>()
        };
        assert_eq!(lengths(0x800), [Some(32)]);
        assert_eq!(lengths(0xff0), [Some(16), Some(16)]);
        assert_eq!(lengths(0x1ff0), [Some(16), None]);
        assert_eq!(lengths(u64::MAX), [None]);
    }

    #[test]
    fn a_buffer_past_the_end_of_all_addresses_is_refused_and_none_begins_again_at_0() {
        let mut side = Side::empty();
        for (address, length) in [(u64::MAX, 2), (u64::MAX, u32::MAX), (u64::MAX - 0xfff, 0x2000)] {
            let refused = side.push(GuestAddress(address), length);
            assert_eq!(refused, Err(Broken("a buffer past the end of all addresses")), "{address:#x}");
        }
        side.push(GuestAddress(u64::MAX - 2), 2).unwrap();
        assert_eq!(side.take_last(), Some(GuestAddress(u64::MAX - 1)));
        assert_eq!(pieces(&mut side, 9), [(u64::MAX - 2, 1)]);
    }
}
