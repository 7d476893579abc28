//! The io thread: input for the guest, the queues of its devices, and waking the vCPUs that wait for room.
//!
//! Its loop is event-manager's.

mod device;
mod elsewhere;
mod input;
mod pages;
mod tap;
mod terminal;
mod vsock;
mod vsock_address;

use self::device::Surroundings;
pub use self::device::{DeviceDescriptors, Kind};
pub use self::elsewhere::Elsewhere;
pub use self::vsock_address::LONGEST_PATH;

use std::convert::Infallible;
use std::os::fd::RawFd;

use event_manager::{EventManager, EventOps, Events, MutEventSubscriber, SubscriberOps};
use seccomp_policies::embed::Embedded;
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::epoll::EventSet;

use self::elsewhere::Forwarded;
use self::input::Input;
use super::events;
use super::policies::io::slot;
use super::policies::{io, io_vsock};
use super::serving::{self, Serving};
use super::shared::Shared;
use crate::confine::table::Placement;
use crate::confine::thread::{self, Failure, Started};
use crate::confine::{Farewell, Fencing, Role, Slot, Unfenced, futex};

/// The thread's name.
pub const THREAD: &str = "rf-io";

/// The role.
#[derive(Debug)]
pub struct Io;

impl Role for Io {
    const POLICY: &'static Embedded = &io::POLICY;
}

/// The role with a socket device, whose policy knows sockets; no other run has it.
#[derive(Debug)]
pub struct IoVsock;

impl Role for IoVsock {
    const POLICY: &'static Embedded = &io_vsock::POLICY;
}

/// What the thread takes with it: numbers in its parent's table.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    /// What it serves devices by.
    pub serving: serving::Descriptors,
    /// Standard input.
    pub stdin: RawFd,
    /// The console's eventfd `room`.
    pub room: RawFd,
    /// The serial port's irqfd.
    pub serial_irq: RawFd,
    /// The keyboard's irqfd, where there is a keyboard.
    pub keyboard_irq: Option<RawFd>,
    /// The console thread's bell, if there is a console device.
    pub console_bell: Option<RawFd>,
}

impl Descriptors {
    fn placements(&self) -> impl Iterator<Item = Placement> {
        let always = [
            Placement { from: self.stdin, slot: slot::STDIN },
            Placement { from: self.room, slot: slot::ROOM },
            Placement { from: self.serial_irq, slot: slot::SERIAL_IRQ },
        ];
        let keyboard = self.keyboard_irq.map(|from| Placement { from, slot: slot::KEYBOARD_IRQ });
        let console = self.console_bell.map(|from| Placement { from, slot: slot::OUTPUT_BELL });
        self.serving.placements().chain(always).chain(keyboard).chain(console)
    }
}

/// What the thread works on.
#[derive(Debug)]
pub struct Work {
    /// Standard input is a terminal in raw mode, so that the escape sequence counts.
    pub terminal: bool,
    /// What the threads share.
    pub shared: &'static Shared,
    /// Where the buffers of the devices' queues are.
    pub memory: &'static GuestMemoryMmap,
    /// The devices, with what it drives them by.
    pub devices: Vec<DeviceDescriptors>,
    /// The disks that have threads of their own.
    pub elsewhere: Vec<Elsewhere>,
}

/// Starts the thread.
///
/// # Errors
/// [`thread::Error::Spawn`]
pub fn start(fencing: Fencing, descriptors: Descriptors, work: Work) -> Result<Started, thread::Error> {
    if work.devices.iter().any(DeviceDescriptors::has_streams) {
        start_as::<IoVsock>(fencing, descriptors, work)
    } else {
        start_as::<Io>(fencing, descriptors, work)
    }
}

fn start_as<R: Role>(
    fencing: Fencing,
    descriptors: Descriptors,
    work: Work,
) -> Result<Started, thread::Error> {
    let body = move |unfenced| become_io::<R>(unfenced, descriptors, work);
    thread::start::<R>(THREAD.into(), fencing, body)
}

fn become_io<R: Role>(
    unfenced: Unfenced<R>,
    descriptors: Descriptors,
    mut work: Work,
) -> Result<Infallible, Failure> {
    let mut placements: Vec<_> = descriptors.placements().collect();
    placements.extend(work.devices.iter().flat_map(DeviceDescriptors::placements));
    placements.extend(work.elsewhere.iter().map(Elsewhere::placement));
    // SAFETY: this thread has brought numbers alone.
    let slotted = unsafe { unfenced.own_table(&placements, Farewell::RingMain(slot::MAIN_BELL)) }?;
    let mut events = EventManager::new()?;
    // The event manager made its epoll descriptor at the lowest free number.
    slotted.assert_open(slot::EPOLL)?;
    descriptors.serving.fill(&slotted)?;
    for device in &mut work.devices {
        device.prepare(&slotted)?;
    }
    events.add_subscriber(Loop::new(&descriptors, &work, |number| slotted.slot(number)));
    let fenced = slotted.fence()?;
    events::run(&fenced, events)
}

/// What the events are for.
#[derive(Debug)]
struct Loop {
    input: Input,
    serving: Serving,
    elsewhere: Vec<Forwarded>,
    shared: &'static Shared,
    room: Slot,
    main_bell: Slot,
    keyboard_irq: Option<Slot>,
}

impl Loop {
    fn new(descriptors: &Descriptors, work: &Work, slot: impl Fn(RawFd) -> Slot) -> Self {
        let has_console = work.devices.iter().any(|device| matches!(device.kind, Kind::Console));
        let input = Input::new(work.terminal, has_console, work.shared, &slot);
        let surroundings =
            Surroundings { memory: work.memory, shared: work.shared, waiting: input.waiting() };
        let devices = work.devices.iter().map(|device| device.attach(&slot, &surroundings)).collect();
        let elsewhere = work.elsewhere.iter();
        Self {
            input,
            serving: Serving::new(&descriptors.serving, devices, &work.shared.io, &slot),
            elsewhere: elsewhere.filter_map(|disk| Forwarded::new(disk, work.shared, &slot)).collect(),
            shared: work.shared,
            room: slot(slot::ROOM),
            main_bell: slot(slot::MAIN_BELL),
            keyboard_irq: descriptors.keyboard_irq.map(|_| slot(slot::KEYBOARD_IRQ)),
        }
    }

    fn look_at_keyboard(&self) {
        if let Some(interrupt) = self.keyboard_irq
            && self.shared.ports.keyboard().take_interrupt()
        {
            interrupt.ring();
        }
    }

    fn room_made(&self) {
        futex::wake_all(self.shared.output.room());
        if self.shared.output.failure().is_some() {
            self.main_bell.ring();
        }
    }

    /// Something was typed, or there is room for output: of the devices only a console has to do with it.
    fn look_at_console(&mut self, ops: &mut EventOps) {
        if self.input.is_for_console() {
            self.serving.look_at_devices(ops);
        }
    }
}

impl MutEventSubscriber for Loop {
    fn init(&mut self, ops: &mut EventOps) {
        // A new epoll descriptor takes an eventfd; anything else is a defect and must not go by in silence.
        ops.add(Events::new(&self.room, EventSet::IN)).expect("epoll takes the bells");
        self.serving.listen(ops);
        self.input.begin(ops);
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        match events.fd() {
            slot::STDIN => {
                self.input.ready(ops);
                self.look_at_keyboard();
                self.look_at_console(ops);
            }
            slot::ROOM => {
                self.room.hear();
                self.room_made();
                self.look_at_console(ops);
            }
            slot::BELL => {
                self.serving.hear();
                // Before this thread stands still, if it is to.
                self.elsewhere.iter().for_each(Forwarded::look);
                self.serving.attend(ops);
                self.look_at_keyboard();
                self.input.port_ready(ops);
            }
            number => {
                self.serving.process(number, events.event_set(), ops);
                if self.input.is_for_console() {
                    self.input.port_ready(ops);
                }
            }
        }
        self.serving.set_timer();
    }
}
