//! A guest's memory with queues in it, and what its driver has put into them.

use std::ops::Range;

use ringfence::devices::virtio::queue::Setting;
use ringfence::devices::virtio::{Features, Queue};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::input::Input;

/// Descriptor flags, virtio 1.2 section 2.7.5.
pub const NEXT: u16 = 1;
/// The device writes into the buffer.
pub const WRITE: u16 = 2;
/// The buffer is a table of descriptors.
pub const INDIRECT: u16 = 4;

/// Descriptors of each queue.
pub const SIZE: u16 = 16;

/// The regions of memory: two that touch, so that a buffer can lie in both, and one beyond a hole.
pub const REGIONS: [Range<u64>; 3] = [0..0x8000, 0x8000..0x1_0000, 0x10_0000..0x10_2000];

/// Where queues lie, 4 KiB for each, and the buffers after them.
const RINGS: u64 = 0x1000;
const RING_BYTES: u64 = 0x1000;
/// Where buffers mostly are.
pub const BUFFERS: Range<u64> = 0x5000..0x1_0000;

/// A descriptor as its driver writes it: address, length, flags.
pub type Buffer = (u64, u32, u16);

/// What a chain of descriptors is, as this driver reads it: ranges, in their order.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// What the device may read.
    pub readable: Vec<Range<u64>>,
    /// What it may write.
    pub writable: Vec<Range<u64>>,
    /// Tables of descriptors.
    pub tables: Vec<Range<u64>>,
    /// A device may see its end sooner: it leaves the table, goes round in a circle, has a table in it, goes past the end
    /// of all addresses, or is of more bytes than a chain may be (section 2.7.5).
    pub is_odd: bool,
}

/// A queue of a guest.
pub struct Line {
    /// The device's side, while it is in use.
    pub queue: Option<Queue>,
    base: u64,
    next: u16,
    /// The first descriptors of all chains that were put in, in their order.
    pub offered: Vec<u16>,
    /// How many have come back.
    pub used: u16,
}

/// A guest.
pub struct Guest {
    /// Its memory.
    pub memory: GuestMemoryMmap,
    /// Its queues.
    pub lines: Vec<Line>,
    /// Nothing but this driver has written to the queues' own memory, so that it knows what is in them.
    pub knows: bool,
}

impl Guest {
    /// A guest with so many queues, 4 at most, that are not in use.
    pub fn new(queues: usize) -> Self {
        let ranges = REGIONS.map(|range| {
            (GuestAddress(range.start), usize::try_from(range.end - range.start).expect("small"))
        });
        let line = |index: u64| Line {
            queue: None,
            base: RINGS + index * RING_BYTES,
            next: 0,
            offered: Vec::new(),
            used: 0,
        };
        let lines = (0..4).map(line).take(queues).collect();
        Self { memory: GuestMemoryMmap::from_ranges(&ranges).expect("memory"), lines, knows: true }
    }

    /// Sets all queues up anew, empty, as after a reset.
    pub fn start(&mut self, features: Features) {
        self.knows = true;
        for line in &mut self.lines {
            let zeros = vec![0; usize::try_from(RING_BYTES).expect("small")];
            self.memory.write_slice(&zeros, GuestAddress(line.base)).expect("in memory");
            (line.next, line.used) = (0, 0);
            line.offered.clear();
            let setting = line.setting();
            line.queue =
                Some(Queue::new(&setting, 256, features, &self.memory).expect("a setting that is in order"));
        }
    }

    /// The device has let go of them.
    pub fn stop(&mut self) {
        self.lines.iter_mut().for_each(|line| line.queue = None);
    }

    /// Writes bytes, as far as they are in memory.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        self.overwrites(address, bytes.len());
        let _ = self.memory.write(bytes, GuestAddress(address));
    }

    /// Somebody writes here: where that is a queue's own memory, nobody knows what is in there.
    pub fn overwrites(&mut self, address: u64, bytes: usize) {
        let end = address.saturating_add(bytes as u64);
        self.knows &= end <= RINGS || address >= RINGS + RING_BYTES * 4;
    }

    /// Reads bytes, zeros where no memory is.
    pub fn read(&self, range: &Range<u64>, most: usize) -> Vec<u8> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(most).min(most);
        let mut bytes = vec![0; length];
        let _ = self.memory.read(&mut bytes, GuestAddress(range.start));
        bytes
    }

    /// All of memory.
    pub fn snapshot(&self) -> Vec<Vec<u8>> {
        REGIONS.iter().map(|region| self.read(region, usize::MAX)).collect()
    }

    fn descriptor(&mut self, at: u64, (address, length, flags): Buffer, next: u16) {
        let fields =
            [&address.to_le_bytes()[..], &length.to_le_bytes(), &flags.to_le_bytes(), &next.to_le_bytes()];
        let _ = self.memory.write(&fields.concat(), GuestAddress(at));
    }

    /// Writes a descriptor of a queue.
    pub fn describe(&mut self, line: usize, index: u16, buffer: Buffer, next: u16) {
        let at = self.lines[line].base + 16 * u64::from(index % SIZE);
        self.descriptor(at, buffer, next);
    }

    /// Writes a table of descriptors, where memory is.
    pub fn table(&mut self, at: u64, buffers: &[Buffer]) {
        self.overwrites(at, 16 * buffers.len());
        for (index, &(address, length, flags)) in (0u16..).zip(buffers) {
            let more = if usize::from(index) + 1 < buffers.len() { NEXT } else { 0 };
            self.descriptor(
                at.saturating_add(16 * u64::from(index)),
                (address, length, flags | more),
                index + 1,
            );
        }
    }

    /// Puts a chain of buffers into a queue.
    pub fn offer(&mut self, line: usize, buffers: &[Buffer]) {
        let head = self.lines[line].next;
        for (position, &(address, length, flags)) in buffers.iter().enumerate() {
            let index = self.lines[line].next;
            let next = (index + 1) % SIZE;
            self.lines[line].next = next;
            let more = if position + 1 < buffers.len() { NEXT } else { 0 };
            self.describe(line, index, (address, length, flags | more), next);
        }
        self.offer_head(line, head);
    }

    /// Puts whatever begins at this descriptor into a queue.
    pub fn offer_head(&mut self, line: usize, head: u16) {
        let line = &mut self.lines[line];
        let count = u16::try_from(line.offered.len() % 0x1_0000).expect("16 bits");
        let available = line.available().start;
        let at = available + 4 + 2 * u64::from(count % SIZE);
        let _ = self.memory.write(&head.to_le_bytes(), GuestAddress(at));
        let _ = self.memory.write(&count.wrapping_add(1).to_le_bytes(), GuestAddress(available + 2));
        line.offered.push(head);
    }

    /// Whether the queue has room for another chain whose place the driver still needs.
    pub fn has_room(&self, line: usize) -> bool {
        let line = &self.lines[line];
        line.offered.len() < usize::from(line.used) + usize::from(SIZE)
    }

    /// What begins at a descriptor of a queue. The walk is longer than any device's may be, never shorter.
    pub fn chain(&self, line: usize, head: u16) -> Chain {
        let mut chain = Chain::default();
        self.walk(self.lines[line].base, head, &mut chain, true);
        let bytes =
            chain.readable.iter().chain(&chain.writable).map(|range| u128::from(range.end - range.start));
        chain.is_odd |= bytes.sum::<u128>() > u32::MAX.into();
        chain
    }

    fn walk(&self, table: u64, first: u16, chain: &mut Chain, may_nest: bool) {
        let mut index = first;
        for step in 0..300 {
            chain.is_odd |= step >= SIZE || index >= SIZE || !may_nest;
            let at = table.saturating_add(16 * u64::from(index));
            let bytes = self.read(&(at..at.saturating_add(16)), 16);
            let Some((address, rest)) = bytes.split_first_chunk() else { return };
            let (address, Some((length, rest))) = (u64::from_le_bytes(*address), rest.split_first_chunk())
            else {
                return;
            };
            let range = address..address.saturating_add(u32::from_le_bytes(*length).into());
            chain.is_odd |= range.end == u64::MAX;
            let flags = u16::from_le_bytes([rest[0], rest[1]]);
            if flags & INDIRECT != 0 && may_nest {
                chain.tables.push(range.clone());
                self.walk(address, 0, chain, false);
            } else if flags & WRITE != 0 {
                chain.writable.push(range);
            } else {
                chain.readable.push(range);
            }
            if flags & NEXT == 0 {
                return;
            }
            index = u16::from_le_bytes([rest[2], rest[3]]);
        }
    }

    /// The chains that have come back since this was last asked: first descriptor and length of each.
    pub fn take_used(&mut self, line: usize) -> Vec<(u32, u32)> {
        let used = self.lines[line].used_ring();
        let index = self.read(&(used.start + 2..used.start + 4), 2);
        let index = u16::from_le_bytes([index[0], index[1]]);
        let line = &mut self.lines[line];
        let count = index.wrapping_sub(line.used);
        let first = std::mem::replace(&mut line.used, index);
        let entry = |number: u16| {
            let at = used.start + 4 + 8 * u64::from(first.wrapping_add(number) % SIZE);
            let bytes = self.read(&(at..at + 8), 8);
            let word = |from: usize| {
                u32::from_le_bytes([bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]])
            };
            (word(0), word(4))
        };
        (0..count.min(SIZE)).map(entry).collect()
    }
}

impl Line {
    /// What its driver writes into the registers.
    pub fn setting(&self) -> Setting {
        Setting {
            size: SIZE,
            ready: true,
            descriptors: self.base,
            driver: self.available().start,
            device: self.used_ring().start,
        }
    }

    fn available(&self) -> Range<u64> {
        self.base + 0x400..self.base + 0x400 + 6 + 2 * u64::from(SIZE)
    }

    /// What the device writes by itself.
    pub fn used_ring(&self) -> Range<u64> {
        self.base + 0x800..self.base + 0x800 + 6 + 8 * u64::from(SIZE)
    }

    /// The chains that have not come back.
    pub fn waiting(&self) -> &[u16] {
        self.offered.get(usize::from(self.used)..).unwrap_or_default()
    }

    /// All of the queue's own memory.
    pub fn rings(&self) -> Range<u64> {
        self.base..self.base + RING_BYTES
    }
}

/// An address, mostly of a place for buffers.
pub fn address(input: &mut Input<'_>) -> u64 {
    let within =
        |range: &Range<u64>, offset: u16| range.start + u64::from(offset) % (range.end - range.start);
    match input.byte() {
        0..=199 => within(&BUFFERS, input.short()),
        200..=219 => within(&REGIONS[2], input.short()),
        220..=239 => input.short().into(),
        240..=247 => u64::MAX - u64::from(input.short()),
        _ => input.long(),
    }
}

/// A length, mostly small.
pub fn length(input: &mut Input<'_>) -> u32 {
    match input.byte() {
        0..=127 => input.byte().into(),
        128..=199 => u32::from(input.short()) % 0x3000,
        200..=239 => input.of(&[1, 4, 10, 12, 16, 44, 512, 513, 4096]),
        240..=247 => u32::MAX - u32::from(input.byte()),
        _ => input.word(),
    }
}

/// A few buffers of any shape, sometimes in a table.
pub fn buffers(guest: &mut Guest, input: &mut Input<'_>) -> Vec<Buffer> {
    let buffer = |input: &mut Input<'_>| {
        let kind = input.byte();
        let flags = if kind & 1 == 0 { 0 } else { WRITE } | if kind >= 250 { INDIRECT } else { 0 };
        (address(input), length(input), flags)
    };
    let count = 1 + usize::from(input.byte() % 5);
    let all: Vec<Buffer> = (0..count).map(|_| buffer(input)).collect();
    if input.byte() % 4 != 3 {
        return all;
    }
    let at = address(input);
    guest.table(at, &all);
    let bytes = 16 * u32::try_from(count).expect("a few");
    vec![(at, if input.byte() % 8 == 7 { length(input) } else { bytes }, INDIRECT)]
}
