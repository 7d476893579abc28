//! Requests to a disk.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ringfence::devices::virtio::Limiter;
use ringfence::devices::virtio::block::{Block, Cache, Failed, ID_BYTES, Properties, SECTOR, Storage};
use vm_memory::VolatileSlice;

use super::clock;
use super::guest::{self, Guest, WRITE};
use super::input::Input;
use super::session::{self, Subject, Turn};

const SECTORS: u64 = 24;

/// A disk's bytes, which takes nothing that does not lie on it.
#[derive(Debug)]
struct Disk {
    bytes: RefCell<Vec<u8>>,
    read_only: bool,
    /// Requests until one fails; 0: none does.
    fails: Cell<u8>,
    clears: bool,
}

#[derive(Clone, Debug)]
struct Shared(Rc<Disk>);

impl Disk {
    fn take(&self, offset: u64, length: u64, changes: bool) -> Result<std::ops::Range<usize>, Failed> {
        let end = offset.checked_add(length).expect("a place on the disk");
        assert!(length > 0 && end <= SECTORS * SECTOR, "{length} bytes at {offset} are not on the disk");
        assert!(!(changes && self.read_only), "a disk that is only read");
        if self.fails.get() > 0 {
            self.fails.set(self.fails.get() - 1);
            if self.fails.get() == 0 {
                return Err(Failed::Input);
            }
        }
        Ok(usize::try_from(offset).expect("small")..usize::try_from(end).expect("small"))
    }
}

impl Storage for Shared {
    fn read(&self, offset: u64, memory: &VolatileSlice<'_>) -> Result<(), Failed> {
        let range = self.0.take(offset, memory.len() as u64, false)?;
        memory.copy_from(&self.0.bytes.borrow()[range]);
        Ok(())
    }

    fn write(&self, offset: u64, memory: &VolatileSlice<'_>) -> Result<(), Failed> {
        let range = self.0.take(offset, memory.len() as u64, true)?;
        memory.copy_to(&mut self.0.bytes.borrow_mut()[range]);
        Ok(())
    }

    fn flush(&self) -> Result<(), Failed> {
        Ok(())
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), Failed> {
        self.zero(offset, length, true)
    }

    fn zero(&self, offset: u64, length: u64, _unmap: bool) -> Result<(), Failed> {
        let range = self.0.take(offset, length, true)?;
        if !self.0.clears {
            return Err(Failed::Unsupported);
        }
        self.0.bytes.borrow_mut()[range].fill(0);
        Ok(())
    }
}

struct Requests {
    device: Block<Shared>,
    disk: Rc<Disk>,
}

impl Subject for Requests {
    type Device = Block<Shared>;

    fn device(&mut self) -> &mut Self::Device {
        &mut self.device
    }

    /// A request that is nearly in order.
    fn event(&mut self, guest: &mut Guest, input: &mut Input<'_>) {
        if !guest.has_room(0) {
            return;
        }
        let kind = input.of(&[0u32, 1, 4, 8, 11, 13, 0, 1]);
        let sector = u64::from(input.byte() % 28);
        let (header, data, status) = (guest::address(input), guest::address(input), guest::address(input));
        let sector = if input.byte() == 255 { input.long() } else { sector };
        guest.write(header, &[&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat());
        let length = match kind {
            11 | 13 => {
                let range =
                    [&sector.to_le_bytes()[..], &input.word().to_le_bytes(), &[input.byte() % 3, 0, 0, 0]];
                guest.write(data, &range.concat());
                16
            }
            _ => 512 * u32::from(input.byte() % 8),
        };
        let flags = if matches!(kind, 0 | 8) { WRITE } else { 0 };
        let cut = u32::from(input.byte() % 17);
        let split = input.word() % (length + 1);
        guest.offer(
            0,
            &[
                (header, cut, 0),
                (header.wrapping_add(cut.into()), 16 - cut.min(16), 0),
                (data, split, flags),
                (data.wrapping_add(split.into()), length - split, flags),
                (status, 1, WRITE),
            ],
        );
    }

    fn after(&mut self, turn: &Turn, guest: &Guest) {
        // The last thing that a turn writes into buffers.
        let Some((length, chain)) = turn.used.last() else { return };
        assert!(*length >= 1, "there is a status");
        if turn.outcome.is_ok() {
            let last =
                chain.writable.iter().rfind(|range| !range.is_empty()).expect("a place for the status");
            let status = guest.read(&(last.end - 1..last.end), 1);
            assert!(status[0] <= 2, "{status:?} is no status");
        }
        assert_eq!(self.disk.bytes.borrow().len() as u64, SECTORS * SECTOR);
    }
}

/// What a driver asks of a disk.
pub fn block(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let choice = input.byte();
    let read_only = choice & 1 != 0;
    let disk = Rc::new(Disk {
        bytes: RefCell::new((0..SECTORS * SECTOR).map(|at| at.to_le_bytes()[0]).collect()),
        read_only,
        fails: Cell::new(if choice & 2 == 0 { 0 } else { input.byte() }),
        clears: choice & 4 == 0,
    });
    let cache = if choice & 8 == 0 { Cache::Unsafe } else { Cache::Writeback };
    let properties = Properties { sectors: SECTORS, read_only, cache, id: [7; ID_BYTES] };
    let before = disk.bytes.borrow().clone();
    let limiter = Limiter::new(&clock::limits(&mut input), clock::now);
    let device = Block::new(properties, Shared(Rc::clone(&disk)), limiter);
    let gave =
        session::run(&mut Requests { device, disk: Rc::clone(&disk) }, &properties.identity(), &mut input);
    assert!(!read_only || *disk.bytes.borrow() == before, "a disk that is only read stays as it was");
    gave
}
