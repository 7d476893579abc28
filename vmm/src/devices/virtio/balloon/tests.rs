use std::cell::{Cell, RefCell};

use proptest::prelude::*;
use vm_memory::Bytes as _;

use super::*;
use crate::devices::virtio::test_driver::{BUFFERS, Driver, MEMORY, SIZE, WRITE};

/// What was released: first byte and bytes.
#[derive(Debug, Default)]
struct Released(RefCell<Vec<(u64, u64)>>);

impl Pages for Released {
    fn release(&self, _memory: &GuestMemoryMmap, start: GuestAddress, bytes: u64) -> bool {
        self.0.borrow_mut().push((start.0, bytes));
        start.0 + bytes <= MEMORY as u64
    }
}

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

const ALL: Properties = Properties { target: 3, deflate_on_oom: true, statistics: true, reporting: true };

struct Guest {
    driver: Driver,
    queue: Queue,
    balloon: Balloon<Released>,
    statistics: &'static Statistics,
}

impl Guest {
    fn with(features: Features, interval_s: u32) -> Self {
        let driver = Driver::new();
        let queue = driver.queue();
        let statistics = Box::leak(Box::new(Statistics::new(interval_s)));
        let mut balloon = Balloon::new(Released::default(), statistics, || NOW.get());
        balloon.start(features);
        Self { driver, queue, balloon, statistics }
    }

    fn new() -> Self {
        Self::with(ALL.identity().features, 0)
    }

    fn serve(&mut self, index: usize) -> Result<Processed, Broken> {
        self.balloon.serve(index, &mut self.queue, &self.driver.memory)
    }

    fn inflate(&mut self, numbers: &[u32]) -> Result<Vec<(u64, u64)>, Broken> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.driver.memory.write_slice(&bytes, GuestAddress(BUFFERS)).unwrap();
        self.driver.offer(&[(BUFFERS, u32::try_from(bytes.len()).unwrap(), 0)]);
        self.serve(0)?;
        Ok(self.balloon.host.0.take())
    }

    fn tell(&mut self, entries: &[(u16, u64)]) {
        let entry = |(tag, value): &(u16, u64)| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat();
        let bytes: Vec<u8> = entries.iter().flat_map(entry).collect();
        self.driver.memory.write_slice(&bytes, GuestAddress(BUFFERS)).unwrap();
        self.driver.offer(&[(BUFFERS, u32::try_from(bytes.len()).unwrap(), 0)]);
        self.serve(2).unwrap();
    }
}

#[test]
fn pages_that_the_guest_gives_are_released_neighbours_at_once() {
    let mut guest = Guest::new();
    assert_eq!(
        guest.inflate(&[9, 5, 4, 6, 5, 11]).unwrap(),
        [(0x4000, 0x3000), (0x9000, 0x1000), (0xb000, 0x1000)]
    );
    assert_eq!(guest.driver.used(), (1, 0, 0));
    let many: Vec<u32> = (0..200).map(|page| 200 - page).collect();
    assert_eq!(guest.inflate(&many).unwrap(), [(0x1000, 200 * PAGE)]);
}

#[test]
fn a_page_outside_memory_and_too_many_pages_break_the_queue() {
    let past = u32::try_from(MEMORY as u64 / PAGE).unwrap();
    assert!(Guest::new().inflate(&[past]).is_err());
    assert!(Guest::new().inflate(&[u32::MAX]).is_err());
    let mut guest = Guest::new();
    guest.driver.offer(&[(BUFFERS, 4 * 16 * 1024 + 4, 0)]);
    assert!(guest.serve(0).is_err());
}

#[test]
fn taking_back_releases_nothing() {
    let mut guest = Guest::new();
    guest.driver.offer(&[(BUFFERS, 8, 0)]);
    guest.serve(1).unwrap();
    assert_eq!((guest.driver.used(), guest.balloon.host.0.take()), ((1, 0, 0), vec![]));
}

#[test]
fn of_reported_buffers_whole_pages_are_released() {
    let mut guest = Guest::new();
    guest.driver.offer(&[(0x2000, 0x3000, WRITE), (0x8001, 0x1fff, WRITE), (0xb010, 0xff0, WRITE)]);
    guest.serve(3).unwrap();
    assert_eq!(guest.balloon.host.0.take(), [(0x2000, 0x3000), (0x9000, 0x1000)]);
    // In the last page of all addresses no page begins.
    guest.driver.offer(&[(u64::MAX - 0xff, 1, WRITE)]);
    guest.serve(3).unwrap();
    assert_eq!(guest.balloon.host.0.take(), []);
    guest.driver.offer(&[(u64::MAX - 0xfff, 0x2000, WRITE)]);
    assert!(guest.serve(3).is_err());
}

#[test]
fn queues_are_numbered_by_the_features_that_are_agreed_upon() {
    let reporting_alone = Features(Features::VERSION_1.0 | PAGE_REPORTING.0);
    let mut guest = Guest::with(reporting_alone, 0);
    guest.driver.offer(&[(0x2000, 0x1000, WRITE)]);
    guest.serve(2).unwrap();
    assert_eq!(guest.balloon.host.0.take(), [(0x2000, 0x1000)]);
    let neither = Properties { statistics: false, reporting: false, deflate_on_oom: false, ..ALL };
    assert_eq!((ALL.identity().queues.len(), neither.identity().queues.len()), (4, 2));
    assert_eq!(neither.identity().features, Features::COMMON);
    assert_eq!(ALL.identity().features, Features(Features::COMMON.0 | 0b10_0110));
}

#[test]
fn statistics_are_asked_for_in_their_interval_by_giving_the_buffer_back() {
    let mut guest = Guest::with(ALL.identity().features, 5);
    let second = Duration::from_secs(1);
    guest.tell(&[(4, 1000), (99, 7), (5, 2000)]);
    let free = |guest: &Guest| guest.statistics.get(Statistic::FreeMemory);
    assert_eq!((free(&guest), guest.statistics.get(Statistic::TotalMemory)), (Some(1000), Some(2000)));
    assert_eq!(guest.statistics.get(Statistic::SwapIn), None);
    assert_eq!((guest.driver.used().0, guest.balloon.resumes()), (0, Some(5 * second)));
    assert!(!guest.balloon.has_work(2));
    NOW.set(5 * second);
    assert!(guest.balloon.has_work(2) && !guest.balloon.has_work(1));
    assert_eq!(guest.serve(2), Ok(Processed { interrupt: true, more: false }));
    assert_eq!((guest.driver.used().0, guest.balloon.resumes()), (1, None));
    guest.tell(&[(4, 1001)]);
    assert_eq!((free(&guest), guest.balloon.resumes()), (Some(1001), Some(10 * second)));
    guest.statistics.set_interval(0);
    assert_eq!(guest.balloon.resumes(), None);
    guest.balloon.stop();
    assert_eq!(free(&guest), None);
}

#[test]
fn the_target_is_the_devices_and_the_actual_number_the_drivers() {
    let space = ALL.configuration();
    assert_eq!(pages(&space), (3, 0));
    space.driver_writes(0, &[9, 0, 0, 0, 2, 0, 0, 0]);
    assert_eq!(pages(&space), (3, 2));
    set_target(&space, 70_000);
    assert_eq!(pages(&space), (70_000, 2));
}

proptest! {
    #[test]
    fn whatever_is_in_the_queues_nothing_outside_memory_counts_as_released(
        descriptors in proptest::collection::vec((any::<u64>(), any::<u32>(), 0u16..8, 0u16..20), usize::from(SIZE)),
        index in 0usize..5,
    ) {
        let mut guest = Guest::new();
        for (number, (address, length, flags, next)) in (0..).zip(descriptors) {
            guest.driver.describe(number, address % (2 * MEMORY as u64), length, flags, next);
        }
        guest.driver.offer_head(0);
        let outcome = guest.serve(index);
        let outside = guest.balloon.host.0.take().iter().any(|(start, bytes)| start + bytes > MEMORY as u64);
        prop_assert!(!outside || outcome.is_err());
    }
}
