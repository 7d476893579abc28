//! The table of streams: by place and by their two ports, of a size that was made before the thread may allocate no more.

use super::connection::Connection;
use super::host::StreamId;
use super::packet::Ports;

/// What is at a place.
#[derive(Debug, Default)]
pub(super) enum Place {
    /// Nothing.
    #[default]
    Free,
    /// Somebody on the host, who has not said yet what they want.
    Greeting,
    /// A stream.
    Connection(Connection),
}

/// The streams of a device.
#[derive(Debug)]
pub(super) struct Streams {
    places: Vec<Place>,
    /// Places that nothing is at; the one that was used last is used first, since its memory is there.
    free: Vec<StreamId>,
    /// Ascending, so that a stream is found among thousands in a dozen steps, whatever ports a guest chooses.
    by_ports: Vec<(Ports, StreamId)>,
    due: Due,
    next_host_port: u32,
}

/// The first port of a stream that the host began: above those that services have, as in Firecracker.
const FIRST_HOST_PORT: u32 = 1 << 30;

impl Streams {
    pub(super) fn new(count: u16) -> Self {
        Self {
            places: (0..count).map(|_| Place::Free).collect(),
            free: (0..count).rev().collect(),
            by_ports: Vec::with_capacity(count.into()),
            due: Due::new(count),
            next_host_port: FIRST_HOST_PORT,
        }
    }

    /// How many places there are.
    pub(super) fn count(&self) -> StreamId {
        // Made from such a number.
        StreamId::try_from(self.places.len()).unwrap_or(StreamId::MAX)
    }

    /// A place that nothing is at.
    pub(super) fn vacancy(&self) -> Option<StreamId> {
        self.free.last().copied()
    }

    /// Somebody on the host is at the vacancy.
    pub(super) fn greet(&mut self) {
        if let Some(stream) = self.free.pop() {
            self.places[usize::from(stream)] = Place::Greeting;
        }
    }

    /// A connection is at the vacancy.
    pub(super) fn occupy(&mut self, connection: Connection) {
        if let Some(stream) = self.free.pop() {
            self.introduce(stream, connection);
        }
    }

    /// Who is at this place has become a connection.
    pub(super) fn introduce(&mut self, stream: StreamId, connection: Connection) {
        let entry = (connection.ports(), stream);
        let at = self.by_ports.partition_point(|other| *other < entry);
        // No more than there are places, for which there is capacity.
        self.by_ports.insert(at, entry);
        self.places[usize::from(stream)] = Place::Connection(connection);
        self.refresh(stream);
    }

    /// The stream between two ports.
    pub(super) fn find(&self, ports: Ports) -> Option<StreamId> {
        let at = self.by_ports.binary_search_by_key(&ports, |(ports, _)| *ports).ok()?;
        Some(self.by_ports[at].1)
    }

    /// What is at a place.
    pub(super) fn at(&mut self, stream: StreamId) -> &mut Place {
        &mut self.places[usize::from(stream)]
    }

    /// A port of the host's that has no stream to this port of the guest's.
    pub(super) fn host_port(&mut self, guest: u32) -> u32 {
        // As many in a row can be taken as there are streams.
        loop {
            let host = self.next_host_port;
            self.next_host_port = host.checked_add(1).unwrap_or(FIRST_HOST_PORT);
            if self.find(Ports { guest, host }).is_none() {
                return host;
            }
        }
    }

    /// Something has happened at a place: it may be free now, or have something for the guest.
    pub(super) fn refresh(&mut self, stream: StreamId) {
        let Place::Connection(connection) = &self.places[usize::from(stream)] else { return };
        self.due.set(stream, connection.is_due() && !connection.has_ended());
        if connection.has_ended() {
            self.vacate(stream);
        }
    }

    /// Nothing is at this place any more.
    pub(super) fn vacate(&mut self, stream: StreamId) {
        match std::mem::take(&mut self.places[usize::from(stream)]) {
            Place::Free => return,
            Place::Greeting => {}
            Place::Connection(connection) => {
                let entry = (connection.ports(), stream);
                if let Ok(at) = self.by_ports.binary_search(&entry) {
                    self.by_ports.remove(at);
                }
            }
        }
        self.due.set(stream, false);
        self.free.push(stream);
    }

    /// The next stream that has something for the guest: each comes once before one comes again.
    pub(super) fn next_due(&mut self) -> Option<StreamId> {
        self.due.next()
    }

    /// Whether any has.
    pub(super) fn any_due(&self) -> bool {
        self.due.count > 0
    }
}

/// A set of places, gone through in turn.
#[derive(Debug)]
struct Due {
    words: Vec<u64>,
    count: usize,
    /// Where the next turn begins.
    from: usize,
}

impl Due {
    fn new(places: u16) -> Self {
        Self { words: vec![0; usize::from(places).div_ceil(64)], count: 0, from: 0 }
    }

    fn set(&mut self, stream: StreamId, due: bool) {
        let (word, bit) = (&mut self.words[usize::from(stream / 64)], 1 << (stream % 64));
        match (*word & bit != 0, due) {
            (false, true) => self.count += 1,
            (true, false) => self.count -= 1,
            _ => return,
        }
        *word ^= bit;
    }

    fn next(&mut self) -> Option<StreamId> {
        let words = self.words.len();
        // The word that the turn begins in is looked at twice: from there on, and last what lies before.
        for step in 0..=words {
            let index = (self.from / 64 + step) % words.max(1);
            let mask = if step == 0 { u64::MAX << (self.from % 64) } else { u64::MAX };
            let word = self.words.get(index)? & mask;
            if word != 0 {
                let found = index * 64 + word.trailing_zeros() as usize;
                self.from = (found + 1) % (words * 64);
                return StreamId::try_from(found).ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(guest: u32, host: u32) -> Connection {
        Connection::asked_for(Ports { guest, host })
    }

    #[test]
    fn streams_are_found_by_both_ports_until_they_are_gone() {
        let mut streams = Streams::new(100);
        for number in 0..100 {
            assert_eq!(streams.vacancy(), Some(number));
            streams.occupy(connection(u32::from(number) * 7919 % 100, u32::from(number) % 3));
        }
        assert_eq!(streams.vacancy(), None);
        for number in 0..100 {
            let ports = Ports { guest: u32::from(number) * 7919 % 100, host: u32::from(number) % 3 };
            assert_eq!(streams.find(ports), Some(number));
            streams.vacate(number);
            assert_eq!(streams.find(ports), None);
            assert_eq!(streams.vacancy(), Some(number));
        }
    }

    #[test]
    fn every_stream_that_is_due_comes_once_before_one_comes_again() {
        for places in [1, 64, 65, 200] {
            let mut due = Due::new(places);
            assert_eq!(due.next(), None);
            let wanted: Vec<StreamId> = (0..places).filter(|place| place % 3 != 1).collect();
            for place in &wanted {
                due.set(*place, true);
            }
            for _ in 0..3 {
                let round: Vec<_> = wanted.iter().map(|_| due.next().unwrap()).collect();
                assert_eq!(round, wanted, "of {places}");
            }
            for place in &wanted {
                due.set(*place, false);
            }
            assert_eq!((due.next(), due.count), (None, 0));
        }
    }

    #[test]
    fn the_host_s_ports_are_none_that_is_in_use_with_this_port_of_the_guest_s() {
        let mut streams = Streams::new(4);
        streams.occupy(connection(5, FIRST_HOST_PORT));
        streams.occupy(connection(5, FIRST_HOST_PORT + 1));
        assert_eq!(streams.host_port(5), FIRST_HOST_PORT + 2);
        streams.next_host_port = u32::MAX;
        assert_eq!(streams.host_port(5), u32::MAX);
        assert_eq!(streams.host_port(6), FIRST_HOST_PORT);
    }
}
