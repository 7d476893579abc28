//! Frames in both directions.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use ringfence::devices::virtio::net::{
    HEADER_BYTES, Link, MOST_BYTES, Net, Offloads, Properties, Rates, Received,
};

use super::clock;
use super::guest::{Guest, WRITE};
use super::input::Input;
use super::session::{self, Subject, Turn, contents};

/// What a frame is made of.
const FILLING: u8 = 0xc3;

#[derive(Debug, Default)]
struct Ends {
    /// Lengths of frames that wait.
    waiting: VecDeque<usize>,
    /// Those that the device took and that have not come back.
    taken: VecDeque<usize>,
    sent: usize,
}

#[derive(Clone, Debug, Default)]
struct Wire(Rc<RefCell<Ends>>);

impl Link for Wire {
    fn set_offloads(&mut self, offloads: Offloads) {
        let segments = offloads.segments;
        let any = segments.v4 || segments.v6;
        assert!(offloads.checksums || !any, "segments need checksums");
        assert!(any || !segments.congestion, "marks of congestion need segments");
    }

    fn receive(&mut self, frame: &mut [u8]) -> Received {
        assert_eq!(frame.len(), MOST_BYTES);
        let mut ends = self.0.borrow_mut();
        let Some(length) = ends.waiting.pop_front() else { return Received::Nothing };
        if length >= HEADER_BYTES {
            ends.taken.push_back(length);
        }
        frame[..length].fill(FILLING);
        Received::Frame(length)
    }

    fn send(&mut self, frame: &[u8]) {
        assert!((HEADER_BYTES + 1..=MOST_BYTES).contains(&frame.len()), "a frame of {} bytes", frame.len());
        self.0.borrow_mut().sent += 1;
    }
}

struct Interface {
    device: Net<Wire>,
    ends: Rc<RefCell<Ends>>,
}

impl Subject for Interface {
    type Device = Net<Wire>;

    fn device(&mut self) -> &mut Self::Device {
        &mut self.device
    }

    /// Frames come, or the driver brings buffers as Linux does.
    fn event(&mut self, guest: &mut Guest, input: &mut Input<'_>) {
        let kind = input.byte();
        if kind.is_multiple_of(2) {
            let length = usize::from(input.short());
            let length = if kind < 64 { length + 30 } else { length % 3000 };
            self.ends.borrow_mut().waiting.push_back(length.min(MOST_BYTES));
            self.device.announce();
        } else {
            let size = 12 + u32::from(input.short()) % 2000;
            for buffer in 0..u64::from(kind % 8) {
                if guest.has_room(0) {
                    guest.offer(0, &[(0x5000 + 2048 * buffer, size, WRITE)]);
                }
            }
        }
    }

    fn before(&mut self, _index: usize, _guest: &Guest) {
        self.ends.borrow_mut().sent = 0;
    }

    fn after(&mut self, turn: &Turn, guest: &Guest) {
        let mut ends = self.ends.borrow_mut();
        if turn.index == 1 {
            assert!(turn.used.iter().all(|(length, _)| *length == 0), "nothing is written into what goes");
            assert!(
                turn.used.is_empty() || turn.outcome.is_err() || ends.sent <= turn.used.len(),
                "a frame a chain"
            );
            return;
        }
        assert_eq!(ends.sent, 0, "no frame goes out of the buffers for those that come");
        // Where one buffer does not lie over another, the header says how many chains the frame takes.
        if let Some((length, range)) = turn.lone(guest) {
            let header = contents(guest, &[range], HEADER_BYTES);
            assert_eq!(header[10..], [1, 0], "one chain came back");
            let place = ends.taken.iter().position(|taken| *taken == length);
            assert!(place.is_some(), "a frame of {length} bytes that never came");
            ends.taken.drain(..=place.unwrap_or_default());
        }
    }
}

/// What a driver and the link do with an interface.
pub fn net(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let rates = Rates { receive: clock::limits(&mut input), transmit: clock::limits(&mut input) };
    let wire = Wire::default();
    let ends = Rc::clone(&wire.0);
    let properties = Properties { mac: "06:00:ac:10:00:02".parse().ok(), mtu: Some(1500) };
    let mut subject = Interface { device: Net::new(wire, &rates, clock::now), ends };
    session::run(&mut subject, &properties.identity(), &mut input)
}
