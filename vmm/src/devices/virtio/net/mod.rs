//! The network device, virtio 1.2 section 5.1: a queue of buffers for frames that come, and one of frames that go.
//!
//! Before each Ethernet frame stand 12 bytes that say what is left to do with it: a checksum to fill in, segments to cut it
//! into. Guest and link exchange them as they are, and whoever takes a frame has to mistrust them: on the host that is the
//! link's own code (for a TAP the kernel's, which checks them as it does for every program). This device looks at none of them
//! and writes one, the number of buffers that a frame takes.

mod link;
mod mac;
mod receive;

use std::time::Duration;

use virtio_queue::DescriptorChain;
use vm_memory::GuestMemoryMmap;

pub use self::link::{Link, Offloads, Received, Segments};
pub use self::mac::{Mac, MacError};
use self::receive::{Delivery, deliver};
use super::buffers::Buffers;
use super::device::{Broken, Counts, Device, Features, Identity, Processed};
use super::queue::Queue;
use super::rate_limiter::{Limiter, Limits};

/// Device type (section 5).
const DEVICE_TYPE: u32 = 1;

/// Feature bits (section 5.1.3). Those of the host: what the driver may leave to the link of a frame that goes.
const CSUM: u64 = 1 << 0;
const HOST_TSO4: u64 = 1 << 11;
const HOST_TSO6: u64 = 1 << 12;
const HOST_ECN: u64 = 1 << 13;
/// Those of the guest: what the link may leave to the driver of a frame that comes.
const GUEST_CSUM: u64 = 1 << 1;
const GUEST_TSO4: u64 = 1 << 7;
const GUEST_TSO6: u64 = 1 << 8;
const GUEST_ECN: u64 = 1 << 9;
/// What is in the configuration space.
const MTU: u64 = 1 << 3;
const MAC: u64 = 1 << 5;
/// A frame may be spread over several buffers.
const MRG_RXBUF: u64 = 1 << 15;

/// Queues, in the order of section 5.1.2, each of 256 as in Firecracker.
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
const QUEUES: &[u16] = &[256, 256];

/// Bytes of a header, `struct virtio_net_hdr` (section 5.1.6), which holds the number of buffers for every driver of version 1.
pub const HEADER_BYTES: usize = 12;

/// Bytes of a frame at most, its header among them: an IP packet of 64 KiB, which is cut into segments later, behind addresses,
/// type and a VLAN tag.
pub const MOST_BYTES: usize = HEADER_BYTES + 14 + 4 + 65536;

/// The bounds of an MTU (section 5.1.4.1).
pub const MTUS: std::ops::RangeInclusive<u16> = 68..=65535;

/// What an interface is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Its address; without one the driver makes one up.
    pub mac: Option<Mac>,
    /// The longest packet in one frame, in bytes, as the guest is told; one of [`MTUS`].
    pub mtu: Option<u16>,
}

impl Properties {
    /// What a driver sees before it does anything.
    pub fn identity(&self) -> Identity {
        let mut features = CSUM | HOST_TSO4 | HOST_TSO6 | HOST_ECN;
        features |= GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN | MRG_RXBUF;
        features |= if self.mac.is_some() { MAC } else { 0 };
        features |= if self.mtu.is_some() { MTU } else { 0 };
        Identity {
            device_type: DEVICE_TYPE,
            features: Features(Features::COMMON.0 | features),
            queues: QUEUES,
        }
    }

    /// The configuration space, `struct virtio_net_config` (section 5.1.4) up to the MTU.
    pub fn configuration(&self) -> Vec<u8> {
        let mac = self.mac.map_or([0; 6], Mac::bytes);
        let status_and_pairs = [0; 4]; // of features that are not offered
        [&mac[..], &status_and_pairs, &self.mtu.unwrap_or_default().to_le_bytes()].concat()
    }
}

/// What an interface counts, by Firecracker's names; bytes are those behind the headers.
pub const COUNTS: &[&str] = &[
    "rx_packets_count",
    "rx_bytes_count",
    "tx_packets_count",
    "tx_bytes_count",
    "rx_rate_limiter_throttled",
    "tx_rate_limiter_throttled",
];

/// How much an interface does in a time: a frame is an operation, and has as many bytes as stand behind its header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of frames that come.
    pub receive: Limits,
    /// Of frames that go.
    pub transmit: Limits,
}

/// What a frame that has come lacks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacks {
    /// The limiter's grant.
    Tokens,
    /// Buffers of the driver's. Tokens it has.
    Buffers,
}

/// Frames, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    frames: u64,
    bytes: u64,
}

impl Tally {
    fn count(&mut self, length: usize) {
        self.frames += 1;
        self.bytes += cost(length);
    }
}

/// A network device on a link.
#[derive(Debug)]
pub struct Net<L> {
    link: L,
    /// Whether the driver puts a frame together from several buffers.
    merges: bool,
    /// The link may have a frame: it said so, and was not found empty since.
    announced: bool,
    /// The first `waiting` bytes of `received` are a frame that has not gone on.
    waiting: usize,
    lacks: Lacks,
    receiver: Limiter,
    transmitter: Limiter,
    came: Tally,
    went: Tally,
    /// Of [`MOST_BYTES`], made before the thread may allocate no more.
    received: Box<[u8]>,
    sent: Box<[u8]>,
}

impl<L: Link> Net<L> {
    /// A device on this link. Until it is started it takes no frame. `clock`: of the rates, the time since some moment.
    pub fn new(link: L, rates: &Rates, clock: fn() -> Duration) -> Self {
        let bytes = || vec![0; MOST_BYTES].into_boxed_slice();
        Self {
            link,
            merges: false,
            announced: false,
            waiting: 0,
            lacks: Lacks::Tokens,
            receiver: Limiter::new(&rates.receive, clock),
            transmitter: Limiter::new(&rates.transmit, clock),
            came: Tally::default(),
            went: Tally::default(),
            received: bytes(),
            sent: bytes(),
        }
    }

    /// How much it does in a time from now on; where nothing is said, as much as before.
    pub fn change_rates(&mut self, rates: &Rates) {
        self.receiver.change(&rates.receive);
        self.transmitter.change(&rates.transmit);
    }

    /// The link has a frame: the receive queue has work.
    pub fn announce(&mut self) {
        self.announced = true;
    }

    /// What its frames come from and go to.
    pub fn link(&self) -> &L {
        &self.link
    }

    /// Hands over as many frames as the queue can hold, at most; the others wait in the link.
    fn receive(&mut self, queue: &mut Queue, memory: &GuestMemoryMmap) -> Result<(), Broken> {
        for _ in 0..queue.size() {
            if self.waiting == 0 && !self.take_frame() {
                return Ok(());
            }
            if self.lacks == Lacks::Tokens && !self.receiver.take(cost(self.waiting)) {
                return Ok(());
            }
            self.lacks = Lacks::Buffers;
            match deliver(&self.received[..self.waiting], self.merges, queue, memory)? {
                Delivery::Done => {
                    self.came.count(self.waiting);
                    self.forget_frame();
                }
                Delivery::Dropped => self.forget_frame(),
                Delivery::Waits => return Ok(()),
            }
        }
        Ok(())
    }

    fn forget_frame(&mut self) {
        (self.waiting, self.lacks) = (0, Lacks::Tokens);
        self.receiver.begin_turn();
    }

    /// Takes a frame from the link; false if it has none.
    fn take_frame(&mut self) -> bool {
        while self.announced {
            match self.link.receive(&mut self.received) {
                Received::Frame(length) if length < HEADER_BYTES => {}
                Received::Frame(length) => {
                    self.waiting = length.min(MOST_BYTES);
                    return true;
                }
                Received::Nothing => self.announced = false,
            }
        }
        false
    }

    /// Sends one frame; `None` if it waits for the limiter. One that is no frame at all, or longer than any, is dropped as the link drops what it cannot take: nobody
    /// is promised that a frame arrives.
    fn send(
        &mut self,
        chain: DescriptorChain<&GuestMemoryMmap>,
        memory: &GuestMemoryMmap,
    ) -> Result<Option<u32>, Broken> {
        let mut readable = Buffers::new(chain)?.readable;
        let length = usize::try_from(readable.left()).unwrap_or(usize::MAX);
        if !self.transmitter.take(cost(length.min(MOST_BYTES))) {
            return Ok(None);
        }
        if let Some(frame) = self.sent.get_mut(..length).filter(|frame| frame.len() > HEADER_BYTES) {
            readable.read(memory, frame)?;
            self.link.send(frame);
            self.went.count(length);
        }
        Ok(Some(0))
    }
}

/// What a frame with its header costs of a bandwidth.
fn cost(length: usize) -> u64 {
    length.saturating_sub(HEADER_BYTES) as u64
}

impl<L: Link> Device for Net<L> {
    fn start(&mut self, features: Features) {
        let agreed = |bit| features.contain(Features(bit));
        self.merges = agreed(MRG_RXBUF);
        // What builds upon a feature that was not taken (section 5.1.3.1) counts as not taken either.
        let checksums = agreed(GUEST_CSUM);
        let (v4, v6) = (checksums && agreed(GUEST_TSO4), checksums && agreed(GUEST_TSO6));
        let segments = Segments { v4, v6, congestion: (v4 || v6) && agreed(GUEST_ECN) };
        self.link.set_offloads(Offloads { checksums, segments });
        // What came while nobody took it.
        self.announced = true;
    }

    fn stop(&mut self) {
        self.forget_frame();
        self.transmitter.begin_turn();
    }

    fn serve(
        &mut self,
        index: usize,
        queue: &mut Queue,
        memory: &GuestMemoryMmap,
    ) -> Result<Processed, Broken> {
        if index == RECEIVE {
            self.receive(queue, memory)?;
            // Buffers that are left wait for frames, and frames that are left are this device's own work.
            return Ok(Processed { interrupt: queue.finish(memory)?, more: false });
        }
        self.transmitter.begin_turn();
        queue.each(memory, |chain| self.send(chain, memory))
    }

    fn has_work(&self, index: usize) -> bool {
        match index {
            RECEIVE if self.waiting > 0 => self.lacks == Lacks::Tokens && self.receiver.may_go_on(),
            RECEIVE => self.announced,
            TRANSMIT => self.transmitter.may_go_on(),
            _ => false,
        }
    }

    fn counts(&self) -> Counts {
        let throttled = [self.receiver.refused(), self.transmitter.refused()];
        let [came, went] = [self.came, self.went].map(|tally| [tally.frames, tally.bytes]);
        [came[0], came[1], went[0], went[1], throttled[0], throttled[1], 0]
    }

    fn resumes(&self) -> Option<Duration> {
        self.receiver.resumes().into_iter().chain(self.transmitter.resumes()).min()
    }
}

#[cfg(test)]
mod tests;
