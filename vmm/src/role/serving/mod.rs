//! What the threads have in common that serve devices: the turns of their queues, the timer of the rate limiters, and what main
//! wants of them.

mod attached;
mod disk;
mod received;
mod timer;

use std::os::fd::RawFd;

use event_manager::{EventOps, Events};
use vmm_sys_util::epoll::EventSet;

pub(super) use self::attached::{Attached, Hosted};
pub(super) use self::disk::DiskFile;
pub(super) use self::received::Files;
pub(super) use self::timer::clock;

use self::attached::Rest;
use self::timer::Timer;
use super::policies::disk::slot;
use super::policies::io;
use super::shared::IoThread;
use super::shared::desk::{Change, End, Failed, Order};
use crate::confine::table::Placement;
use crate::confine::{Role, Slot, Slotted, fence};

// The slots of one included text.
const _: () = assert!(slot::EPOLL == io::slot::EPOLL && slot::BELL == io::slot::BELL);
const _: () = assert!(slot::MAIN_BELL == io::slot::MAIN_BELL && slot::TIMER == io::slot::TIMER);
const _: () = assert!(slot::MAIN_SOCKET == io::slot::MAIN_SOCKET && slot::RECEIVED == io::slot::RECEIVED);

/// What such a thread takes with it, beside its devices': numbers in its parent's table.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    /// Its own bell.
    pub bell: RawFd,
    /// Main's bell.
    pub main_bell: RawFd,
    /// The socket to main, where there is an API.
    pub main_socket: Option<RawFd>,
    /// The timerfd of its devices' rate limiters, of `CLOCK_MONOTONIC`, if there are devices.
    pub timer: Option<RawFd>,
}

impl Descriptors {
    /// Which goes where.
    pub(super) fn placements(&self) -> impl Iterator<Item = Placement> {
        let bells = [
            Placement { from: self.bell, slot: slot::BELL },
            Placement { from: self.main_bell, slot: slot::MAIN_BELL },
        ];
        // At the number of what comes by it as well, so that nothing else gets that one.
        let sockets = [slot::MAIN_SOCKET, slot::RECEIVED];
        let sockets =
            self.main_socket.into_iter().flat_map(move |from| sockets.map(|slot| Placement { from, slot }));
        let timer = self.timer.map(|from| Placement { from, slot: slot::TIMER });
        bells.into_iter().chain(sockets).chain(timer)
    }

    /// Takes the numbers that nothing may come to lie at.
    ///
    /// # Errors
    /// See [`fence::Error`].
    pub(super) fn fill<R: Role>(&self, slotted: &Slotted<R>) -> Result<(), fence::Error> {
        self.main_socket.map_or(Ok(()), |_| slotted.fill_below(slot::RECEIVED))
    }
}

/// The devices of a thread, and what it serves them by.
#[derive(Debug)]
pub(super) struct Serving {
    devices: Vec<Attached>,
    timer: Option<Timer>,
    bell: Slot,
    files: Files<Slot>,
    thread: &'static IoThread,
}

impl Serving {
    /// The devices of the thread that took these with it.
    pub(super) fn new(
        descriptors: &Descriptors,
        devices: Vec<Attached>,
        thread: &'static IoThread,
        slot: impl Fn(RawFd) -> Slot,
    ) -> Self {
        Self {
            devices,
            timer: descriptors.timer.map(|_| Timer::new(slot(slot::TIMER))),
            bell: slot(slot::BELL),
            files: Files::new(slot(slot::MAIN_SOCKET)),
            thread,
        }
    }

    /// Before the fence.
    pub(super) fn listen(&mut self, ops: &mut EventOps) {
        let timer = self.timer.as_ref().map(Timer::slot);
        for bell in [self.bell].into_iter().chain(timer) {
            // A new epoll descriptor takes an eventfd; anything else is a defect and must not go by in silence.
            ops.add(Events::new(&bell, EventSet::IN)).expect("epoll takes the bells");
        }
        self.devices.iter_mut().for_each(|device| device.listen(ops));
    }

    /// Serves what an event of this descriptor is about. [`Self::set_timer`] is called after all of it.
    pub(super) fn process(&mut self, number: RawFd, events: EventSet, ops: &mut EventOps) {
        match number {
            slot::TIMER => {
                self.timer.iter_mut().for_each(Timer::heard);
                self.look_at_devices(ops);
            }
            slot::BELL => {
                self.hear();
                self.attend(ops);
            }
            number => {
                let rest = self.devices.iter_mut().find_map(|device| device.event(number, events, ops));
                self.come_back_to(rest.unwrap_or(Rest::Nothing));
            }
        }
    }

    /// Hears the bell. Before anything is looked at: whoever rings after that look is heard by another event.
    pub(super) fn hear(&self) {
        self.bell.hear();
    }

    /// Does what the bell may have been rung for.
    pub(super) fn attend(&mut self, ops: &mut EventOps) {
        let Self { thread, devices, files, .. } = self;
        let (thread, files) = (*thread, *files);
        thread.state.pause_if_wanted(|| look_at_desk(thread, devices, files));
        look_at_desk(thread, devices, files);
        self.look_at_devices(ops);
    }

    /// What a vCPU waits for, and what a turn has left.
    pub(super) fn look_at_devices(&mut self, ops: &mut EventOps) {
        for index in 0..self.devices.len() {
            let device = &mut self.devices[index];
            device.settle();
            let rest = device.go_on(ops);
            self.come_back_to(rest);
        }
    }

    /// Has the thread come back when a limiter lets a device go on.
    pub(super) fn set_timer(&mut self) {
        let resumes = self.devices.iter().filter_map(Attached::resumes).min();
        self.timer.iter_mut().for_each(|timer| timer.set_for(resumes));
    }

    /// Others have their turn first.
    fn come_back_to(&self, rest: Rest) {
        if rest == Rest::Turn {
            self.bell.ring();
        }
    }
}

/// What main wants changed.
fn look_at_desk(thread: &IoThread, devices: &mut [Attached], files: Files<Slot>) {
    let Some(order) = thread.desk.take() else { return };
    let end = match order {
        Order::Make(change) => make(&change, devices, files),
        Order::Forget => {
            files.forget();
            Err(Failed::GivenUp)
        }
    };
    thread.desk.done(end);
}

fn make(change: &Change, devices: &mut [Attached], files: Files<Slot>) -> End {
    devices.iter_mut().find_map(|device| device.change(change, files)).unwrap_or(Err(Failed::NoDevice))
}
