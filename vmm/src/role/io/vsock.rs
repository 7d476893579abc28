//! The host's side of the socket device: Unix sockets, in Firecracker's manner. Somebody on the host connects to one socket
//! and says which port of the guest's they want; the guest reaches port P of the host at a socket of the same path with `_P`
//! after it.
//!
//! The streams have an epoll descriptor of their own, which the event loop listens to, so that their coming and going is
//! nothing to it. Each is heard once a change (`EPOLLET`): a stream that the guest does not read from costs nothing more.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, RawFd};

use event_manager::{EventOps, Events};
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use vmm_sys_util::epoll::EventSet;

use super::vsock_address::Address;
use crate::confine::Slot;
use crate::confine::table::Taken;
use crate::devices::virtio::vsock::{Direction, Heard, Host, Read, Refused, StreamId, Vsock, Written};
use crate::role::policies::io_vsock::slot;
use crate::role::serving::Hosted;

/// As many streams as there are numbers for their descriptors.
#[expect(clippy::cast_possible_truncation, reason = "a process has far fewer descriptors")]
pub(super) const STREAMS: u16 = {
    let (first, last) = (*slot::VSOCK_STREAMS.start(), *slot::VSOCK_STREAMS.end());
    (last - first + 1).cast_unsigned() as u16
};

/// Events that are taken at once; others of the thread's have their turn before the next.
const AT_ONCE: usize = 64;

/// What epoll says of the listening socket, where it gives a stream's place for a stream.
const LISTENING: u64 = u64::MAX;

/// Never waits: not before the end of a signal or a clock.
const AT_THIS_MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

const NEW: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// Unix sockets for the guest's streams.
#[derive(Debug)]
pub(super) struct UnixSockets {
    socket: Slot,
    epoll: Slot,
    address: Address,
    /// By the stream's place.
    streams: Box<[Option<Taken>]>,
    /// Somebody may be at the listening socket.
    visited: bool,
}

impl UnixSockets {
    /// No streams yet. `address`: where the host's ports are.
    pub(super) fn new(socket: Slot, epoll: Slot, address: Address) -> Self {
        let streams = (0..STREAMS).map(|_| None).collect();
        Self { socket, epoll, address, streams, visited: false }
    }

    fn stream(&self, stream: StreamId) -> Option<&Taken> {
        self.streams[usize::from(stream)].as_ref()
    }

    /// Keeps a new stream's descriptor, and listens to it.
    fn keep(&mut self, stream: StreamId, descriptor: Taken) -> Result<(), Errno> {
        let number = descriptor.as_raw_fd();
        // All below are taken from the start on, and there are as many as streams.
        assert!(slot::VSOCK_STREAMS.contains(&number), "a stream has the number {number}, which no rule has");
        epoll::add(self.epoll, &descriptor, EventData::new_u64(stream.into()), interest(false))?;
        self.streams[usize::from(stream)] = Some(descriptor);
        Ok(())
    }

    fn connected(&self, port: u32) -> Result<Taken, Errno> {
        let socket: Taken = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, NEW, None)?.into();
        // It is taken at once or not at all: nobody is waited for.
        net::connect(&socket, &self.address.of_port(port)?)?;
        Ok(socket)
    }

    fn received(&self, stream: StreamId, bytes: &mut [u8], flags: RecvFlags) -> Read {
        let Some(descriptor) = self.stream(stream) else { return Read::Broken };
        loop {
            match net::recv(descriptor, &mut *bytes, flags) {
                Ok((0, _)) => return Read::End,
                Ok((count, _)) => return Read::Bytes(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Read::Nothing,
                Err(_) => return Read::Broken,
            }
        }
    }
}

fn interest(room: bool) -> EventFlags {
    let reading = EventFlags::IN | EventFlags::ET;
    if room { reading | EventFlags::OUT } else { reading }
}

impl Host for UnixSockets {
    fn connect(&mut self, stream: StreamId, port: u32) -> Result<(), Refused> {
        let kept = self.connected(port).and_then(|socket| self.keep(stream, socket));
        kept.map_err(|_| Refused)
    }

    fn accept(&mut self, stream: StreamId) -> bool {
        while self.visited {
            match net::accept_with(self.socket, NEW) {
                Ok(socket) => {
                    if self.keep(stream, socket.into()).is_ok() {
                        return true;
                    }
                    // The kernel has no memory to listen to it; it is closed again.
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => self.visited = false,
                // No more descriptors: the next stream that ends makes room for one.
                Err(_) => return false,
            }
        }
        false
    }

    fn peek(&mut self, stream: StreamId, bytes: &mut [u8]) -> Read {
        self.received(stream, bytes, RecvFlags::PEEK)
    }

    fn read(&mut self, stream: StreamId, bytes: &mut [u8]) -> Read {
        self.received(stream, bytes, RecvFlags::empty())
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8]) -> Written {
        let Some(descriptor) = self.stream(stream) else { return Written::Gone };
        loop {
            match net::send(descriptor, bytes, SendFlags::NOSIGNAL) {
                Ok(count) => return Written::Bytes(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Written::Bytes(0),
                Err(_) => return Written::Gone,
            }
        }
    }

    fn await_room(&mut self, stream: StreamId, wanted: bool) {
        if let Some(descriptor) = self.stream(stream) {
            // It is listened to already, so that nothing new is needed for it.
            let _ =
                epoll::modify(self.epoll, descriptor, EventData::new_u64(stream.into()), interest(wanted));
        }
    }

    fn shut(&mut self, stream: StreamId, direction: Direction) {
        let how = match direction {
            Direction::Sending => Shutdown::Write,
            Direction::Receiving => Shutdown::Read,
        };
        if let Some(descriptor) = self.stream(stream) {
            // One that is gone needs it no more.
            let _ = net::shutdown(descriptor, how);
        }
    }

    fn close(&mut self, stream: StreamId) {
        // Closed with its value; epoll forgets it then.
        self.streams[usize::from(stream)] = None;
    }
}

impl Hosted for Vsock<UnixSockets> {
    fn listen(&mut self, ops: &mut EventOps) {
        let UnixSockets { socket, epoll, .. } = *self.host();
        let listening = epoll::add(epoll, socket, EventData::new_u64(LISTENING), interest(false));
        // New descriptors take each other; anything else is a defect and must not go by in silence.
        listening.expect("epoll takes the listening socket");
        ops.add(Events::new(&epoll, EventSet::IN)).expect("epoll takes another");
    }

    fn ready(&mut self, number: RawFd, _events: EventSet, _ops: &mut EventOps) -> bool {
        let epoll = self.host().epoll;
        if epoll.as_raw_fd() != number {
            return false;
        }
        let mut events = [const { MaybeUninit::<Event>::uninit() }; AT_ONCE];
        // A signal comes first: the event is there again.
        let Ok((events, _)) = epoll::wait(epoll, &mut events[..], Some(&AT_THIS_MOMENT)) else { return true };
        for event in events {
            let (data, flags) = (event.data.u64(), event.flags);
            match StreamId::try_from(data) {
                Ok(stream) => self.heard(stream, heard(flags)),
                Err(_) => self.host().visited = true,
            }
        }
        // Only now, so that no event of these is about the stream that had a place before.
        self.accept();
        true
    }

    fn listen_again(&mut self, _ops: &mut EventOps) {
        // Places may have become free.
        self.accept();
    }
}

fn heard(flags: EventFlags) -> Heard {
    let failed = flags.contains(EventFlags::ERR);
    Heard {
        readable: failed || flags.contains(EventFlags::IN),
        writable: failed || flags.contains(EventFlags::OUT),
        hung_up: flags.contains(EventFlags::HUP),
    }
}
