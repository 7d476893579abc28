//! Streams of a guest and a host that keep to the rules, however slow they are: every byte arrives, in its order, and
//! neither side is sent more than it has room for.

use ringfence::devices::virtio::vsock::{Heard, IDENTITY, StreamId, Vsock};
use ringfence::devices::virtio::{Device as _, Features};
use vm_memory::{Bytes as _, GuestAddress};

use super::guest::{Guest, SIZE, WRITE};
use super::input::Input;
use super::vsock::{CID, HEADER_BYTES, Packet, Peers, SERVICE, STREAMS};

/// Operations, virtio 1.2 section 5.10.6.
const REQUEST: u16 = 1;
const RESPONSE: u16 = 2;
const DATA: u16 = 5;
const CREDIT_UPDATE: u16 = 6;
const CREDIT_REQUEST: u16 = 7;

/// Where packets to receive lie, 2 KiB for each, and the one to send.
const RECEIVED: u64 = 0x5000;
const RECEIVED_BYTES: u16 = 2048;
const SENT: u64 = 0xd000;
const MOST_SENT: u32 = 0x2000;

/// Rounds after which everything must have arrived.
const MOST_ROUNDS: usize = 3000;

/// The byte at a place of a stream, different in both directions.
fn byte(port: u32, to_host: bool, at: u32) -> u8 {
    let mixed = at.wrapping_mul(0x9e37_79b1) ^ port.wrapping_mul(77) ^ u32::from(to_host);
    (mixed >> 11).to_le_bytes()[0]
}

/// One stream as its guest and its host see it. Counts of bytes since it began.
#[derive(Default)]
struct Pipe {
    port: u32,
    open: bool,
    /// What the guest has sent, and what the host got of it.
    sent: u32,
    arrived: u32,
    /// What the host has sent, what the guest got, and what it has used up of that.
    given: u32,
    got: u32,
    used_up: u32,
    /// What the guest has said of its room.
    said_buffer: u32,
    said_forwarded: u32,
    /// What the device has said of its own.
    buffer: u32,
    forwarded: u32,
}

struct Pair {
    device: Vsock<Peers>,
    guest: Guest,
    pipes: Vec<Pipe>,
    /// Buffers to receive in that were put into the queue.
    offered: u64,
}

/// Whether anything arrived.
pub(crate) fn streams(input: &mut Input<'_>) -> bool {
    let mut device = Vsock::new(CID, Peers::default(), STREAMS);
    let mut guest = Guest::new(3);
    let features = Features(IDENTITY.features.0 & !Features::EVENT_IDX.0);
    guest.start(features);
    device.start(features);
    let mut pair = Pair { device, guest, pipes: Vec::new(), offered: 0 };
    for port in 0..=u32::from(input.byte() % 3) {
        pair.pipes.push(Pipe { port, ..Pipe::default() });
        pair.say(usize::try_from(port).expect("small"), REQUEST, 1 + u32::from(input.short()) * 2, 0);
    }
    for _ in 0..200 {
        if input.is_over() {
            break;
        }
        pair.step(input);
    }
    pair.finish();
    pair.pipes.iter().any(|pipe| pipe.arrived + pipe.got > 0)
}

impl Pair {
    /// The guest sends a packet with so much data, and says how much room it has.
    fn say(&mut self, pipe: usize, operation: u16, buffer: u32, count: u32) {
        let pipe = &mut self.pipes[pipe];
        let packet = Packet {
            port: pipe.port,
            host: SERVICE,
            operation,
            flags: 0,
            length: count,
            buffer,
            forwarded: pipe.used_up,
        };
        (pipe.said_buffer, pipe.said_forwarded) = (buffer, pipe.used_up);
        let data = (0..count).map(|at| byte(pipe.port, true, pipe.sent + at));
        let bytes: Vec<u8> = packet.to_bytes().into_iter().chain(data).collect();
        pipe.sent += count;
        self.guest.write(SENT, &bytes);
        self.guest.offer(1, &[(SENT, u32::try_from(bytes.len()).expect("small"), 0)]);
        self.serve(1);
        assert_eq!(self.guest.take_used(1).len(), 1, "a packet of an honest guest is taken");
        self.host_looks();
    }

    fn serve(&mut self, index: usize) {
        let memory = self.guest.memory.clone();
        let queue = self.guest.lines[index].queue.as_mut().expect("in use");
        self.device.serve(index, queue, &memory).expect("an honest guest breaks nothing");
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let pipe = usize::from(choice >> 4) % self.pipes.len();
        let amount = input.short();
        match choice % 6 {
            0 => {
                let Pipe { open, sent, buffer, forwarded, .. } = self.pipes[pipe];
                let credit = buffer.saturating_sub(sent - forwarded);
                let count = u32::from(amount).min(credit).min(MOST_SENT);
                if open && count > 0 {
                    self.say(pipe, DATA, self.pipes[pipe].said_buffer, count);
                }
            }
            1 => self.host_takes(pipe, amount.into()),
            2 => self.host_gives(pipe, amount % 9000),
            3 => {
                self.receive(choice >> 4, 45 + amount % (RECEIVED_BYTES - 45));
            }
            4 => self.uses_up(pipe, amount.into(), None),
            _ => self.uses_up(pipe, 0, Some(u32::from(amount) * 4)),
        }
    }

    /// The guest has read, or has another buffer now, and says so.
    fn uses_up(&mut self, pipe: usize, most: u32, buffer: Option<u32>) {
        let state = &mut self.pipes[pipe];
        if state.open {
            state.used_up += most.min(state.got - state.used_up);
            let buffer = buffer.unwrap_or(state.said_buffer);
            self.say(pipe, CREDIT_UPDATE, buffer, 0);
        }
    }

    /// The guest's place in the host's table: streams were begun in the order of their ports.
    fn stream(pipe: usize) -> StreamId {
        StreamId::try_from(pipe).expect("small")
    }

    fn host_takes(&mut self, pipe: usize, room: usize) {
        let stream = Self::stream(pipe);
        self.device.host().peer(stream).room += room;
        self.device.heard(stream, Heard { writable: true, ..Heard::default() });
        self.host_looks();
    }

    fn host_gives(&mut self, pipe: usize, count: u16) {
        let (stream, state) = (Self::stream(pipe), &mut self.pipes[pipe]);
        let bytes = (0..count.into()).map(|at| byte(state.port, false, state.given + at));
        self.device.host().peer(stream).sends.extend(bytes);
        state.given += u32::from(count);
        self.device.heard(stream, Heard { readable: true, ..Heard::default() });
    }

    /// What the hosts got is what was sent.
    fn host_looks(&mut self) {
        for (index, pipe) in self.pipes.iter_mut().enumerate() {
            let Some(peer) = self.device.host().open.get_mut(&Self::stream(index)) else { continue };
            for got in std::mem::take(&mut peer.got) {
                assert_eq!(got, byte(pipe.port, true, pipe.arrived), "byte {} to the host", pipe.arrived);
                pipe.arrived += 1;
            }
            assert!(pipe.arrived <= pipe.sent, "no more arrives than was sent");
        }
    }

    /// The guest brings so many buffers, and takes what comes.
    fn receive(&mut self, buffers: u8, size: u16) -> usize {
        let at = |buffer: u64| RECEIVED + u64::from(RECEIVED_BYTES) * (buffer % u64::from(SIZE));
        for _ in 0..buffers {
            if self.guest.has_room(0) {
                self.guest.offer(0, &[(at(self.offered), size.into(), WRITE)]);
                self.offered += 1;
            }
        }
        let waiting = self.guest.lines[0].waiting().len() as u64;
        self.serve(0);
        let used = self.guest.take_used(0);
        let count = used.len();
        for ((_, length), number) in used.into_iter().zip(self.offered - waiting..) {
            let mut bytes = vec![0; length as usize];
            self.guest.memory.read_slice(&mut bytes, GuestAddress(at(number))).expect("in memory");
            self.hear(&bytes);
        }
        count
    }

    fn hear(&mut self, bytes: &[u8]) {
        let (header, data) = bytes.split_at(HEADER_BYTES);
        let packet = Packet::from_bytes(header);
        let index =
            self.pipes.iter().position(|pipe| pipe.port == packet.port).expect("a stream of this guest's");
        let pipe = &mut self.pipes[index];
        assert_eq!((packet.host, packet.length as usize), (SERVICE, data.len()));
        assert!(packet.forwarded <= pipe.sent, "the host used no more than was sent");
        assert!(pipe.sent - packet.forwarded <= packet.buffer, "what was promised holds");
        (pipe.buffer, pipe.forwarded) = (packet.buffer, packet.forwarded);
        match packet.operation {
            RESPONSE => pipe.open = true,
            DATA => {
                for byte_got in data {
                    assert_eq!(*byte_got, byte(pipe.port, false, pipe.got), "byte {} to the guest", pipe.got);
                    pipe.got += 1;
                }
                assert!(pipe.got <= pipe.given, "no more comes than was given");
                assert!(
                    pipe.got - pipe.said_forwarded <= pipe.said_buffer,
                    "{} bytes wait in a buffer of {}",
                    pipe.got - pipe.said_forwarded,
                    pipe.said_buffer
                );
            }
            CREDIT_UPDATE => {}
            CREDIT_REQUEST => self.uses_up(index, 0, None),
            other => panic!("operation {other} to a guest that keeps to the rules"),
        }
    }

    /// Both sides take everything: everything arrives.
    fn finish(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let mut missing = false;
            self.receive(16, RECEIVED_BYTES);
            for pipe in 0..self.pipes.len() {
                self.host_takes(pipe, 1 << 17);
                let Pipe { sent, arrived, given, got, .. } = self.pipes[pipe];
                missing |= arrived < sent || got < given;
                if got < given {
                    self.uses_up(pipe, u32::MAX, Some(1 << 16));
                }
            }
            if !missing {
                return;
            }
        }
        panic!("bytes that never arrive");
    }
}
