//! The io thread: input for the guest, the queues of its devices, and waking the vCPUs that wait for room.
//!
//! Its loop is event-manager's.

mod attached;
mod device;
mod disk;
mod input;
mod pages;
mod received;
mod tap;
mod terminal;
mod timer;
mod vsock;
mod vsock_address;

use self::device::Surroundings;
pub use self::device::{DeviceDescriptors, Kind};
pub use self::vsock_address::LONGEST_PATH;

use std::convert::Infallible;
use std::os::fd::RawFd;

use event_manager::{EventManager, EventOps, Events, MutEventSubscriber, SubscriberOps};
use seccomp_policies::embed::Embedded;
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::epoll::EventSet;

use self::attached::{Attached, Rest};
use self::input::Input;
use self::timer::Timer;
use super::desk::{Change, Contents, End, Failed, Order};
use super::events;
use super::policies::io::slot;
use super::policies::{io, io_vsock};
use super::shared::Shared;
use crate::confine::table::Placement;
use crate::confine::thread::{self, Failure, Started};
use crate::confine::{Farewell, Fencing, Role, Slot, Unfenced, futex};

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
    /// The socket to main, where there is an API.
    pub main_socket: Option<RawFd>,
    /// The keyboard's irqfd, where there is a keyboard.
    pub keyboard_irq: Option<RawFd>,
    /// The console thread's bell, if there is a console device.
    pub console_bell: Option<RawFd>,
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
    /// The timerfd of their rate limiters, of `CLOCK_MONOTONIC`, if there are devices.
    pub timer: Option<RawFd>,
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
    thread::start::<R>("rf-io".into(), fencing, body)
}

fn become_io<R: Role>(
    unfenced: Unfenced<R>,
    descriptors: Descriptors,
    mut work: Work,
) -> Result<Infallible, Failure> {
    let mut placements = vec![
        Placement { from: descriptors.stdin, slot: slot::STDIN },
        Placement { from: descriptors.room, slot: slot::ROOM },
        Placement { from: descriptors.bell, slot: slot::BELL },
        Placement { from: descriptors.main_bell, slot: slot::MAIN_BELL },
        Placement { from: descriptors.serial_irq, slot: slot::SERIAL_IRQ },
    ];
    // At the number of what comes by it as well, so that nothing else gets that one.
    let sockets = [slot::MAIN_SOCKET, slot::RECEIVED];
    placements.extend(
        descriptors.main_socket.into_iter().flat_map(|from| sockets.map(|slot| Placement { from, slot })),
    );
    placements.extend(descriptors.console_bell.map(|from| Placement { from, slot: slot::OUTPUT_BELL }));
    placements.extend(work.timer.map(|from| Placement { from, slot: slot::TIMER }));
    let keyboard = descriptors.keyboard_irq.map(|from| Placement { from, slot: slot::KEYBOARD_IRQ });
    placements.extend(keyboard);
    placements.extend(work.devices.iter().flat_map(DeviceDescriptors::placements));
    // SAFETY: this thread has brought numbers alone.
    let slotted = unsafe { unfenced.own_table(&placements, Farewell::RingMain(slot::MAIN_BELL)) }?;
    let mut events = EventManager::new()?;
    // The event manager made its epoll descriptor at the lowest free number.
    slotted.assert_open(slot::EPOLL)?;
    if descriptors.main_socket.is_some() {
        slotted.fill_below(slot::RECEIVED)?;
    }
    for device in &mut work.devices {
        device.prepare(&slotted)?;
    }
    events.add_subscriber(Loop::new(&work, keyboard.is_some(), |number| slotted.slot(number)));
    let fenced = slotted.fence()?;
    events::run(&fenced, events)
}

/// What the events are for.
#[derive(Debug)]
struct Loop {
    input: Input,
    devices: Vec<Attached>,
    timer: Option<Timer>,
    shared: &'static Shared,
    room: Slot,
    bell: Slot,
    main_bell: Slot,
    /// Nothing lies there without an API, and nothing is sent then.
    main_socket: Slot,
    keyboard_irq: Option<Slot>,
}

impl Loop {
    fn new(work: &Work, keyboard: bool, slot: impl Fn(RawFd) -> Slot) -> Self {
        let has_console = work.devices.iter().any(|device| matches!(device.kind, Kind::Console));
        let input = Input::new(work.terminal, has_console, work.shared, &slot);
        let surroundings =
            Surroundings { memory: work.memory, shared: work.shared, waiting: input.waiting() };
        let devices = work.devices.iter().map(|device| device.attach(&slot, &surroundings)).collect();
        Self {
            input,
            devices,
            timer: work.timer.map(|_| Timer::new(slot(slot::TIMER))),
            shared: work.shared,
            room: slot(slot::ROOM),
            bell: slot(slot::BELL),
            main_bell: slot(slot::MAIN_BELL),
            main_socket: slot(slot::MAIN_SOCKET),
            keyboard_irq: keyboard.then(|| slot(slot::KEYBOARD_IRQ)),
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
}

impl Loop {
    /// What main wants changed.
    fn look_at_desk(&mut self) {
        let Some(order) = self.shared.desk.take() else { return };
        let end = match order {
            Order::Make(change) => self.change(&change),
            Order::Forget => {
                received::forget(self.main_socket);
                Err(Failed::GivenUp)
            }
        };
        self.shared.desk.done(end);
    }

    fn change(&mut self, change: &Change) -> End {
        if let Change::Disk { index, contents: Contents::File { message, .. }, .. } = *change {
            let disk = slot::DISKS.start() + RawFd::from(index);
            if !received::put_in_place(self.main_socket, message, disk) {
                return Err(Failed::NoFile);
            }
        }
        if self.devices.iter_mut().any(|device| device.change(change)) {
            Ok(())
        } else {
            Err(Failed::NoDevice)
        }
    }

    /// What a vCPU waits for, and what a turn has left.
    fn look_at_devices(&mut self, ops: &mut EventOps) {
        for index in 0..self.devices.len() {
            let device = &mut self.devices[index];
            device.settle();
            let rest = device.go_on(ops);
            self.come_back_to(rest);
        }
    }

    /// Something was typed, or there is room for output: of the devices only a console has to do with it.
    fn look_at_console(&mut self, ops: &mut EventOps) {
        if self.input.is_for_console() {
            self.look_at_devices(ops);
        }
    }

    fn device_event(&mut self, number: RawFd, events: EventSet, ops: &mut EventOps) {
        let rest = self.devices.iter_mut().find_map(|device| device.event(number, events, ops));
        self.come_back_to(rest.unwrap_or(Rest::Nothing));
    }

    /// Others have their turn first.
    fn come_back_to(&self, rest: Rest) {
        if rest == Rest::Turn {
            self.bell.ring();
        }
    }
}

impl MutEventSubscriber for Loop {
    fn init(&mut self, ops: &mut EventOps) {
        let timer = self.timer.as_ref().map(Timer::slot);
        for bell in [self.room, self.bell].into_iter().chain(timer) {
            // A new epoll descriptor takes an eventfd; anything else is a defect and must not go by in silence.
            ops.add(Events::new(&bell, EventSet::IN)).expect("epoll takes the bells");
        }
        self.devices.iter_mut().for_each(|device| device.listen(ops));
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
            slot::TIMER => {
                self.timer.iter_mut().for_each(Timer::heard);
                self.look_at_devices(ops);
            }
            slot::BELL => {
                self.bell.hear();
                self.shared.io.pause_if_wanted(|| self.look_at_desk());
                self.look_at_desk();
                self.look_at_keyboard();
                self.look_at_devices(ops);
                self.input.port_ready(ops);
            }
            number => {
                self.device_event(number, events.event_set(), ops);
                if self.input.is_for_console() {
                    self.input.port_ready(ops);
                }
            }
        }
        let resumes = self.devices.iter().filter_map(Attached::resumes).min();
        self.timer.iter_mut().for_each(|timer| timer.set_for(resumes));
    }
}
