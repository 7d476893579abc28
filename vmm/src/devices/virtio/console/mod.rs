//! The console device, virtio 1.2 section 5.3: one port, a queue for what is typed and one for what the guest says.

use vm_memory::GuestMemoryMmap;

use super::buffers::{self, Buffers, Piece, Side};
use super::device::{Broken, Device, Features, Identity, Processed};
use super::queue::Queue;

/// Device type 3; no features of its own, so there is one port, and nothing in the configuration space counts.
pub const IDENTITY: Identity = Identity { device_type: 3, features: Features::COMMON, queues: &[256, 256] };

/// Queues (section 5.3.2).
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// Bytes that are moved at once, and in one turn.
const AT_ONCE: usize = 256;
const MOST_BYTES: usize = 16 * 1024;

/// The other end of the line. Neither direction waits.
pub trait Line: std::fmt::Debug {
    /// Takes as many bytes as there is room for, and says how many.
    fn say(&mut self, bytes: &[u8]) -> usize;

    /// Whether there is room.
    fn has_room(&self) -> bool;

    /// Fills in bytes that were typed, as many as there are, and says how many.
    fn typed(&mut self, bytes: &mut [u8]) -> usize;

    /// Whether something was typed.
    fn has_input(&self) -> bool;
}

/// The device.
#[derive(Debug)]
pub struct Console<L> {
    line: L,
    /// Bytes of the next chain to say that have been said.
    said: usize,
    /// A chain is there to be said, and found no room.
    waits_for_room: bool,
    /// Input found no chain.
    waits_for_buffers: bool,
}

impl<L: Line> Console<L> {
    /// A console on this line.
    pub fn new(line: L) -> Self {
        Self { line, said: 0, waits_for_room: false, waits_for_buffers: false }
    }

    fn receive(&mut self, queue: &mut Queue, memory: &GuestMemoryMmap) -> Result<Processed, Broken> {
        self.waits_for_buffers = false;
        for _ in 0..queue.size() {
            if !self.line.has_input() {
                break;
            }
            let Some(chain) = queue.next(memory)? else {
                self.waits_for_buffers = true;
                break;
            };
            let head = chain.head_index();
            let written = self.fill(Buffers::new(chain)?.writable, memory)?;
            queue.used(memory, head, written)?;
        }
        Ok(Processed { interrupt: queue.finish(memory)?, more: false })
    }

    /// What was typed, as far as it fits; how many bytes.
    fn fill(&mut self, mut room: Side, memory: &GuestMemoryMmap) -> Result<u32, Broken> {
        let mut written = 0;
        while let Some(piece) = room.take(AT_ONCE) {
            let mut bytes = [0; AT_ONCE];
            let count = self.line.typed(&mut bytes[..piece.length]);
            buffers::write(memory, Piece { length: count, ..piece }, &bytes[..count])?;
            written += u32::try_from(count).unwrap_or(0);
            if count < piece.length {
                break;
            }
        }
        Ok(written)
    }

    fn transmit(&mut self, queue: &mut Queue, memory: &GuestMemoryMmap) -> Result<Processed, Broken> {
        self.waits_for_room = false;
        let mut turn = MOST_BYTES;
        queue.each(memory, |chain| {
            let mut text = Buffers::new(chain)?.readable;
            text.skip(self.said);
            while let Some(piece) = text.take(AT_ONCE.min(turn)) {
                let mut bytes = [0; AT_ONCE];
                buffers::read(memory, piece, &mut bytes[..piece.length])?;
                let count = self.line.say(&bytes[..piece.length]);
                self.said += count;
                turn -= count;
                if count < piece.length || turn == 0 {
                    self.waits_for_room = true;
                    return Ok(None);
                }
            }
            self.said = 0;
            Ok(Some(0))
        })
    }
}

impl<L: Line> Device for Console<L> {
    fn stop(&mut self) {
        (self.said, self.waits_for_room, self.waits_for_buffers) = (0, false, false);
    }

    fn serve(
        &mut self,
        index: usize,
        queue: &mut Queue,
        memory: &GuestMemoryMmap,
    ) -> Result<Processed, Broken> {
        if index == RECEIVE { self.receive(queue, memory) } else { self.transmit(queue, memory) }
    }

    fn has_work(&self, index: usize) -> bool {
        match index {
            RECEIVE => !self.waits_for_buffers && self.line.has_input(),
            TRANSMIT => self.waits_for_room && self.line.has_room(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vm_memory::{Bytes as _, GuestAddress};

    use super::*;
    use crate::devices::virtio::test_driver::{BUFFERS, Driver, SIZE, WRITE};

    /// A line with room for so many bytes.
    #[derive(Debug, Default)]
    struct Paper {
        said: Vec<u8>,
        room: usize,
        typed: Vec<u8>,
    }

    impl Line for Paper {
        fn say(&mut self, bytes: &[u8]) -> usize {
            let count = bytes.len().min(self.room);
            self.room -= count;
            self.said.extend(&bytes[..count]);
            count
        }

        fn has_room(&self) -> bool {
            self.room > 0
        }

        fn typed(&mut self, bytes: &mut [u8]) -> usize {
            let count = bytes.len().min(self.typed.len());
            bytes[..count].copy_from_slice(&self.typed[..count]);
            self.typed.drain(..count);
            count
        }

        fn has_input(&self) -> bool {
            !self.typed.is_empty()
        }
    }

    struct Guest {
        driver: Driver,
        queue: Queue,
        console: Console<Paper>,
    }

    impl Guest {
        fn new(room: usize) -> Self {
            let driver = Driver::new();
            let queue = driver.queue();
            Self { driver, queue, console: Console::new(Paper { room, ..Paper::default() }) }
        }

        fn serve(&mut self, index: usize) -> Processed {
            self.console.serve(index, &mut self.queue, &self.driver.memory).unwrap()
        }

        fn say(&mut self, text: &[u8]) {
            self.driver.memory.write_slice(text, GuestAddress(BUFFERS)).unwrap();
            let half = u32::try_from(text.len() / 2).unwrap();
            let rest = u32::try_from(text.len()).unwrap() - half;
            self.driver.offer(&[(BUFFERS, half, 0), (BUFFERS + u64::from(half), rest, 0)]);
        }
    }

    #[test]
    fn what_the_guest_says_is_said_once_and_in_order_however_little_room_there_is() {
        let mut guest = Guest::new(4);
        guest.say(b"hello, world");
        assert_eq!(guest.serve(TRANSMIT), Processed { interrupt: false, more: false });
        assert_eq!((guest.driver.used().0, guest.console.has_work(TRANSMIT)), (0, false));
        for room in [5, 3] {
            guest.console.line.room = room;
            assert!(guest.console.has_work(TRANSMIT));
            guest.serve(TRANSMIT);
        }
        assert_eq!((guest.driver.used(), guest.console.has_work(TRANSMIT)), ((1, 0, 0), false));
        guest.console.line.room = 100;
        guest.say(b"again");
        guest.serve(TRANSMIT);
        assert_eq!(guest.console.line.said, b"hello, worldagain");
    }

    #[test]
    fn a_turn_says_a_bounded_part_of_a_long_text_and_has_work_left() {
        let mut guest = Guest::new(usize::MAX);
        guest.say(&vec![b'x'; MOST_BYTES + 10]);
        guest.serve(TRANSMIT);
        assert_eq!((guest.console.line.said.len(), guest.driver.used().0), (MOST_BYTES, 0));
        assert!(guest.console.has_work(TRANSMIT));
        guest.serve(TRANSMIT);
        assert_eq!((guest.console.line.said.len(), guest.driver.used().0), (MOST_BYTES + 10, 1));
    }

    #[test]
    fn what_was_typed_waits_for_buffers_and_fills_as_much_of_them_as_it_can() {
        let mut guest = Guest::new(0);
        guest.console.line.typed = b"typed".to_vec();
        assert!(guest.console.has_work(RECEIVE));
        guest.serve(RECEIVE);
        assert!(!guest.console.has_work(RECEIVE), "the driver has to bring buffers");
        guest.driver.offer(&[(BUFFERS, 2, WRITE), (BUFFERS + 2, 1, WRITE)]);
        guest.driver.offer(&[(BUFFERS + 100, 64, WRITE)]);
        guest.serve(RECEIVE);
        assert_eq!(guest.driver.used(), (2, 2, 2));
        assert_eq!(guest.driver.bytes(BUFFERS, 3), b"typ");
        assert_eq!(guest.driver.bytes(BUFFERS + 100, 3), b"ed\0");
        assert!(!guest.console.has_work(RECEIVE));
    }

    #[test]
    fn after_a_reset_nothing_is_left_of_a_text() {
        let mut guest = Guest::new(3);
        guest.say(b"abcdef");
        guest.serve(TRANSMIT);
        guest.console.stop();
        assert!(!guest.console.has_work(TRANSMIT));
        let mut next = Guest { console: guest.console, ..Guest::new(0) };
        next.console.line.room = 10;
        next.say(b"xyz");
        next.serve(TRANSMIT);
        assert_eq!(next.console.line.said, b"abcxyz");
    }

    proptest! {
        #[test]
        fn whatever_is_in_the_queues_the_console_comes_back(
            descriptors in proptest::collection::vec((0u64..0x11_0000, any::<u32>(), 0u16..8, 0u16..20), usize::from(SIZE)),
            index in 0usize..3,
        ) {
            let mut guest = Guest::new(1 << 20);
            guest.console.line.typed = vec![7; 1000];
            for (number, (address, length, flags, next)) in (0..).zip(descriptors) {
                guest.driver.describe(number, address, length, flags, next);
            }
            guest.driver.offer_head(0);
            let _ = guest.console.serve(index, &mut guest.queue, &guest.driver.memory);
            prop_assert!(guest.console.line.said.len() <= MOST_BYTES);
        }
    }
}
