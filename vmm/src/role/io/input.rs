//! Standard input for the guest's serial port.
//!
//! It is listened to only while there is room for it, so that nothing typed or pasted is lost; files that epoll refuses
//! (regular ones, /dev/null) are read to their end. From a terminal it reads ahead of the guest: the keys that leave must
//! be heard behind others that no guest takes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use event_manager::{EventOps, Events};
use vmm_sys_util::epoll::EventSet;

use super::terminal::Waiting;
use crate::confine::Slot;
use crate::devices::serial::{FIFO_BYTES, Raised};
use crate::role::policies::io::slot;
use crate::role::shared::Shared;
use crate::role::terminal::{Escape, Typed};

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

/// Standard input, and how far the guest has taken it.
#[derive(Debug)]
pub(super) struct Input {
    source: Source,
    escape: Option<Escape>,
    /// Bytes that the guest has not taken yet. Never more than `most_waiting`, so that it does not allocate.
    waiting: Waiting,
    most_waiting: usize,
    /// The guest has a console device, which takes what waits by itself; else it is the serial port's.
    for_console: bool,
    shared: &'static Shared,
    stdin: Slot,
    main_bell: Slot,
    serial_irq: Slot,
}

impl Input {
    /// `terminal`: it is a terminal in raw mode, so that the escape sequence counts; `for_console`: the guest has a console
    /// device.
    pub(super) fn new(
        terminal: bool,
        for_console: bool,
        shared: &'static Shared,
        slot: impl Fn(RawFd) -> Slot,
    ) -> Self {
        let most_waiting = if terminal { TYPED_AHEAD } else { FIFO_BYTES };
        Self {
            source: Source::Muted,
            escape: terminal.then(Escape::default),
            waiting: Rc::new(RefCell::new(VecDeque::with_capacity(most_waiting))),
            most_waiting,
            for_console,
            shared,
            stdin: slot(slot::STDIN),
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
                Typed::CtrlAltDel => {
                    // The loop raises its interrupt. Nobody hears of it where the guest does not listen.
                    self.shared.ports.keyboard().press_ctrl_alt_del();
                    continue;
                }
                Typed::Leave => {
                    self.shared.left.store(true, Ordering::SeqCst);
                    self.main_bell.ring();
                    continue;
                }
            };
            // At most as many come out as went in, and for those there was room.
            self.waiting.borrow_mut().push_back(passed);
        }
    }

    /// Whether as much can be kept as is read at once.
    fn has_room(&self) -> bool {
        self.waiting.borrow().len() + FIFO_BYTES <= self.most_waiting
    }

    /// Whether a console device takes what waits.
    pub(super) fn is_for_console(&self) -> bool {
        self.for_console
    }

    /// What waits, for the console device.
    pub(super) fn waiting(&self) -> Waiting {
        Rc::clone(&self.waiting)
    }

    /// Gives the serial port what it takes; true when all is given.
    fn feed(&mut self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        while !self.for_console && !waiting.is_empty() {
            // The queue wraps: what comes first, then the rest.
            let (first, _) = waiting.as_slices();
            let offered = first.len();
            let (taken, raised) = self.shared.ports.serial().feed(first);
            waiting.drain(..taken);
            self.ring(raised);
            if taken < offered {
                break;
            }
        }
        waiting.is_empty()
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

    /// Before the fence: what epoll's bookkeeping allocates, it allocates here.
    pub(super) fn begin(&mut self, ops: &mut EventOps) {
        self.listen(ops);
        self.read_file();
    }

    /// There is something to read.
    pub(super) fn ready(&mut self, ops: &mut EventOps) {
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
    pub(super) fn port_ready(&mut self, ops: &mut EventOps) {
        self.feed();
        if self.source == Source::Muted && self.has_room() {
            self.listen(ops);
        }
        self.read_file();
    }
}
