//! One stream: what it is waiting for, what each side has said and what the guest is still to hear.

use super::credit::{self, BUFFER, Exceeded};
use super::greeting;
use super::host::{Direction, Heard, Host, Read, StreamId, Written};
use super::packet::{Header, Operation, Over, Ports};
use super::rings::Rings;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The guest was asked for it, or is about to be.
    Asked,
    /// Both sides have it.
    Open,
    /// Over, which the guest is still to be told.
    Refused,
    /// Nobody needs it any more.
    Ended,
}

/// What is left of the host's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// It is there.
    Connected,
    /// It is gone in both directions; what it sent before may still be there.
    HungUp,
    /// The stream was closed on the host.
    Nobody,
}

/// Packets without data that the guest is to get, as bits; the lowest goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pending(u8);

impl Pending {
    const RESET: Self = Self(1);
    const REQUEST: Self = Self(1 << 1);
    const RESPONSE: Self = Self(1 << 2);
    const SHUTDOWN: Self = Self(1 << 3);
    const CREDIT_UPDATE: Self = Self(1 << 4);
    const CREDIT_REQUEST: Self = Self(1 << 5);

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The first, which is then no longer among them.
    fn take(&mut self) -> Option<Operation> {
        let first = Self(self.0 & self.0.wrapping_neg());
        self.0 &= !first.0;
        Some(match first {
            Self::RESET => Operation::Reset,
            Self::REQUEST => Operation::Request,
            Self::RESPONSE => Operation::Response,
            Self::SHUTDOWN => Operation::Shutdown,
            Self::CREDIT_UPDATE => Operation::CreditUpdate,
            Self::CREDIT_REQUEST => Operation::CreditRequest,
            _ => return None,
        })
    }
}

/// The host's side of one stream.
#[derive(Debug)]
pub(super) struct Side<'a, H> {
    pub(super) host: &'a mut H,
    pub(super) rings: &'a mut Rings,
    pub(super) stream: StreamId,
}

/// A stream whose two ends are known.
#[derive(Debug)]
pub(super) struct Connection {
    ports: Ports,
    stage: Stage,
    pending: Pending,
    guest: credit::Guest,
    own: credit::Own,
    /// There may be something to read from the host's side.
    readable: bool,
    /// The guest was asked for credit since it last had any.
    asked_for_credit: bool,
    reach: Reach,
    /// What the guest does no more, as far as the host's side has been told.
    guest_over: Over,
    host_told: Over,
    /// What the host's side does no more.
    host_over: Over,
}

impl Connection {
    fn new(ports: Ports, stage: Stage, pending: Pending) -> Self {
        Self {
            ports,
            stage,
            pending,
            guest: credit::Guest::default(),
            own: credit::Own::default(),
            readable: true,
            asked_for_credit: false,
            reach: Reach::Connected,
            guest_over: Over::default(),
            host_told: Over::default(),
            host_over: Over::default(),
        }
    }

    /// The host's side wants to reach the guest.
    pub(super) fn asked_for(ports: Ports) -> Self {
        Self::new(ports, Stage::Asked, Pending::REQUEST)
    }

    /// The guest asked for it by this packet, and the host's side took it.
    pub(super) fn accepted(request: &Header) -> Self {
        let mut connection = Self::new(request.ports(), Stage::Open, Pending::RESPONSE);
        connection.guest.says(request.buffer, request.forwarded);
        connection
    }

    /// Its two ends.
    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// Nothing is left of it.
    pub(super) fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Whether the guest is to get a packet, if it has a buffer for it.
    pub(super) fn is_due(&self) -> bool {
        self.pending != Pending::default() || self.may_read() && self.guest.left() > 0
    }

    fn may_read(&self) -> bool {
        self.stage == Stage::Open
            && self.reach != Reach::Nobody
            && self.readable
            && !self.guest_over.has(Over::RECEIVING)
            && !self.host_over.has(Over::SENDING)
    }

    /// A packet of the guest's. `data`: as much as its header says, if that may be kept; else it is empty.
    pub(super) fn packet(&mut self, header: &Header, data: &[u8], side: &mut Side<'_, impl Host>) {
        if matches!(self.stage, Stage::Refused | Stage::Ended) {
            // The answer is on its way. What makes an end of it is that the guest gives up as well.
            if header.operation == Operation::Reset {
                self.stage = Stage::Ended;
            }
            return;
        }
        self.guest.says(header.buffer, header.forwarded);
        self.asked_for_credit &= self.guest.left() == 0;
        match (header.operation, self.stage) {
            (Operation::Reset, _) => {
                self.detach(side);
                self.stage = Stage::Ended;
            }
            (Operation::Response, Stage::Asked) => self.open(side),
            (Operation::Data, Stage::Open) if !self.guest_over.has(Over::SENDING) => {
                self.receive(header.length, data, side);
            }
            (Operation::CreditUpdate, Stage::Open) => {}
            (Operation::CreditRequest, Stage::Open) => self.pending.add(Pending::CREDIT_UPDATE),
            (Operation::Shutdown, Stage::Open) => {
                self.guest_over.add(Over(header.flags));
                self.settle(side);
            }
            _ => self.refuse(side),
        }
        self.ask_for_credit();
    }

    /// Bytes that the guest may send now.
    pub(super) fn room(&self) -> u32 {
        self.own.left()
    }

    /// The guest has taken what the host's side asked it for.
    fn open(&mut self, side: &mut Side<'_, impl Host>) {
        let (answer, length) = greeting::answer(self.ports.host);
        // A stream that has sent one line has room for another.
        match side.host.write(side.stream, &answer[..length]) {
            Written::Bytes(count) if count == length => self.stage = Stage::Open,
            _ => self.refuse(side),
        }
    }

    fn receive(&mut self, length: u32, data: &[u8], side: &mut Side<'_, impl Host>) {
        if self.own.receive(length) == Err(Exceeded) || data.len() != length as usize {
            self.refuse(side);
            return;
        }
        if self.host_over.has(Over::RECEIVING) {
            // On its way when the guest was told.
            self.forwarded(data.len());
        } else if side.rings.length(side.stream) > 0 {
            side.rings.push(side.stream, data);
        } else if !data.is_empty() {
            match side.host.write(side.stream, data) {
                Written::Bytes(count) => {
                    self.forwarded(count);
                    if count < data.len() {
                        side.rings.push(side.stream, &data[count..]);
                        side.host.await_room(side.stream, true);
                    }
                }
                Written::Gone => {
                    self.forwarded(data.len());
                    self.host_is_over(Over::RECEIVING, side);
                }
            }
        }
    }

    fn forwarded(&mut self, count: usize) {
        // No more than a buffer.
        self.own.forward(u32::try_from(count).unwrap_or(BUFFER));
        if self.own.is_worth_telling() {
            self.pending.add(Pending::CREDIT_UPDATE);
        }
    }

    /// News of the host's side.
    pub(super) fn heard(&mut self, heard: Heard, side: &mut Side<'_, impl Host>) {
        if self.reach == Reach::Nobody {
            return;
        }
        self.readable |= heard.readable || heard.hung_up;
        if heard.hung_up {
            self.reach = Reach::HungUp;
        }
        if self.reach == Reach::HungUp && self.stage == Stage::Asked {
            self.refuse(side);
            return;
        }
        if heard.writable || heard.hung_up {
            self.flush(side);
        }
        // Where something is left to read, its end comes with it.
        if self.reach == Reach::HungUp && !(self.may_read() && self.guest.left() > 0) {
            self.host_is_over(Over::RECEIVING, side);
            if self.guest_over.has(Over::RECEIVING) {
                self.host_is_over(Over::SENDING, side);
            }
        }
        self.settle(side);
        self.ask_for_credit();
    }

    /// Writes what waits for the host's side.
    fn flush(&mut self, side: &mut Side<'_, impl Host>) {
        while side.rings.length(side.stream) > 0 {
            match side.host.write(side.stream, side.rings.first(side.stream)) {
                Written::Bytes(0) => return,
                Written::Bytes(count) => {
                    side.rings.take(side.stream, count);
                    self.forwarded(count);
                    if side.rings.length(side.stream) == 0 {
                        side.host.await_room(side.stream, false);
                    }
                }
                Written::Gone => self.host_is_over(Over::RECEIVING, side),
            }
        }
    }

    /// The host's side does something no more, of which the guest is told.
    fn host_is_over(&mut self, over: Over, side: &mut Side<'_, impl Host>) {
        if self.host_over.has(over) {
            return;
        }
        self.host_over.add(over);
        self.pending.add(Pending::SHUTDOWN);
        if self.host_over.has(Over::RECEIVING) {
            let dropped = side.rings.clear(side.stream);
            self.forwarded(dropped);
        }
        if self.host_over == Over::BOTH {
            self.detach(side);
        }
    }

    /// Tells the host's side what the guest does no more, once it has everything that came before.
    fn settle(&mut self, side: &mut Side<'_, impl Host>) {
        if self.stage != Stage::Open {
            return;
        }
        let delivered = side.rings.length(side.stream) == 0;
        if self.guest_over == Over::BOTH && delivered {
            self.refuse(side);
            return;
        }
        let news =
            [(Over::SENDING, Direction::Sending, delivered), (Over::RECEIVING, Direction::Receiving, true)];
        for (over, direction, now) in news {
            if now && self.reach != Reach::Nobody && self.guest_over.has(over) && !self.host_told.has(over) {
                self.host_told.add(over);
                side.host.shut(side.stream, direction);
            }
        }
    }

    /// Whoever waits for credit asks for it once.
    fn ask_for_credit(&mut self) {
        if self.may_read() && self.guest.left() == 0 && !self.asked_for_credit {
            self.asked_for_credit = true;
            self.pending.add(Pending::CREDIT_REQUEST);
        }
    }

    fn detach(&mut self, side: &mut Side<'_, impl Host>) {
        if std::mem::replace(&mut self.reach, Reach::Nobody) != Reach::Nobody {
            side.rings.clear(side.stream);
            side.host.close(side.stream);
        }
    }

    /// An end on both sides.
    fn refuse(&mut self, side: &mut Side<'_, impl Host>) {
        self.detach(side);
        self.stage = Stage::Refused;
        self.pending = Pending::RESET;
    }

    /// The device is reset: the guest is told nothing.
    pub(super) fn end(&mut self, side: &mut Side<'_, impl Host>) {
        self.detach(side);
        self.stage = Stage::Ended;
    }

    /// The packet that the guest gets next, with its data in `data`, one byte at least; `None` if there is none after all.
    pub(super) fn next(
        &mut self,
        cid: u32,
        data: &mut [u8],
        side: &mut Side<'_, impl Host>,
    ) -> Option<Header> {
        let (operation, length) = match self.pending.take() {
            Some(operation) => (operation, 0),
            None => self.read(data, side)?,
        };
        if operation == Operation::Reset {
            self.stage = Stage::Ended;
        }
        // Every packet tells it.
        self.pending.0 &= !Pending::CREDIT_UPDATE.0;
        let flags = if operation == Operation::Shutdown { self.host_over.0 } else { 0 };
        let header = Header::to_guest(cid, self.ports, operation);
        Some(Header { length, flags, buffer: BUFFER, forwarded: self.own.tell(), ..header })
    }

    /// Data, or that there is none any more.
    fn read(&mut self, data: &mut [u8], side: &mut Side<'_, impl Host>) -> Option<(Operation, u32)> {
        let most = data.len().min(self.guest.left() as usize);
        if !self.may_read() || most == 0 {
            return None;
        }
        match side.host.read(side.stream, &mut data[..most]) {
            Read::Bytes(count) => {
                // No more than was left.
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.guest.spend(count);
                self.ask_for_credit();
                return Some((Operation::Data, count));
            }
            Read::Nothing => {
                self.readable = false;
                return None;
            }
            Read::End => {
                let over = if self.reach == Reach::HungUp { Over::BOTH } else { Over::SENDING };
                self.host_is_over(over, side);
            }
            Read::Broken => self.refuse(side),
        }
        self.pending.take().map(|operation| (operation, 0))
    }
}
