//! Packets of streams in both directions: any whatever, or those of a guest that keeps to the rules.

use std::collections::{BTreeMap, VecDeque};

use ringfence::devices::virtio::vsock::{
    Direction, HOST_CID, Heard, Host, IDENTITY, Read, Refused, StreamId, Vsock, Written,
};

use super::guest::{Guest, WRITE};
use super::input::Input;
use super::session::{self, Subject, Turn, contents};
use super::streams::streams;

/// The guest's address.
pub const CID: u32 = 52;
/// The port that the host has a service at.
pub const SERVICE: u32 = 1000;
/// Bytes of a packet's header.
pub const HEADER_BYTES: usize = 44;
/// Streams at a time.
pub const STREAMS: u16 = 4;

/// One stream's host side.
#[derive(Debug, Default)]
pub struct Peer {
    /// What it has for the guest.
    pub sends: VecDeque<u8>,
    /// How much more it takes.
    pub room: usize,
    /// What it was given and nobody has looked at.
    pub got: Vec<u8>,
    sends_no_more: bool,
    takes_no_more: bool,
}

/// A host that notices when a stream is used that is not there.
#[derive(Debug, Default)]
pub struct Peers {
    /// Those there are.
    pub open: BTreeMap<StreamId, Peer>,
    visitors: VecDeque<&'static [u8]>,
}

impl Peers {
    /// A stream that is there.
    pub fn peer(&mut self, stream: StreamId) -> &mut Peer {
        self.open.get_mut(&stream).expect("the stream is there")
    }

    fn begin(&mut self, stream: StreamId, peer: Peer) {
        assert!(stream < STREAMS, "no place beyond the last");
        assert!(self.open.insert(stream, peer).is_none(), "the place was free");
    }
}

impl Host for Peers {
    fn connect(&mut self, stream: StreamId, port: u32) -> Result<(), Refused> {
        if !(SERVICE..SERVICE + 2).contains(&port) {
            return Err(Refused);
        }
        self.begin(stream, Peer { room: 100, ..Peer::default() });
        Ok(())
    }

    fn accept(&mut self, stream: StreamId) -> bool {
        let Some(says) = self.visitors.pop_front() else { return false };
        self.begin(stream, Peer { room: 100, sends: says.iter().copied().collect(), ..Peer::default() });
        true
    }

    fn peek(&mut self, stream: StreamId, bytes: &mut [u8]) -> Read {
        let peer = self.peer(stream);
        let count = bytes.len().min(peer.sends.len());
        bytes.iter_mut().zip(&peer.sends).for_each(|(place, byte)| *place = *byte);
        match count {
            0 if peer.sends_no_more => Read::End,
            0 => Read::Nothing,
            count => Read::Bytes(count),
        }
    }

    fn read(&mut self, stream: StreamId, bytes: &mut [u8]) -> Read {
        assert!(!bytes.is_empty(), "something is wanted");
        let outcome = self.peek(stream, bytes);
        if let Read::Bytes(count) = outcome {
            self.peer(stream).sends.drain(..count);
        }
        outcome
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8]) -> Written {
        assert!(!bytes.is_empty(), "there is something to write");
        let peer = self.peer(stream);
        if peer.takes_no_more {
            return Written::Gone;
        }
        let count = bytes.len().min(peer.room);
        peer.room -= count;
        peer.got.extend(&bytes[..count]);
        Written::Bytes(count)
    }

    fn await_room(&mut self, stream: StreamId, _wanted: bool) {
        self.peer(stream);
    }

    fn shut(&mut self, stream: StreamId, _direction: Direction) {
        self.peer(stream);
    }

    fn close(&mut self, stream: StreamId) {
        assert!(self.open.remove(&stream).is_some(), "no stream is closed twice");
    }
}

/// A packet of the guest's: what of its header differs.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// The guest's port.
    pub port: u32,
    /// The host's.
    pub host: u32,
    /// What it is for.
    pub operation: u16,
    /// Its flags.
    pub flags: u32,
    /// Bytes of data, as the header says.
    pub length: u32,
    /// The guest's room in all.
    pub buffer: u32,
    /// What has left it.
    pub forwarded: u32,
}

impl Packet {
    /// As a driver sends it.
    pub fn to_bytes(self) -> Vec<u8> {
        [
            &u64::from(CID).to_le_bytes()[..],
            &HOST_CID.to_le_bytes(),
            &self.port.to_le_bytes(),
            &self.host.to_le_bytes(),
            &self.length.to_le_bytes(),
            &1u16.to_le_bytes(),
            &self.operation.to_le_bytes(),
            &self.flags.to_le_bytes(),
            &self.buffer.to_le_bytes(),
            &self.forwarded.to_le_bytes(),
        ]
        .concat()
    }

    /// What a driver gets.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        assert_eq!((word(0), word(4), word(8), word(12)), (2, 0, CID, 0), "from the host to this guest");
        let operation = (word(28) >> 16).to_le_bytes();
        Self {
            port: word(20),
            host: word(16),
            operation: u16::from_le_bytes([operation[0], operation[1]]),
            flags: word(32),
            length: word(24),
            buffer: word(36),
            forwarded: word(40),
        }
    }
}

struct Anything(Vsock<Peers>);

impl Anything {
    fn packet(guest: &mut Guest, input: &mut Input<'_>) {
        let count = u32::from(input.short()) % 3000;
        let packet = Packet {
            port: u32::from(input.byte() % 3),
            host: SERVICE + u32::from(input.byte() % 3),
            operation: (input.byte() % 9).into(),
            flags: (input.byte() % 5).into(),
            length: if input.byte() < 240 { count } else { input.word() },
            buffer: input.of(&[0, 100, 65536, 262_144, u32::MAX]),
            forwarded: if input.byte() < 200 { input.short().into() } else { input.word() },
        };
        let mut bytes = packet.to_bytes();
        bytes.resize(HEADER_BYTES + count as usize, 7);
        guest.write(0x9000, &bytes);
        guest.offer(1, &[(0x9000, 20, 0), (0x9014, u32::try_from(bytes.len()).expect("small") - 20, 0)]);
    }
}

impl Subject for Anything {
    type Device = Vsock<Peers>;

    fn device(&mut self) -> &mut Self::Device {
        &mut self.0
    }

    fn event(&mut self, guest: &mut Guest, input: &mut Input<'_>) {
        let stream = StreamId::from(input.byte() % 4);
        match input.byte() % 8 {
            0..=2 if guest.has_room(1) => Self::packet(guest, input),
            3 => {
                let size = 45 + u32::from(input.short()) % 2000;
                for buffer in 0..u64::from(input.byte() % 8) {
                    if guest.has_room(0) {
                        guest.offer(0, &[(0x5000 + 0x800 * buffer, size, WRITE)]);
                    }
                }
            }
            4 => {
                let says = input.of(&[&b"CONNECT 1\n"[..], b"CONNECT 2\nmore", b"CON", b"wrong\n", b""]);
                self.0.host().visitors.push_back(says);
                self.0.accept();
            }
            what => {
                let (count, flags) = (usize::from(input.short()), input.byte());
                let Some(peer) = self.0.host().open.get_mut(&stream) else { return };
                match what {
                    5 => peer.sends.extend(vec![5; count % 9000]),
                    6 => peer.room = count,
                    _ => {
                        peer.sends_no_more |= flags & 16 != 0;
                        peer.takes_no_more |= flags & 32 != 0;
                    }
                }
                let (readable, writable, hung_up) =
                    (what == 5 || flags & 1 != 0, what == 6 || flags & 2 != 0, what == 7 && flags & 4 != 0);
                self.0.heard(stream, Heard { readable, writable, hung_up });
            }
        }
    }

    fn after(&mut self, turn: &Turn, guest: &Guest) {
        if turn.index != 0 {
            assert!(turn.used.iter().all(|(length, _)| *length == 0), "only one queue is written into");
            return;
        }
        // Where one buffer does not lie over another, there is a packet.
        if let Some((length, range)) = turn.lone(guest) {
            let header = contents(guest, &[range], HEADER_BYTES);
            let packet = Packet::from_bytes(&header);
            assert_eq!(length, HEADER_BYTES + packet.length as usize, "{packet:?}");
            assert!((1..=7).contains(&packet.operation), "{packet:?}");
            assert!(packet.operation == 5 || packet.length == 0, "{packet:?}");
        }
    }

    fn stopped(&mut self) {
        assert!(self.0.host().open.is_empty(), "a reset closes every stream");
    }
}

/// What guests and a host do with streams.
pub fn vsock(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    if input.byte() % 2 == 1 {
        return streams(&mut input);
    }
    session::run(&mut Anything(Vsock::new(CID, Peers::default(), STREAMS)), &IDENTITY, &mut input)
}
