use std::cell::{Cell, RefCell};
use std::time::Duration;

use proptest::prelude::*;
use vm_memory::{Bytes as _, GuestAddress};

use super::*;
use crate::devices::virtio::test_driver::{BUFFERS, Driver, MEMORY, SIZE, WRITE};
use crate::devices::virtio::{Limits, Rate};

/// A disk in memory, and what was asked of it beside reading and writing.
#[derive(Debug, Default)]
struct Memory {
    bytes: RefCell<Vec<u8>>,
    done: RefCell<Vec<String>>,
    knows_only_reads_and_writes: bool,
}

impl Memory {
    fn note(&self, text: String) -> Result<(), Failed> {
        if self.knows_only_reads_and_writes {
            return Err(Failed::Unsupported);
        }
        self.done.borrow_mut().push(text);
        Ok(())
    }
}

impl Storage for Memory {
    fn read(&self, offset: u64, memory: &VolatileSlice<'_>) -> Result<(), Failed> {
        let kept = self.bytes.borrow();
        let from = usize::try_from(offset).unwrap();
        memory.copy_from(&kept[from..from + memory.len()]);
        Ok(())
    }

    fn write(&self, offset: u64, memory: &VolatileSlice<'_>) -> Result<(), Failed> {
        let from = usize::try_from(offset).unwrap();
        memory.copy_to(&mut self.bytes.borrow_mut()[from..from + memory.len()]);
        Ok(())
    }

    fn flush(&self) -> Result<(), Failed> {
        self.note("flush".into())
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), Failed> {
        self.note(format!("discard {offset} {length}"))
    }

    fn zero(&self, offset: u64, length: u64, unmap: bool) -> Result<(), Failed> {
        self.note(format!("zero {offset} {length} {unmap}"))
    }
}

const SECTORS: u64 = 300;

/// What the request was for, section 5.2.6.
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

/// Status before the device wrote one.
const NOTHING: u8 = 0xee;

/// Where header, data and status of a request are.
const HEADER: u64 = BUFFERS;
const STATUS: u64 = BUFFERS + 16;
const DATA: u64 = BUFFERS + 0x1000;

struct Disk {
    driver: Driver,
    queue: Queue,
    block: Block<Memory>,
}

impl Disk {
    fn new(read_only: bool, cache: Cache) -> Self {
        let sector = |number: u64| [number.to_le_bytes()[0]; 512];
        let bytes = (0..SECTORS).flat_map(sector).collect();
        let storage = Memory { bytes: RefCell::new(bytes), ..Memory::default() };
        let properties =
            Properties { sectors: SECTORS, read_only, cache, id: *b"a disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0" };
        let driver = Driver::new();
        let queue = driver.queue();
        Self { driver, queue, block: Block::new(properties, storage, Limiter::default()) }
    }

    fn put_header(&self, kind: u32, sector: u64) {
        let header = [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat();
        self.driver.memory.write_slice(&header, GuestAddress(HEADER)).unwrap();
        self.driver.memory.write_slice(&[NOTHING], GuestAddress(STATUS)).unwrap();
    }

    fn process(&mut self) -> Result<Processed, Broken> {
        let memory = &self.driver.memory;
        self.block.serve(0, &mut self.queue, memory)
    }

    /// One request with one buffer; its status, and how many bytes the device says that it wrote.
    fn request(&mut self, kind: u32, sector: u64, length: u32, data_is_written: bool) -> (u8, u32) {
        self.put_header(kind, sector);
        let flags = if data_is_written { WRITE } else { 0 };
        self.driver.offer(&[(HEADER, 16, 0), (DATA, length, flags), (STATUS, 1, WRITE)]);
        self.process().unwrap();
        (self.driver.bytes(STATUS, 1)[0], self.driver.used().2)
    }

    fn range(&mut self, kind: u32, sector: u64, sectors: u32, flags: u32) -> u8 {
        let range = [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat();
        self.driver.memory.write_slice(&range, GuestAddress(DATA)).unwrap();
        self.request(kind, 0, 16, false).0
    }

    fn done(&self) -> Vec<String> {
        self.block.storage.done.borrow().clone()
    }
}

const DONE: u8 = Status::Done as u8;
const ERROR: u8 = Status::Error as u8;
const UNSUPPORTED: u8 = Status::Unsupported as u8;

#[test]
fn what_was_written_is_read_again_and_nothing_beside_it_changes() {
    let mut disk = Disk::new(false, Cache::Unsafe);
    // More than is moved at once.
    let written = vec![0x5a; 130 * 512];
    disk.driver.memory.write_slice(&written, GuestAddress(DATA)).unwrap();
    assert_eq!(disk.request(OUT, 7, 130 * 512, false), (DONE, 1));
    assert_eq!(disk.request(IN, 6, 132 * 512, true), (DONE, 132 * 512 + 1));
    let read = disk.driver.bytes(DATA, 132 * 512);
    assert!(read[..512].iter().all(|byte| *byte == 6) && read[131 * 512..].iter().all(|byte| *byte == 137));
    assert_eq!(read[512..131 * 512], written);
}

#[test]
fn requests_are_served_however_their_bytes_are_divided() {
    let mut disk = Disk::new(false, Cache::Unsafe);
    disk.put_header(IN, 3);
    disk.driver.offer(&[(HEADER, 5, 0), (HEADER + 5, 11, 0), (DATA, 100, WRITE), (DATA + 100, 413, WRITE)]);
    disk.process().unwrap();
    // The status is the last byte that the device may write.
    assert_eq!(disk.driver.bytes(DATA, 513), [[3; 512].as_slice(), &[DONE]].concat());
    assert_eq!(disk.driver.used().2, 513);
}

#[test]
fn sectors_past_the_end_and_parts_of_sectors_are_refused() {
    for (sector, length) in
        [(SECTORS, 512), (SECTORS - 1, 1024), (u64::MAX, 512), (u64::MAX / 512, 1024), (0, 511), (0, 1)]
    {
        let mut disk = Disk::new(false, Cache::Unsafe);
        assert_eq!(disk.request(IN, sector, length, true), (ERROR, 1), "{sector} {length}");
        assert_eq!(disk.request(OUT, sector, length, false), (ERROR, 1), "{sector} {length}");
    }
    assert_eq!(Disk::new(false, Cache::Unsafe).request(IN, SECTORS - 1, 512, true), (DONE, 513));
}

#[test]
fn a_read_only_disk_is_read_and_not_changed() {
    let mut disk = Disk::new(true, Cache::Writeback);
    assert_eq!(disk.request(IN, 1, 512, true), (DONE, 513));
    assert_eq!(disk.request(OUT, 1, 512, false), (ERROR, 1));
    assert_eq!(disk.range(DISCARD, 1, 1, 0), ERROR);
    assert_eq!(disk.range(WRITE_ZEROES, 1, 1, 0), ERROR);
    assert_eq!(disk.done(), [""; 0]);
    assert!(disk.block.storage.bytes.borrow()[512..1024].iter().all(|byte| *byte == 1));
}

#[test]
fn a_flush_reaches_the_storage_only_where_one_is_promised() {
    let mut disk = Disk::new(false, Cache::Writeback);
    assert_eq!(disk.request(FLUSH, 0, 0, false), (DONE, 1));
    assert_eq!(disk.done(), ["flush"]);
    let mut disk = Disk::new(false, Cache::Unsafe);
    assert_eq!(disk.request(FLUSH, 0, 0, false), (DONE, 1));
    assert_eq!(disk.done(), [""; 0]);
}

#[test]
fn discarding_and_zeroing_are_the_storages_within_the_disk_and_the_limits() {
    let mut disk = Disk::new(false, Cache::Unsafe);
    assert_eq!(disk.range(DISCARD, 2, 3, 0), DONE);
    assert_eq!(disk.range(WRITE_ZEROES, 4, 1, 0), DONE);
    assert_eq!(disk.range(WRITE_ZEROES, 5, 1, 1), DONE);
    assert_eq!(disk.range(WRITE_ZEROES, SECTORS, 0, 0), DONE, "nothing");
    assert_eq!(disk.done(), ["discard 1024 1536", "zero 2048 512 false", "zero 2560 512 true"]);
    for (kind, sector, sectors, flags, status) in [
        (DISCARD, SECTORS, 1, 0, ERROR),
        (DISCARD, u64::MAX, 2, 0, ERROR),
        (WRITE_ZEROES, 0, u32::MAX, 0, ERROR),
        (DISCARD, 0, 1, 1, UNSUPPORTED),
        (WRITE_ZEROES, 0, 1, 2, UNSUPPORTED),
    ] {
        assert_eq!(disk.range(kind, sector, sectors, flags), status, "{kind} {sector} {sectors} {flags}");
    }
    assert_eq!(disk.request(DISCARD, 0, 32, false).0, UNSUPPORTED, "one range at a time is offered");
    assert_eq!(disk.done().len(), 3);
}

#[test]
fn zeros_are_written_where_the_storage_cannot_make_them() {
    let mut disk = Disk::new(false, Cache::Unsafe);
    disk.block.storage.knows_only_reads_and_writes = true;
    assert_eq!(disk.range(WRITE_ZEROES, 100, 150, 0), DONE);
    assert_eq!(disk.range(DISCARD, 1, 1, 0), UNSUPPORTED);
    let bytes = disk.block.storage.bytes.borrow();
    assert!(bytes[100 * 512..250 * 512].iter().all(|byte| *byte == 0));
    assert_eq!((bytes[100 * 512 - 1], bytes[250 * 512]), (99, 250));
}

#[test]
fn a_disk_says_its_name_and_knows_no_other_request() {
    let mut disk = Disk::new(false, Cache::Unsafe);
    assert_eq!(disk.request(GET_ID, 0, 20, true), (DONE, 21));
    assert_eq!(disk.driver.bytes(DATA, 20), b"a disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    for kind in [2, 3, 5, 14, u32::MAX] {
        assert_eq!(disk.request(kind, 0, 512, true), (UNSUPPORTED, 1), "{kind}");
    }
}

#[test]
fn a_request_without_header_or_status_or_outside_memory_breaks_the_queue() {
    let end = MEMORY as u64;
    for buffers in [
        &[(HEADER, 15, 0), (STATUS, 1, WRITE)][..],
        &[(HEADER, 16, 0)],
        &[(HEADER, 16, 0), (STATUS, 0, WRITE)],
        &[(STATUS, 1, WRITE)],
        &[(HEADER, 16, 0), (end - 8, 512, WRITE), (STATUS, 1, WRITE)],
        &[(HEADER, 16, 0), (DATA, 512, WRITE), (end, 1, WRITE)],
        &[(end - 8, 16, 0), (DATA, 512, WRITE), (STATUS, 1, WRITE)],
    ] {
        let mut disk = Disk::new(false, Cache::Unsafe);
        disk.put_header(IN, 0);
        disk.driver.offer(buffers);
        assert!(disk.process().is_err(), "{buffers:x?}");
    }
}

#[test]
fn configuration_and_features_say_what_the_disk_can_do() {
    let properties = |read_only, cache| Properties { sectors: 0x1_0000_0001, read_only, cache, id: [0; 20] };
    let writable = properties(false, Cache::Writeback);
    assert_eq!(writable.identity().features, Features(Features::COMMON.0 | 1 << 9 | 1 << 13 | 1 << 14));
    let space = writable.configuration();
    assert_eq!(space[..8], 0x1_0000_0001u64.to_le_bytes());
    assert_eq!((&space[36..40], &space[48..52], space[56]), (&[0, 0, 2, 0][..], &[0, 0, 2, 0][..], 1));
    let read_only = properties(true, Cache::Unsafe);
    assert_eq!(read_only.identity().features, Features(Features::COMMON.0 | 1 << 5));
    assert!(read_only.configuration()[8..].iter().all(|byte| *byte == 0));
}

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

#[test]
fn a_limited_disk_leaves_a_request_in_the_queue_until_there_are_tokens_for_it() {
    let mut disk = Disk::new(false, Cache::Unsafe);
    let second = Some(Rate { size: 1000, refill: Duration::from_secs(1), burst: 0 });
    let limits = Limits { bandwidth: second, operations: None };
    disk.block.limiter = Limiter::new(&limits, || NOW.get());
    disk.put_header(IN, 1);
    for _ in 0..2 {
        disk.driver.offer(&[(HEADER, 16, 0), (DATA, 512, WRITE), (STATUS, 1, WRITE)]);
    }
    assert_eq!(disk.process(), Ok(Processed { interrupt: true, more: false }));
    assert_eq!(disk.driver.used().0, 1);
    // 2 requests of 529 bytes, and 1000 tokens.
    assert_eq!((disk.block.resumes(), disk.block.has_work(0)), (Some(Duration::from_millis(58)), false));
    NOW.set(Duration::from_millis(58));
    assert!(disk.block.has_work(0));
    assert_eq!(disk.process(), Ok(Processed { interrupt: true, more: false }));
    assert_eq!((disk.driver.used().0, disk.block.resumes()), (2, None));
}

#[test]
fn nobody_waits_for_a_request_that_the_driver_has_taken_away() {
    let mut disk = Disk::new(false, Cache::Unsafe);
    let one = Some(Rate { size: 1, refill: Duration::from_secs(1), burst: 0 });
    disk.block.limiter = Limiter::new(&Limits { bandwidth: None, operations: one }, || NOW.get());
    disk.put_header(IN, 1);
    for _ in 0..2 {
        disk.driver.offer(&[(HEADER, 16, 0), (DATA, 512, WRITE), (STATUS, 1, WRITE)]);
    }
    disk.process().unwrap();
    assert!(disk.block.resumes().is_some());
    disk.driver.set_available(1);
    NOW.set(Duration::from_secs(1));
    assert!(disk.block.has_work(0));
    disk.process().unwrap();
    assert_eq!((disk.driver.used().0, disk.block.resumes(), disk.block.has_work(0)), (1, None, false));
}

proptest! {
    #[test]
    fn whatever_is_in_the_rings_and_requests_the_disk_stays_as_large_as_it_is(
        descriptors in proptest::collection::vec((0u64..0x3000, 0u32..0x3000, 0u16..8, 0u16..20), usize::from(SIZE)),
        requests in proptest::collection::vec(any::<u8>(), 0x100),
        kind in 0u8..16,
        heads in proptest::collection::vec(0u16..20, 1..8),
    ) {
        let mut disk = Disk::new(false, Cache::Writeback);
        for (index, (address, length, flags, next)) in (0..).zip(descriptors) {
            disk.driver.describe(index, BUFFERS + address, length, flags, next);
        }
        disk.driver.memory.write_slice(&requests, GuestAddress(BUFFERS)).unwrap();
        disk.driver.memory.write_slice(&[kind, 0, 0, 0], GuestAddress(BUFFERS)).unwrap();
        for head in heads {
            disk.driver.offer_head(head);
        }
        let _ = disk.process();
        prop_assert_eq!(disk.block.storage.bytes.borrow().len() as u64, SECTORS * SECTOR);
    }
}
