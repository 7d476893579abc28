//! The socket device, virtio 1.2 section 5.10: streams between ports of the guest and the host.
//!
//! Three queues: packets for the guest, packets of the guest's, and events, of which there are none here. What the host's
//! side of a stream is, [`Host`] knows; Firecracker's manner of it is in `role::io`.

mod connection;
mod credit;
mod greeting;
mod host;
mod packet;
mod replies;
mod rings;
mod streams;

use vm_memory::GuestMemoryMmap;

use self::connection::{Connection, Side};
pub use self::credit::BUFFER;
use self::greeting::Greeting;
pub use self::host::{Direction, Heard, Host, Read, Refused, StreamId, Written};
pub use self::packet::HOST_CID;
use self::packet::{Header, Operation};
use self::replies::Replies;
use self::rings::Rings;
use self::streams::{Place, Streams};
use super::buffers::Buffers;
use super::device::{Broken, Counts, Device, Features, Identity, Processed};
use super::queue::Queue;

/// Device type 19, queues of 256 as in Firecracker. Of the kinds of sockets there are streams alone, which is what no feature
/// says (section 5.10.3).
pub const IDENTITY: Identity =
    Identity { device_type: 19, features: Features::COMMON, queues: &[256, 256, 256] };

/// Queues (section 5.10.2).
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// The least and the greatest address of a guest: 0 to 2 mean something else (section 5.10.4), and the upper half of the 64
/// bits is reserved, as is the last number, which means any.
pub const GUEST_CIDS: std::ops::RangeInclusive<u32> = 3..=u32::MAX - 1;

/// The configuration space, `struct virtio_vsock_config`: the guest's address.
pub fn configuration(cid: u32) -> [u8; 8] {
    u64::from(cid).to_le_bytes()
}

/// What the device counts, by Firecracker's names: packets that the guest gets and the bytes of their data, then those that it sends.
pub const COUNTS: &[&str] = &["rx_packets_count", "rx_bytes_count", "tx_packets_count", "tx_bytes_count"];

/// The device.
#[derive(Debug)]
pub struct Vsock<H> {
    cid: u32,
    host: H,
    streams: Streams,
    rings: Rings,
    replies: Replies,
    /// The guest's packets wait for room among the replies.
    stalled: bool,
    /// Packets for the guest wait for its buffers.
    starved: bool,
    /// The driver has started it.
    active: bool,
    /// A packet's data on its way.
    data: Box<[u8]>,
    /// Packets to the guest and their data, then those from it.
    tally: [u64; 4],
}

impl<H: Host> Vsock<H> {
    /// A device whose guest has this address, with so many streams at most. What it needs is made here.
    pub fn new(cid: u32, host: H, streams: u16) -> Self {
        Self {
            cid,
            host,
            streams: Streams::new(streams),
            rings: Rings::new(streams),
            replies: Replies::new(),
            tally: [0; 4],
            stalled: false,
            starved: false,
            active: false,
            data: vec![0; BUFFER as usize].into_boxed_slice(),
        }
    }

    /// What the host's side is.
    pub fn host(&mut self) -> &mut H {
        &mut self.host
    }

    /// Something was heard of a stream's host side. What the guest is to get of it, it gets when its queue is served.
    pub fn heard(&mut self, stream: StreamId, heard: Heard) {
        let mut side = Side { host: &mut self.host, rings: &mut self.rings, stream };
        match self.streams.at(stream) {
            Place::Free => return,
            Place::Greeting => self.greeted(stream, heard.hung_up),
            Place::Connection(connection) => connection.heard(heard, &mut side),
        }
        self.streams.refresh(stream);
    }

    fn greeted(&mut self, stream: StreamId, hung_up: bool) {
        match greeting::take(&mut self.host, stream) {
            Greeting::Partial if !hung_up => {}
            Greeting::Port(guest) if !hung_up => {
                let ports = packet::Ports { guest, host: self.streams.host_port(guest) };
                self.streams.introduce(stream, Connection::asked_for(ports));
            }
            _ => {
                self.host.close(stream);
                self.streams.vacate(stream);
            }
        }
    }

    /// Takes the streams that were begun on the host, as far as there are places.
    pub fn accept(&mut self) {
        while self.active
            && let Some(stream) = self.streams.vacancy()
            && self.host.accept(stream)
        {
            self.streams.greet();
            self.greeted(stream, false);
        }
    }

    /// One packet of the guest's, from what it put into the queue.
    fn take_packet(&mut self, mut buffers: Buffers, memory: &GuestMemoryMmap) -> Result<(), Broken> {
        let mut header = [0; Header::BYTES];
        if !buffers.readable.read(memory, &mut header)? {
            return Err(Broken("a packet without a header"));
        }
        let header = Header::from_bytes(&header);
        if header.source_cid != u64::from(self.cid) || header.destination_cid != HOST_CID {
            // Of somebody else or for somebody else, of whom there are none: as if it got lost on the way.
            return Ok(());
        }
        let known = self.streams.find(header.ports()).filter(|_| header.kind == Header::STREAM);
        match known {
            Some(stream) => self.pass(stream, &header, buffers, memory)?,
            None if header.kind == Header::STREAM && header.operation == Operation::Request => {
                self.request(&header);
            }
            // No answer to what is an answer.
            None if header.operation == Operation::Reset => {}
            None => self.reply_reset(&header),
        }
        Ok(())
    }

    /// To a stream that is there.
    fn pass(
        &mut self,
        stream: StreamId,
        header: &Header,
        mut buffers: Buffers,
        memory: &GuestMemoryMmap,
    ) -> Result<(), Broken> {
        let Place::Connection(connection) = self.streams.at(stream) else { return Ok(()) };
        let mut length = 0;
        if header.operation == Operation::Data && header.length <= connection.room() {
            // Within a buffer. Data that is not there ends the stream as data does that is too much.
            let wanted = header.length as usize;
            length = if buffers.readable.read(memory, &mut self.data[..wanted])? { wanted } else { 0 };
        }
        self.tally[3] += length as u64;
        let mut side = Side { host: &mut self.host, rings: &mut self.rings, stream };
        connection.packet(header, &self.data[..length], &mut side);
        self.streams.refresh(stream);
        Ok(())
    }

    /// The guest wants to reach a port of the host's.
    fn request(&mut self, header: &Header) {
        let vacancy = self.streams.vacancy();
        match vacancy.map(|stream| self.host.connect(stream, header.destination_port)) {
            Some(Ok(())) => self.streams.occupy(Connection::accepted(header)),
            Some(Err(Refused)) | None => self.reply_reset(header),
        }
    }

    fn reply_reset(&mut self, header: &Header) {
        let reset = Header::to_guest(self.cid, header.ports(), Operation::Reset);
        self.replies.push(Header { kind: header.kind, ..reset });
    }

    fn transmit(&mut self, queue: &mut Queue, memory: &GuestMemoryMmap) -> Result<Processed, Broken> {
        let mut more = true;
        for _ in 0..queue.size() {
            // Until the guest takes some of them. It waits for nobody but itself.
            self.stalled = self.replies.is_full();
            let chain = if self.stalled { None } else { queue.next(memory)? };
            let Some(chain) = chain else {
                more = false;
                break;
            };
            let head = chain.head_index();
            self.take_packet(Buffers::new(chain)?, memory)?;
            self.tally[2] += 1;
            queue.used(memory, head, 0)?;
        }
        Ok(Processed { interrupt: queue.finish(memory)?, more })
    }

    fn receive(&mut self, queue: &mut Queue, memory: &GuestMemoryMmap) -> Result<Processed, Broken> {
        self.starved = false;
        for _ in 0..queue.size() {
            if !self.has_work(RECEIVE) {
                break;
            }
            let Some(chain) = queue.next(memory)? else {
                self.starved = true;
                break;
            };
            let head = chain.head_index();
            let mut writable = Buffers::new(chain)?.writable;
            let room = usize::try_from(writable.left()).unwrap_or(usize::MAX);
            let room = room.checked_sub(Header::BYTES).filter(|room| *room > 0);
            let room = room.ok_or(Broken("a buffer that holds no packet"))?;
            let Some(header) = self.next_packet(room) else {
                queue.put_back(1);
                continue;
            };
            writable.write(memory, &header.to_bytes())?;
            // Its data has room: no more was read.
            writable.write(memory, &self.data[..header.length as usize])?;
            self.tally[0] += 1;
            self.tally[1] += u64::from(header.length);
            let bytes = Header::BYTES + header.length as usize;
            queue.used(memory, head, u32::try_from(bytes).unwrap_or(u32::MAX))?;
        }
        Ok(Processed { interrupt: queue.finish(memory)?, more: self.has_work(RECEIVE) })
    }

    /// What the guest gets next, its data in `self.data` and no more than `room` bytes of that.
    fn next_packet(&mut self, room: usize) -> Option<Header> {
        if let Some(reply) = self.replies.pop() {
            return Some(reply);
        }
        let stream = self.streams.next_due()?;
        let Place::Connection(connection) = self.streams.at(stream) else { return None };
        let most = self.data.len().min(room);
        let mut side = Side { host: &mut self.host, rings: &mut self.rings, stream };
        let header = connection.next(self.cid, &mut self.data[..most], &mut side);
        self.streams.refresh(stream);
        header
    }
}

impl<H: Host> Device for Vsock<H> {
    fn counts(&self) -> Counts {
        let [received, received_bytes, sent, sent_bytes] = self.tally;
        [received, received_bytes, sent, sent_bytes, 0, 0, 0]
    }

    fn start(&mut self, _features: Features) {
        self.active = true;
        self.accept();
    }

    fn stop(&mut self) {
        (self.active, self.stalled, self.starved) = (false, false, false);
        self.replies.clear();
        for stream in 0..self.streams.count() {
            let mut side = Side { host: &mut self.host, rings: &mut self.rings, stream };
            match self.streams.at(stream) {
                Place::Free => {}
                Place::Greeting => side.host.close(stream),
                Place::Connection(connection) => connection.end(&mut side),
            }
            self.streams.vacate(stream);
        }
    }

    fn serve(
        &mut self,
        index: usize,
        queue: &mut Queue,
        memory: &GuestMemoryMmap,
    ) -> Result<Processed, Broken> {
        match index {
            RECEIVE => self.receive(queue, memory),
            TRANSMIT => self.transmit(queue, memory),
            // Buffers for events, which stay where they are.
            _ => Ok(Processed { interrupt: false, more: false }),
        }
    }

    fn has_work(&self, index: usize) -> bool {
        match index {
            RECEIVE => !self.starved && (self.replies.any() || self.streams.any_due()),
            TRANSMIT => self.stalled && !self.replies.is_full(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
