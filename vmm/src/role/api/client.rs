//! A client: its connection, and the socket by which it comes.
#![forbid(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use vmm_sys_util::epoll::EventSet;

use crate::api::http::{Connection, Limits, Message};
use crate::confine::table::Taken;

/// As much as the policy lets a thread read at once.
const CHUNK_BYTES: usize = 4096;
/// And write.
const WRITE_BYTES: usize = 65536;

/// Seconds that a request may take to arrive, or an answer to be taken.
const LIMIT_SECONDS: u32 = 10;

/// A client of the API.
#[derive(Debug)]
pub(super) struct Client {
    socket: Taken,
    pub(super) connection: Connection,
    /// Seconds for which the same request has been arriving, or the same answer going out.
    seconds: u32,
    /// Seconds for which nothing was asked.
    idle: u32,
    /// What epoll listens for.
    pub(super) heard: EventSet,
    /// The socket is of no use any more.
    broken: bool,
}

impl Client {
    pub(super) fn new(socket: OwnedFd, limits: Limits) -> Self {
        let connection = Connection::new(limits);
        Self { socket: socket.into(), connection, seconds: 0, idle: 0, heard: EventSet::IN, broken: false }
    }

    pub(super) fn number(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The socket has an event.
    pub(super) fn event(&mut self, events: EventSet) {
        if self.connection.wants_input() {
            self.read();
        } else if events.intersects(EventSet::HANG_UP | EventSet::ERROR) {
            // Nobody is there to take the answer. While there is something to read, that comes first.
            self.broken = true;
        }
    }

    /// Reads once.
    fn read(&mut self) {
        let mut chunk = [0; CHUNK_BYTES];
        match rustix::io::read(&self.socket, &mut chunk) {
            Ok(0) => self.connection.ended(),
            Ok(count) => self.connection.received(&chunk[..count]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.broken = true,
        }
    }

    /// The next whole request; time begins anew with it.
    pub(super) fn next_message(&mut self) -> Option<Message> {
        let message = self.connection.next_message();
        if message.is_some() {
            self.seconds = 0;
            self.idle = 0;
        }
        message
    }

    /// Writes what is to go out, as far as the client takes it.
    pub(super) fn write(&mut self) {
        while !self.connection.unsent().is_empty() && !self.broken {
            let unsent = self.connection.unsent();
            match rustix::io::write(&self.socket, &unsent[..unsent.len().min(WRITE_BYTES)]) {
                Ok(count) => self.connection.sent(count),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.broken = true,
            }
        }
    }

    /// A second has passed.
    pub(super) fn tick(&mut self) {
        self.idle = self.idle.saturating_add(1);
        if !self.connection.is_under_way() || self.connection.is_asked() {
            self.seconds = 0;
            return;
        }
        self.seconds += 1;
        if self.seconds > LIMIT_SECONDS {
            // Said once: who does not take it by the next tick has had his time.
            self.broken = !self.connection.unsent().is_empty();
            self.connection.time_is_up();
        }
    }

    /// Seconds for which it has asked nothing, if it may go for another's sake.
    pub(super) fn idle(&self) -> Option<u32> {
        (!self.connection.is_asked() && self.connection.unsent().is_empty()).then_some(self.idle)
    }

    pub(super) fn is_over(&self) -> bool {
        self.broken || self.connection.is_over()
    }

    /// What there is to wait for.
    pub(super) fn wanted(&self) -> EventSet {
        match (self.connection.unsent().is_empty(), self.connection.wants_input()) {
            (false, _) => EventSet::OUT,
            (true, true) => EventSet::IN,
            (true, false) => EventSet::empty(),
        }
    }
}
