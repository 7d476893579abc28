//! A guest's driver and a host, for tests of the device.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vm_memory::{Bytes as _, GuestAddress};

use super::super::packet::Over;
use super::super::*;
use crate::devices::virtio::test_driver::{BUFFERS, Driver, SIZE, WRITE};

/// One stream's host side: what it has for the guest, and what it got.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) sends: VecDeque<u8>,
    pub(super) got: Vec<u8>,
    /// How much more it takes.
    pub(super) room: usize,
    pub(super) sends_no_more: bool,
    pub(super) takes_no_more: bool,
    pub(super) awaited: bool,
    pub(super) shut: Vec<Direction>,
}

/// A host with services at some ports.
#[derive(Debug, Default)]
pub(super) struct Fake {
    pub(super) services: BTreeSet<u32>,
    pub(super) peers: BTreeMap<StreamId, Peer>,
    /// What those say who wait to be accepted.
    pub(super) visitors: VecDeque<&'static str>,
    pub(super) closed: Vec<(StreamId, Peer)>,
}

pub(super) const PLENTY: usize = 1 << 30;

impl Fake {
    pub(super) fn peer(&mut self, stream: StreamId) -> &mut Peer {
        self.peers.get_mut(&stream).expect("the stream is there")
    }
}

impl Host for Fake {
    fn connect(&mut self, stream: StreamId, port: u32) -> Result<(), Refused> {
        if !self.services.contains(&port) {
            return Err(Refused);
        }
        let peer = Peer { room: PLENTY, ..Peer::default() };
        assert!(self.peers.insert(stream, peer).is_none(), "place {stream} was free");
        Ok(())
    }

    fn accept(&mut self, stream: StreamId) -> bool {
        let Some(says) = self.visitors.pop_front() else { return false };
        let peer = Peer { room: PLENTY, sends: says.bytes().collect(), ..Peer::default() };
        assert!(self.peers.insert(stream, peer).is_none(), "place {stream} was free");
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
        assert!(!bytes.is_empty());
        let outcome = self.peek(stream, bytes);
        if let Read::Bytes(count) = outcome {
            self.peer(stream).sends.drain(..count);
        }
        outcome
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8]) -> Written {
        assert!(!bytes.is_empty());
        let peer = self.peer(stream);
        if peer.takes_no_more {
            return Written::Gone;
        }
        let count = bytes.len().min(peer.room);
        peer.room -= count;
        peer.got.extend(&bytes[..count]);
        Written::Bytes(count)
    }

    fn await_room(&mut self, stream: StreamId, wanted: bool) {
        self.peer(stream).awaited = wanted;
    }

    fn shut(&mut self, stream: StreamId, direction: Direction) {
        self.peer(stream).shut.push(direction);
    }

    fn close(&mut self, stream: StreamId) {
        let peer = self.peers.remove(&stream).expect("no stream is closed twice");
        self.closed.push((stream, peer));
    }
}

pub(super) const CID: u32 = 52;
pub(super) const SERVICE: u32 = 1000;
pub(super) const PORTS: packet::Ports = packet::Ports { guest: 4000, host: SERVICE };
/// Bytes of a buffer for packets.
pub(super) const PACKET: u32 = 4096;

/// A driver with both queues, each in a memory of its own.
pub(super) struct Guest {
    pub(super) device: Vsock<Fake>,
    pub(super) outgoing: (Driver, Queue),
    pub(super) incoming: (Driver, Queue),
    pub(super) received: u16,
}

impl Guest {
    pub(super) fn with_streams(streams: u16) -> Self {
        let host = Fake { services: [SERVICE].into(), ..Fake::default() };
        let mut device = Vsock::new(CID, host, streams);
        device.start(IDENTITY.features);
        let side = || {
            let driver = Driver::new();
            let queue = driver.queue();
            (driver, queue)
        };
        Self { device, outgoing: side(), incoming: side(), received: 0 }
    }

    pub(super) fn new() -> Self {
        Self::with_streams(4)
    }

    /// A guest that has a stream to the service.
    pub(super) fn connected() -> Self {
        let mut guest = Self::new();
        guest.say(Operation::Request);
        assert_eq!(guest.heard(), [Operation::Response]);
        guest
    }

    /// Sends whatever it is.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> Result<Processed, Broken> {
        let (driver, queue) = &mut self.outgoing;
        driver.memory.write_slice(bytes, GuestAddress(BUFFERS)).unwrap();
        driver.offer(&[(BUFFERS, u32::try_from(bytes.len()).unwrap(), 0)]);
        self.device.serve(TRANSMIT, queue, &driver.memory)
    }

    pub(super) fn send(&mut self, header: Header, data: &[u8]) {
        self.send_bytes(&[&header.to_bytes()[..], data].concat()).unwrap();
    }

    pub(super) fn header(operation: Operation) -> Header {
        Header {
            source_cid: CID.into(),
            destination_cid: HOST_CID,
            source_port: PORTS.guest,
            destination_port: PORTS.host,
            length: 0,
            kind: Header::STREAM,
            operation,
            flags: 0,
            buffer: 100_000,
            forwarded: 0,
        }
    }

    pub(super) fn say(&mut self, operation: Operation) {
        self.send(Self::header(operation), &[]);
    }

    pub(super) fn send_data(&mut self, data: &[u8]) {
        let length = u32::try_from(data.len()).unwrap();
        self.send(Header { length, ..Self::header(Operation::Data) }, data);
    }

    pub(super) fn shut(&mut self, over: Over) {
        self.send(Header { flags: over.0, ..Self::header(Operation::Shutdown) }, &[]);
    }

    /// Offers this many buffers, and takes the packets that come in them.
    pub(super) fn receive_in(&mut self, buffers: u16) -> Vec<(Header, Vec<u8>)> {
        let (driver, queue) = &mut self.incoming;
        let at = |index: u16| BUFFERS + u64::from(index) * u64::from(PACKET);
        (0..buffers).for_each(|index| driver.offer(&[(at(index), PACKET, WRITE)]));
        self.device.serve(RECEIVE, queue, &driver.memory).unwrap();
        let (used, _, _) = driver.used();
        let count = used.wrapping_sub(self.received);
        self.received = used;
        let packet = |index: u16| {
            let bytes = driver.bytes(at(index), PACKET as usize);
            let (header, data) = bytes.split_first_chunk().unwrap();
            let header = Header::from_bytes(header);
            (header, data[..header.length as usize].to_vec())
        };
        (0..count).map(packet).collect()
    }

    /// Everything that there is for it; buffers that are left are taken back by a reset of its queue.
    pub(super) fn receive(&mut self) -> Vec<(Header, Vec<u8>)> {
        let mut packets = Vec::new();
        loop {
            let more = self.receive_in(SIZE);
            self.incoming = (Driver::new(), Driver::new().queue());
            self.received = 0;
            if more.is_empty() {
                return packets;
            }
            packets.extend(more);
        }
    }

    pub(super) fn heard(&mut self) -> Vec<Operation> {
        self.receive().into_iter().map(|(header, _)| header.operation).collect()
    }

    pub(super) fn peer(&mut self) -> &mut Peer {
        self.device.host.peer(0)
    }

    pub(super) fn host_sends(&mut self, bytes: &[u8]) {
        self.peer().sends.extend(bytes);
        self.device.heard(0, Heard { readable: true, ..Heard::default() });
    }

    pub(super) fn host_hangs_up(&mut self) {
        let peer = self.peer();
        (peer.sends_no_more, peer.takes_no_more) = (true, true);
        self.device.heard(0, Heard { readable: true, writable: true, hung_up: true });
    }
}
