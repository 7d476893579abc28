use std::cell::Cell;
use std::collections::VecDeque;

use proptest::prelude::*;
use vm_memory::{Bytes as _, GuestAddress};

use super::*;
use crate::devices::virtio::Rate;
use crate::devices::virtio::test_driver::{BUFFERS, Driver, MEMORY, NEXT, SIZE, WRITE};

/// A wire in memory.
#[derive(Debug, Default)]
struct Wire {
    coming: VecDeque<Vec<u8>>,
    gone: Vec<Vec<u8>>,
    offloads: Option<Offloads>,
}

impl Link for Wire {
    fn set_offloads(&mut self, offloads: Offloads) {
        self.offloads = Some(offloads);
    }

    fn receive(&mut self, frame: &mut [u8]) -> Received {
        let Some(next) = self.coming.pop_front() else { return Received::Nothing };
        frame[..next.len()].copy_from_slice(&next);
        Received::Frame(next.len())
    }

    fn send(&mut self, frame: &[u8]) {
        self.gone.push(frame.to_vec());
    }
}

/// An interface with one of its queues in use.
struct Interface {
    driver: Driver,
    queue: Queue,
    net: Net<Wire>,
    index: usize,
}

/// A header of zeros and so many bytes behind it, each its own number.
fn frame(bytes: usize) -> Vec<u8> {
    let counted = (0..bytes as u64).map(|number| number.to_le_bytes()[0]);
    [0; HEADER_BYTES].into_iter().chain(counted).collect()
}

/// The same as the driver gets it, spread over so many chains.
fn spread(bytes: usize, chains: u16) -> Vec<u8> {
    let mut frame = frame(bytes);
    frame[10..12].copy_from_slice(&chains.to_le_bytes());
    frame
}

impl Interface {
    fn new(index: usize, features: u64) -> Self {
        Self::with_rates(index, features, &Rates::default())
    }

    fn with_rates(index: usize, features: u64, rates: &Rates) -> Self {
        let driver = Driver::new();
        let queue = driver.queue();
        let mut net = Net::new(Wire::default(), rates, || NOW.get());
        net.start(Features(features));
        Self { driver, queue, net, index }
    }

    fn serve(&mut self) -> Result<Processed, Broken> {
        self.net.serve(self.index, &mut self.queue, &self.driver.memory)
    }

    /// The frames come, and the device is told so.
    fn come(&mut self, frames: impl IntoIterator<Item = usize>) -> Result<Processed, Broken> {
        self.net.link.coming.extend(frames.into_iter().map(frame));
        self.net.announce();
        self.serve()
    }

    fn used(&self) -> u16 {
        self.driver.used().0
    }
}

#[test]
fn a_frame_goes_into_the_first_buffer_that_holds_it() {
    for (features, rest) in [(0, 1000), (MRG_RXBUF, 1000), (MRG_RXBUF, 1)] {
        let mut interface = Interface::new(RECEIVE, features);
        interface.driver.offer(&[(BUFFERS, 5, WRITE), (BUFFERS + 5, 7 + rest, WRITE)]);
        assert_eq!(interface.come([1]), Ok(Processed { interrupt: true, more: false }));
        assert_eq!(interface.driver.used(), (1, 0, 13));
        assert_eq!(interface.driver.bytes(BUFFERS, 13), spread(1, 1));
    }
}

#[test]
fn a_frame_is_spread_over_as_many_chains_as_it_takes() {
    let mut interface = Interface::new(RECEIVE, MRG_RXBUF);
    for chain in 0..4 {
        interface.driver.offer(&[(BUFFERS + chain * 20, 20, WRITE)]);
    }
    interface.come([43]).unwrap();
    assert_eq!(interface.driver.used(), (3, 2, 15));
    assert_eq!(interface.driver.bytes(BUFFERS, 55), spread(43, 3));
}

#[test]
fn a_frame_that_lacks_buffers_uses_none_and_waits_for_more() {
    let mut interface = Interface::new(RECEIVE, MRG_RXBUF);
    for chain in 0..2 {
        interface.driver.offer(&[(BUFFERS + chain * 20, 20, WRITE)]);
    }
    interface.come([40, 1]).unwrap();
    assert_eq!(interface.used(), 0);
    assert_eq!(interface.net.link.coming.len(), 1, "the next is left where it is");
    interface.net.announce();
    assert!(!interface.net.has_work(RECEIVE), "frames do not help, buffers do");
    interface.driver.offer(&[(BUFFERS + 40, 20, WRITE)]);
    interface.driver.offer(&[(BUFFERS + 60, 20, WRITE)]);
    interface.serve().unwrap();
    assert_eq!(interface.driver.used(), (4, 3, 13));
    assert_eq!(interface.driver.bytes(BUFFERS, 52), spread(40, 3));
    assert_eq!(interface.driver.bytes(BUFFERS + 60, 13), spread(1, 1));
}

#[test]
fn what_no_buffers_of_the_driver_can_hold_is_dropped_and_the_next_is_taken() {
    // One chain at a time, and every chain of the queue.
    for (features, chains) in [(0, 1), (MRG_RXBUF, u64::from(SIZE))] {
        let mut interface = Interface::new(RECEIVE, features);
        for chain in 0..chains {
            interface.driver.offer(&[(BUFFERS + chain * 20, 20, WRITE)]);
        }
        interface.come([20 * usize::from(SIZE), 3]).unwrap();
        assert_eq!(interface.driver.used(), (1, 0, 15));
        assert_eq!(interface.driver.bytes(BUFFERS, 15), spread(3, 1));
    }
}

#[test]
fn a_frame_that_waited_when_the_device_was_reset_is_gone() {
    let mut interface = Interface::new(RECEIVE, MRG_RXBUF);
    interface.come([100]).unwrap();
    interface.net.stop();
    interface.net.start(Features(MRG_RXBUF));
    interface.driver.offer(&[(BUFFERS, 200, WRITE)]);
    assert_eq!(interface.serve(), Ok(Processed { interrupt: false, more: false }));
    assert_eq!(interface.used(), 0);
}

#[test]
fn what_came_before_the_driver_is_looked_for_at_its_start() {
    let mut interface = Interface::new(RECEIVE, 0);
    interface.serve().unwrap();
    assert!(!interface.net.has_work(RECEIVE), "the link was found empty");
    interface.net.stop();
    interface.net.link.coming.push_back(frame(1));
    interface.net.start(Features(0));
    assert!(interface.net.has_work(RECEIVE));
}

#[test]
fn a_turn_takes_no_more_frames_than_the_queue_has_places() {
    let mut interface = Interface::new(RECEIVE, 0);
    for chain in 0..u64::from(SIZE) {
        interface.driver.offer(&[(BUFFERS + chain * 20, 20, WRITE)]);
    }
    // Half of them fit into no buffer.
    interface.come([100, 1].repeat(SIZE.into())).unwrap();
    assert_eq!((interface.used(), interface.net.link.coming.len()), (SIZE / 2, SIZE.into()));
    assert!(interface.net.has_work(RECEIVE), "it comes back to the others by itself");
}

#[test]
fn what_is_no_frame_is_not_delivered() {
    let mut interface = Interface::new(RECEIVE, 0);
    interface.driver.offer(&[(BUFFERS, 200, WRITE)]);
    interface.net.link.coming.extend([vec![], vec![7; HEADER_BYTES - 1]]);
    interface.come([2]).unwrap();
    assert_eq!(interface.driver.used(), (1, 0, 14));
}

#[test]
fn a_frame_is_sent_as_it_lies_in_the_buffers() {
    let mut interface = Interface::new(TRANSMIT, 0);
    let sent = frame(100);
    interface.driver.memory.write_slice(&sent, GuestAddress(BUFFERS)).unwrap();
    interface.driver.offer(&[
        (BUFFERS, 12, 0),
        (BUFFERS + 12, 60, 0),
        (BUFFERS + 72, 40, 0),
        (BUFFERS, 9, WRITE),
    ]);
    assert_eq!(interface.serve(), Ok(Processed { interrupt: true, more: false }));
    assert_eq!((interface.driver.used(), &interface.net.link.gone[..]), ((1, 0, 0), &[sent][..]));
}

#[test]
fn what_is_too_short_or_too_long_to_send_is_dropped_and_its_buffers_come_back() {
    let most = u32::try_from(MOST_BYTES).unwrap();
    for (buffers, sent) in [
        (&[(BUFFERS, most, 0)][..], 1),
        (&[(BUFFERS, most, 0), (BUFFERS, 1, 0)], 0),
        (&[(BUFFERS, u32::MAX, 0), (BUFFERS, u32::MAX, 0)], 0),
        (&[(BUFFERS, 12, 0)], 0),
        (&[(BUFFERS, 13, 0)], 1),
        (&[(BUFFERS, 100, WRITE)], 0),
        (&[(BUFFERS, 0, 0)], 0),
    ] {
        let mut interface = Interface::new(TRANSMIT, 0);
        interface.driver.offer(buffers);
        interface.serve().unwrap();
        assert_eq!((interface.used(), interface.net.link.gone.len()), (1, sent), "{buffers:x?}");
    }
}

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A full bucket of bytes, and as many more each second.
fn rates_of(bytes: u64) -> Rates {
    let rate = Rate { size: bytes, refill: Duration::from_secs(1), burst: 0 };
    let limits = Limits { bandwidth: Some(rate), operations: None };
    Rates { receive: limits, transmit: limits }
}

#[test]
fn frames_that_come_too_fast_wait_in_the_link_until_there_are_tokens() {
    let mut interface = Interface::with_rates(RECEIVE, MRG_RXBUF, &rates_of(1000));
    for chain in 0..4 {
        interface.driver.offer(&[(BUFFERS + chain * 0x400, 0x400, WRITE)]);
    }
    interface.come([600, 600, 200]).unwrap();
    assert_eq!((interface.used(), interface.net.link.coming.len()), (1, 1));
    let resumes = Duration::from_millis(200);
    assert_eq!((interface.net.resumes(), interface.net.has_work(RECEIVE)), (Some(resumes), false));
    interface.serve().unwrap();
    assert_eq!(interface.used(), 1, "a kick brings no tokens");
    NOW.set(resumes);
    assert!(interface.net.has_work(RECEIVE));
    interface.serve().unwrap();
    assert_eq!(interface.driver.bytes(BUFFERS + 0x400, 612), spread(600, 1));
    assert_eq!((interface.used(), interface.net.resumes()), (2, Some(resumes * 2)));
    interface.net.stop();
    assert_eq!(interface.net.resumes(), None, "of its old life");
}

#[test]
fn a_frame_that_was_granted_and_lacks_buffers_is_paid_for_once() {
    let mut interface = Interface::with_rates(RECEIVE, MRG_RXBUF, &rates_of(1000));
    interface.come([900]).unwrap();
    assert_eq!((interface.net.resumes(), interface.net.has_work(RECEIVE)), (None, false));
    interface.driver.offer(&[(BUFFERS, 0x400, WRITE)]);
    interface.come([100]).unwrap();
    assert_eq!(interface.used(), 1);
    interface.driver.offer(&[(BUFFERS, 0x400, WRITE)]);
    interface.serve().unwrap();
    assert_eq!(interface.used(), 2);
}

#[test]
fn frames_that_go_too_fast_wait_in_the_queue_until_there_are_tokens() {
    let mut interface = Interface::with_rates(TRANSMIT, 0, &rates_of(1000));
    for _ in 0..3 {
        interface.driver.offer(&[(BUFFERS, 612, 0)]);
    }
    assert_eq!(interface.serve(), Ok(Processed { interrupt: true, more: false }));
    let resumes = Duration::from_millis(200);
    assert_eq!((interface.used(), interface.net.resumes()), (1, Some(resumes)));
    assert!(!interface.net.has_work(TRANSMIT));
    NOW.set(resumes);
    assert!(interface.net.has_work(TRANSMIT));
    interface.serve().unwrap();
    assert_eq!((interface.used(), interface.net.resumes()), (2, Some(resumes + Duration::from_millis(600))));
    interface.net.stop();
    assert_eq!((interface.net.resumes(), interface.net.has_work(TRANSMIT)), (None, false));
}

#[test]
fn the_link_leaves_to_the_driver_what_it_took_with_all_that_this_builds_upon() {
    let offloads = |features| Interface::new(RECEIVE, features).net.link.offloads.unwrap();
    let all = GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN;
    let [none, yes] = [false, true];
    for (features, [checksums, v4, v6, congestion]) in [
        (0, [none; 4]),
        (all, [yes; 4]),
        (all & !GUEST_CSUM, [none; 4]),
        (GUEST_CSUM | GUEST_ECN, [yes, none, none, none]),
        (GUEST_CSUM | GUEST_TSO4, [yes, yes, none, none]),
        (all & !GUEST_TSO4, [yes, none, yes, yes]),
        (CSUM | HOST_TSO4 | HOST_TSO6 | HOST_ECN, [none; 4]),
    ] {
        assert_eq!(
            offloads(features),
            Offloads { checksums, segments: Segments { v4, v6, congestion } },
            "{features:#x}"
        );
    }
}

#[test]
fn the_configuration_space_has_what_the_features_say() {
    let offers = |properties: Properties, bit| properties.identity().features.contain(Features(bit));
    let plain = Properties::default();
    assert!(!offers(plain, MAC) && !offers(plain, MTU) && offers(plain, MRG_RXBUF));
    let full = Properties { mac: Some("06:00:00:00:00:01".parse().unwrap()), mtu: Some(1400) };
    assert!(offers(full, MAC) && offers(full, MTU));
    assert_eq!(full.configuration(), [6, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x78, 5]);
}

#[test]
fn what_no_driver_may_do_breaks_a_queue_and_nothing_else() {
    type Deed = (&'static str, usize, fn(&mut Driver));
    let deeds: [Deed; 7] = [
        ("a buffer that holds no header", RECEIVE, |driver| driver.offer(&[(BUFFERS, 11, WRITE)])),
        ("a buffer for the device to read", RECEIVE, |driver| driver.offer(&[(BUFFERS, 200, 0)])),
        ("a buffer outside memory", RECEIVE, |driver| driver.offer(&[(MEMORY as u64 - 8, 200, WRITE)])),
        ("a frame outside memory", TRANSMIT, |driver| driver.offer(&[(u64::MAX - 7, 100, 0)])),
        ("a ring ahead of itself", RECEIVE, |driver| driver.set_available(SIZE + 1)),
        ("a ring ahead of itself", TRANSMIT, |driver| driver.set_available(SIZE + 1)),
        ("a descriptor beyond the table", TRANSMIT, |driver| driver.offer_head(SIZE)),
    ];
    for (what, index, deed) in deeds {
        let mut interface = Interface::new(index, MRG_RXBUF);
        deed(&mut interface.driver);
        assert!(interface.come([50]).is_err(), "{what}");
    }
}

#[test]
fn a_loop_of_descriptors_is_gone_through_once() {
    for (index, flags, used) in [(RECEIVE, WRITE, (1, 0, 62)), (TRANSMIT, 0, (1, 0, 0))] {
        let mut interface = Interface::new(index, 0);
        for descriptor in 0..SIZE {
            interface.driver.describe(descriptor, BUFFERS, 4, flags | NEXT, (descriptor + 1) % SIZE);
        }
        interface.driver.offer_head(0);
        interface.come([50]).unwrap();
        assert_eq!(interface.driver.used(), used);
    }
}

proptest! {
    #[test]
    fn frames_arrive_in_their_order_and_whole_whatever_the_buffers_are(
        frames in proptest::collection::vec(1usize..2000, 1..40),
        rooms in proptest::collection::vec(12u32..700, 1..8),
    ) {
        let mut interface = Interface::new(RECEIVE, MRG_RXBUF);
        // What the queue can hold in its smallest buffers.
        let smallest = rooms.iter().min().copied().unwrap_or(0) as usize;
        let fits = |bytes: usize| bytes + HEADER_BYTES <= usize::from(SIZE) * smallest;
        let frames: Vec<usize> = frames.into_iter().filter(|bytes| fits(*bytes)).collect();
        let _ = interface.come(frames.iter().copied());
        let mut arrived = Vec::new();
        let (mut seen, mut offered, mut left) = (0, 0u16, 0);
        let mut lengths = rooms.iter().cycle();
        while arrived.len() < frames.len() {
            let length = *lengths.next().unwrap();
            interface.driver.offer(&[(BUFFERS + u64::from(offered % SIZE) * 0x400, length, WRITE)]);
            offered += 1;
            interface.serve().unwrap();
            let used = interface.used();
            prop_assert!(used == seen || used == offered, "a chain is used with all before it or not at all");
            for chain in seen..used {
                let (_, length) = interface.driver.used_at(chain);
                let part = interface.driver.bytes(BUFFERS + u64::from(chain % SIZE) * 0x400, length as usize);
                if left == 0 {
                    left = u16::from_le_bytes([part[10], part[11]]);
                    arrived.push(Vec::new());
                }
                arrived.last_mut().unwrap().extend(part);
                left -= 1;
            }
            seen = used;
        }
        prop_assert_eq!(left, 0);
        for (bytes, arrived) in frames.into_iter().zip(arrived) {
            let chains = u16::from_le_bytes([arrived[10], arrived[11]]);
            prop_assert_eq!(arrived, spread(bytes, chains));
        }
    }

    #[test]
    fn whatever_is_in_the_rings_the_device_comes_back(
        rings in proptest::collection::vec(any::<u8>(), 0x400),
        available in any::<u16>(),
        index in 0usize..2,
    ) {
        let mut interface = Interface::new(index, MRG_RXBUF);
        interface.driver.memory.write_slice(&rings, GuestAddress(0x1000)).unwrap();
        interface.driver.memory.write_slice(&rings, GuestAddress(0x2000)).unwrap();
        interface.driver.set_available(available % (2 * SIZE));
        let _ = interface.come([40, 1000, 3]);
    }
}
