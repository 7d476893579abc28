//! The io thread: input for the guest, and waking the vCPUs that wait for room.
//!
//! Its loop is event-manager's. Standard input is listened to only while there is room for it, so that nothing typed
//! or pasted is lost; files that epoll refuses (regular ones, /dev/null) are read to their end. From a terminal it
//! reads ahead of the guest: the keys that leave must be heard behind others that no guest takes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;

use event_manager::{EventManager, EventOps, Events, MutEventSubscriber, SubscriberOps};
use seccomp_policies::embed::Embedded;
use vmm_sys_util::epoll::EventSet;

use super::policies::io::{POLICY, slot};
use super::shared::Shared;
use super::terminal::{Escape, Typed};
use crate::confine::table::Placement;
use crate::confine::thread::{self, Failure, Started};
use crate::confine::{Farewell, Fenced, Fencing, Role, Slot, Unfenced, futex};
use crate::devices::serial::{FIFO_BYTES, Raised};

/// The role.
#[derive(Debug)]
pub struct Io;

impl Role for Io {
    const POLICY: &'static Embedded = &POLICY;
}

/// What the thread takes with it: numbers in its parent's table.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    /// Standard input.
    pub stdin: RawFd,
    /// The console's eventfd `room`.
    pub room: RawFd,
    /// io's own bell.
    pub bell: RawFd,
    /// Main's bell.
    pub main_bell: RawFd,
    /// The serial port's irqfd.
    pub serial_irq: RawFd,
}

/// Starts the thread. `terminal`: standard input is a terminal in raw mode, so that the escape sequence counts.
///
/// # Errors
/// [`thread::Error::Spawn`]
pub fn start(
    fencing: Fencing,
    descriptors: Descriptors,
    terminal: bool,
    shared: &'static Shared,
) -> Result<Started, thread::Error> {
    let body = move |unfenced| become_io(unfenced, descriptors, terminal, shared);
    thread::start::<Io>("rf-io".into(), fencing, body)
}

fn become_io(
    unfenced: Unfenced<Io>,
    descriptors: Descriptors,
    terminal: bool,
    shared: &'static Shared,
) -> Result<Infallible, Failure> {
    let placements = [
        Placement { from: descriptors.stdin, slot: slot::STDIN },
        Placement { from: descriptors.room, slot: slot::ROOM },
        Placement { from: descriptors.bell, slot: slot::BELL },
        Placement { from: descriptors.main_bell, slot: slot::MAIN_BELL },
        Placement { from: descriptors.serial_irq, slot: slot::SERIAL_IRQ },
    ];
    // SAFETY: this thread has brought numbers alone.
    let slotted = unsafe { unfenced.own_table(&placements, Farewell::RingMain(slot::MAIN_BELL)) }?;
    let mut events = EventManager::new()?;
    // The event manager made its epoll descriptor at the lowest free number.
    slotted.assert_open(slot::EPOLL)?;
    events.add_subscriber(Input::new(terminal, shared, |number| slotted.slot(number)));
    let fenced = slotted.fence()?;
    run(&fenced, events)
}

fn run(_fenced: &Fenced<Io>, mut events: EventManager<Input>) -> ! {
    loop {
        // EINTR comes back as no event; any other error would come again for ever, so it ends the run.
        if let Err(error) = events.run() {
            panic!("waiting for events failed: {error}");
        }
    }
}

/// What standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Something that epoll listens to, and is listened to now.
    Heard,
    /// The same, not listened to while there is no room.
    Muted,
    /// A file that is always readable, until its end.
    File,
    /// At its end.
    Ended,
}

/// Bytes of a terminal that wait for the guest at most: more than anyone types before they want to leave.
const TYPED_AHEAD: usize = 64 * 1024;

#[derive(Debug)]
struct Input {
    source: Source,
    escape: Option<Escape>,
    /// Bytes that the serial port has not taken yet. Never more than `most_waiting`, so that it does not allocate.
    waiting: VecDeque<u8>,
    most_waiting: usize,
    shared: &'static Shared,
    stdin: Slot,
    room: Slot,
    bell: Slot,
    main_bell: Slot,
    serial_irq: Slot,
}

impl Input {
    fn new(terminal: bool, shared: &'static Shared, slot: impl Fn(RawFd) -> Slot) -> Self {
        let most_waiting = if terminal { TYPED_AHEAD } else { FIFO_BYTES };
        Self {
            source: Source::Muted,
            escape: terminal.then(Escape::default),
            waiting: VecDeque::with_capacity(most_waiting),
            most_waiting,
            shared,
            stdin: slot(slot::STDIN),
            room: slot(slot::ROOM),
            bell: slot(slot::BELL),
            main_bell: slot(slot::MAIN_BELL),
            serial_irq: slot(slot::SERIAL_IRQ),
        }
    }

    fn listen(&mut self, ops: &mut EventOps) {
        match ops.add(Events::new(&self.stdin, EventSet::IN)) {
            Ok(()) => self.source = Source::Heard,
            // A file that epoll does not take, because it can always be read.
            Err(event_manager::Error::Epoll(errno)) if errno.errno() == libc::EPERM => {
                self.source = Source::File;
            }
            // Taken for a file, a terminal would be read until somebody types, and vCPUs wait for room meanwhile.
            Err(error) => panic!("cannot listen to standard input: {error}"),
        }
    }

    fn mute(&mut self, ops: &mut EventOps, then: Source) {
        let _ = ops.remove(Events::empty(&self.stdin));
        self.source = then;
    }

    /// Reads once, as much as the serial port's FIFO holds; false at the end of input.
    fn read(&mut self) -> bool {
        let mut bytes = [0; FIFO_BYTES];
        match rustix::io::read(self.stdin, &mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.typed(&bytes[..count]);
                true
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => true,
            // A terminal that was hung up, or a process in its background: no input any more.
            Err(_) => false,
        }
    }

    fn typed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let passed = match self.escape.as_mut().map_or(Typed::Pass(byte), |escape| escape.typed(byte)) {
                Typed::Pass(byte) => byte,
                Typed::Held => continue,
                Typed::Leave => {
                    self.shared.left.store(true, Ordering::SeqCst);
                    self.main_bell.ring();
                    continue;
                }
            };
            // At most as many come out as went in, and for those there was room.
            self.waiting.push_back(passed);
        }
    }

    /// Whether as much can be kept as is read at once.
    fn has_room(&self) -> bool {
        self.waiting.len() + FIFO_BYTES <= self.most_waiting
    }

    /// Gives the serial port what it takes; true when all is given.
    fn feed(&mut self) -> bool {
        loop {
            // The queue wraps: what comes first, then the rest.
            let (first, _) = self.waiting.as_slices();
            let offered = first.len();
            let (taken, raised) = self.shared.ports.serial().feed(first);
            self.waiting.drain(..taken);
            self.ring(raised);
            if taken < offered || self.waiting.is_empty() {
                return self.waiting.is_empty();
            }
        }
    }

    fn ring(&self, raised: Raised) {
        if raised.interrupt {
            self.serial_irq.ring();
        }
    }

    /// A file is read until the serial port is full or the file ends.
    fn read_file(&mut self) {
        while self.source == Source::File && self.feed() {
            if !self.read() {
                self.source = Source::Ended;
            }
        }
    }

    fn stdin_ready(&mut self, ops: &mut EventOps) {
        if !self.read() {
            self.mute(ops, Source::Ended);
            return;
        }
        self.feed();
        if !self.has_room() {
            self.mute(ops, Source::Muted);
        }
    }

    /// A vCPU says that the serial port takes input again.
    fn port_ready(&mut self, ops: &mut EventOps) {
        self.feed();
        if self.source == Source::Muted && self.has_room() {
            self.listen(ops);
        }
        self.read_file();
    }

    fn room_made(&self) {
        futex::wake_all(self.shared.output.room());
        if self.shared.output.failure().is_some() {
            self.main_bell.ring();
        }
    }
}

impl MutEventSubscriber for Input {
    fn init(&mut self, ops: &mut EventOps) {
        for bell in [self.room, self.bell] {
            // A new epoll descriptor takes an eventfd; anything else is a defect and must not go by in silence.
            ops.add(Events::new(&bell, EventSet::IN)).expect("epoll takes the bells");
        }
        // What epoll's bookkeeping allocates, it allocates here, before the fence.
        self.listen(ops);
        self.read_file();
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        match events.fd() {
            slot::STDIN => self.stdin_ready(ops),
            slot::ROOM => {
                self.room.hear();
                self.room_made();
            }
            slot::BELL => {
                self.bell.hear();
                self.port_ready(ops);
            }
            _ => {}
        }
    }
}
