//! A device between a driver that does anything and a host that does anything, and what holds for every device.
//!
//! It writes nowhere but into buffers that its driver offered and into the used ring; it gives each chain back once, in
//! the order in which they came, with no greater length than it had room for; it tells its driver; and its turns end.

use std::ops::Range;
use std::time::Duration;

use ringfence::devices::virtio::{Broken, Device, Features, Identity, Processed};

use super::clock;
use super::guest::{self, Chain, Guest, REGIONS, SIZE};
use super::input::Input;

/// Turns of a queue after one event at most. The longest work of a driver's is what all descriptors of a queue name of
/// memory again and again, and a turn of the slowest device does 16 KiB of that.
const MOST_TURNS: usize = 4096;
/// Events of an input at most.
const MOST_EVENTS: usize = 400;

/// What a turn has brought.
pub struct Turn {
    /// Of which queue.
    pub index: usize,
    /// The chains that came back: length, and what they were. Empty where the driver does not know what is in its queue.
    pub used: Vec<(u32, Chain)>,
    /// What the device said.
    pub outcome: Result<Processed, Broken>,
}

impl Turn {
    /// The one chain that came back, its length and its one buffer, where nothing else was written that may lie over it.
    pub fn lone(&self, guest: &Guest) -> Option<(usize, Range<u64>)> {
        let nothing_else = self.outcome.is_ok() && guest.lines[self.index].waiting().is_empty();
        match &self.used[..] {
            [(length, Chain { writable, .. })] if nothing_else && writable.len() == 1 => {
                Some((*length as usize, writable[0].clone()))
            }
            _ => None,
        }
    }
}

/// A device with its host's side.
pub trait Subject {
    /// The device.
    type Device: Device;

    /// The device.
    fn device(&mut self) -> &mut Self::Device;

    /// The driver is about to start the device, with these features.
    fn start(&mut self, _features: Features) {}

    /// Something of the device's own happens: on its host, or its driver does something sensible.
    fn event(&mut self, _guest: &mut Guest, _input: &mut Input<'_>) {}

    /// A turn is about to begin.
    fn before(&mut self, _index: usize, _guest: &Guest) {}

    /// What must hold after a turn.
    fn after(&mut self, _turn: &Turn, _guest: &Guest) {}

    /// What must hold after a reset.
    fn stopped(&mut self) {}
}

/// What a driver knows before a turn.
struct Before {
    memory: Vec<Vec<u8>>,
    waiting: Vec<(u16, Chain)>,
}

/// A session of events as an input has them. Says whether a device has given anything back.
pub fn run<S: Subject>(subject: &mut S, identity: &Identity, input: &mut Input<'_>) -> bool {
    clock::start();
    let queues = identity.queues.len();
    let mut guest = Guest::new(queues);
    let mut features = begin(subject, identity, &mut guest, input);
    let mut gave = false;
    for _ in 0..MOST_EVENTS {
        if input.is_over() {
            break;
        }
        let kind = input.byte();
        let line = usize::from(kind >> 4) % queues;
        match kind & 15 {
            0..=2 if guest.has_room(line) => {
                let buffers = guest::buffers(&mut guest, input);
                guest.offer(line, &buffers);
            }
            3 => {
                let buffer = (guest::address(input), guest::length(input), input.byte().into());
                guest.describe(line, input.byte().into(), buffer, input.byte().into());
            }
            4 => guest.offer_head(line, (input.byte() % 20).into()),
            5 => {
                let (at, count) = (guest::address(input), usize::from(input.byte() % 64));
                guest.write(at, input.bytes(count));
            }
            6 => clock::pass(Duration::from_millis(input.short().into())),
            7 if input.byte().is_multiple_of(4) => {
                stop(subject, &mut guest);
                features = begin(subject, identity, &mut guest, input);
            }
            8..=11 => subject.event(&mut guest, input),
            _ => {}
        }
        if kind & 1 == 0 || input.is_over() {
            gave |= serve_all(subject, &mut guest, features);
        }
    }
    clock::pass(Duration::from_hours(1));
    gave |= serve_all(subject, &mut guest, features);
    stop(subject, &mut guest);
    gave
}

fn begin<S: Subject>(
    subject: &mut S,
    identity: &Identity,
    guest: &mut Guest,
    input: &mut Input<'_>,
) -> Features {
    let wanted = if input.byte() % 4 == 3 { input.long() } else { !Features::EVENT_IDX.0 };
    let features = Features(identity.features.0 & wanted | Features::VERSION_1.0);
    guest.start(features);
    subject.start(features);
    subject.device().start(features);
    features
}

fn stop<S: Subject>(subject: &mut S, guest: &mut Guest) {
    guest.stop();
    subject.device().stop();
    subject.stopped();
}

/// All queues, until there is nothing to do before something else happens.
fn serve_all<S: Subject>(subject: &mut S, guest: &mut Guest, features: Features) -> bool {
    let mut gave = false;
    for turn in 0.. {
        assert!(turn < MOST_TURNS, "the device goes on for ever");
        let mut more = false;
        for index in 0..guest.lines.len() {
            // A queue that its driver broke takes the others with it.
            if guest.lines[index].queue.is_none() {
                return gave;
            }
            let turn = serve(subject, index, guest, features);
            gave |= !turn.used.is_empty();
            let Ok(processed) = turn.outcome else {
                stop(subject, guest);
                return gave;
            };
            more |= processed.more;
        }
        if !more && !(0..guest.lines.len()).any(|index| subject.device().has_work(index)) {
            return gave;
        }
    }
    gave
}

fn serve<S: Subject>(subject: &mut S, index: usize, guest: &mut Guest, features: Features) -> Turn {
    let before = look(guest, index);
    guest.knows &= before.is_some();
    subject.before(index, guest);
    let memory = guest.memory.clone();
    let mut queue = guest.lines[index].queue.take().expect("it is in use");
    let outcome = subject.device().serve(index, &mut queue, &memory);
    guest.lines[index].queue = Some(queue);
    let used = guest.take_used(index);
    let used = before.map_or_else(Vec::new, |before| check(before, used, index, guest, features, &outcome));
    let turn = Turn { index, used, outcome };
    subject.after(&turn, guest);
    turn
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

/// What a driver knows of its queue; nothing where the device is asked to write over what it reads later.
fn look(guest: &Guest, index: usize) -> Option<Before> {
    let line = &guest.lines[index];
    let waiting: Vec<_> = line.waiting().iter().map(|head| (*head, guest.chain(index, *head))).collect();
    let mut own: Vec<_> = guest.lines.iter().map(guest::Line::rings).collect();
    own.extend(waiting.iter().flat_map(|(_, chain)| chain.tables.clone()));
    let mut written = waiting.iter().flat_map(|(_, chain)| &chain.writable);
    let clear = !written.any(|range| own.iter().any(|own| overlap(range, own)));
    (guest.knows && clear).then(|| Before { memory: guest.snapshot(), waiting })
}

fn check(
    before: Before,
    used: Vec<(u32, u32)>,
    index: usize,
    guest: &Guest,
    features: Features,
    outcome: &Result<Processed, Broken>,
) -> Vec<(u32, Chain)> {
    let Before { mut memory, waiting } = before;
    let after = guest.snapshot();
    let ring = [guest.lines[index].used_ring()];
    for allowed in waiting.iter().flat_map(|(_, chain)| &chain.writable).chain(&ring) {
        for ((region, old), new) in REGIONS.iter().zip(&mut memory).zip(&after) {
            let (start, end) = (allowed.start.max(region.start), allowed.end.min(region.end));
            if start < end {
                let at = |address: u64| usize::try_from(address - region.start).expect("in a small region");
                old[at(start)..at(end)].copy_from_slice(&new[at(start)..at(end)]);
            }
        }
    }
    for ((region, old), new) in REGIONS.iter().zip(&memory).zip(&after) {
        if old != new {
            let place = old.iter().zip(new).position(|(old, new)| old != new);
            let place = place.map(|offset| region.start + offset as u64);
            panic!("the device wrote at {place:x?}, where its driver offered nothing: {waiting:x?}");
        }
    }

    assert!(used.len() <= waiting.len(), "more came back than was there");
    if let Ok(Processed { interrupt, .. }) = outcome
        && !features.contain(Features::EVENT_IDX)
    {
        assert_eq!(*interrupt, !used.is_empty(), "the driver is told of what came back, and of nothing else");
    }
    let pair = |((head, length), (offered, chain)): ((u32, u32), (u16, Chain))| {
        assert_eq!(head, u32::from(offered), "chains come back once, in their order");
        let room: u64 = chain.writable.iter().map(|range| range.end - range.start).sum();
        assert!(u64::from(length) <= room, "{length} bytes in {room}");
        (length, chain)
    };
    assert!(used.len() <= usize::from(SIZE), "a turn ends");
    used.into_iter().zip(waiting).map(pair).collect()
}

/// The bytes of ranges, one after the other, at most so many.
pub fn contents(guest: &Guest, ranges: &[Range<u64>], most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for range in ranges {
        bytes.extend(guest.read(range, most - bytes.len()));
    }
    bytes
}
