//! What the threads of a run share: devices, the output ring, and a word or two by which they tell each other
//! what happened. Descriptors are not among it; each thread has its own.
#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use super::desk::Desk;
use crate::confine::futex;
use crate::devices::output::Output;
use crate::devices::ports::Ports;
use crate::devices::virtio::Windows;
use crate::devices::virtio::balloon::Handle;
use crate::machine::exit::End;

/// The guest's serial output on its way to the console thread. A process runs one guest.
pub(super) static OUTPUT: Output = Output::new();

/// What ended a vCPU's run.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// The guest pulled the reset line.
    Reset,
    /// The guest switched the machine off.
    PowerOff,
    /// The guest told of the panic of its kernel.
    GuestPanic,
    /// The guest wrote this byte to the exit port.
    ExitPort(u8),
    /// KVM came back with something from which there is no going on.
    Machine(End),
}

/// Where a vCPU thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Place {
    /// At the gate; its vCPU is not inside `KVM_RUN`.
    Paused = 0,
    /// In its loop.
    Running = 1,
    /// Behind its last exit, parked.
    Ended = 2,
}

/// What main asks of a vCPU thread, or of io.
const PAUSE: u32 = 0;
const RUN: u32 = 1;
/// What it asks of io beside [`PAUSE`], every other time that io is to look at its desk meanwhile.
const LOOK: u32 = 2;

/// One vCPU's part of the shared state. Begins paused.
#[derive(Debug, Default)]
pub struct VcpuState {
    /// [`PAUSE`] or [`RUN`]; stored by main, and the futex word of the gate.
    request: AtomicU32,
    /// A [`Place`]; stored by the vCPU thread, and the futex word on which main waits.
    place: AtomicU32,
    verdict: OnceLock<Verdict>,
    exits: [AtomicU64; 5],
}

/// Why a vCPU came back to user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The guest reads a port.
    PortIn = 0,
    /// It writes one.
    PortOut = 1,
    /// It reads where there is no memory.
    MmioRead = 2,
    /// It writes there.
    MmioWrite = 3,
    /// It has come to its end.
    End = 4,
}

impl ExitReason {
    /// Each, with Firecracker's name where it has one.
    pub const NAMES: [&str; 5] =
        ["exit_io_in", "exit_io_out", "exit_mmio_read", "exit_mmio_write", "exit_end"];
}

impl VcpuState {
    /// Main: asks the thread to go to the gate. It does so after its next exit; see `confine::signals::KICK`.
    pub fn ask_to_pause(&self) {
        self.request.store(PAUSE, Ordering::SeqCst);
    }

    /// Main: opens the gate.
    pub fn resume(&self) {
        self.request.store(RUN, Ordering::SeqCst);
        futex::wake_all(&self.request);
    }

    /// Main: waits until the thread is not inside `KVM_RUN` any more; false when `deadline` came first.
    pub fn wait_out_of_guest(&self, deadline: Instant) -> bool {
        let outside = |place| place != Place::Running as u32;
        outside(futex::wait_until(&self.place, deadline, outside))
    }

    /// vCPU: whether main wants it at the gate.
    pub fn pause_wanted(&self) -> bool {
        self.request.load(Ordering::SeqCst) == PAUSE
    }

    /// vCPU: waits at the gate until main opens it.
    pub fn wait_at_gate(&self) {
        self.go_to(Place::Paused);
        while self.pause_wanted() {
            futex::wait(&self.request, PAUSE);
        }
        self.go_to(Place::Running);
    }

    /// vCPU: has left the guest for good.
    pub fn end(&self, verdict: Verdict) {
        // The thread parks after this, so there is one verdict.
        let _ = self.verdict.set(verdict);
        self.go_to(Place::Ended);
    }

    fn go_to(&self, place: Place) {
        self.place.store(place as u32, Ordering::SeqCst);
        futex::wake_all(&self.place);
    }

    /// What ended the vCPU's run.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict.get().copied()
    }

    /// vCPU: counts an exit to user space.
    pub fn count_exit(&self, reason: ExitReason) {
        let exits = &self.exits[reason as usize];
        // Stored by one thread alone, so no read-modify-write is needed.
        exits.store(exits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Exits to user space so far.
    pub fn exits(&self) -> u64 {
        self.exits_by_reason().into_iter().sum()
    }

    /// The same in the order of [`ExitReason::NAMES`].
    pub fn exits_by_reason(&self) -> [u64; 5] {
        self.exits.each_ref().map(|exits| exits.load(Ordering::Relaxed))
    }
}

/// io's part of the shared state. Begins running: it serves what is there before any vCPU runs.
#[derive(Debug)]
pub struct IoState {
    /// [`PAUSE`], that with [`LOOK`], or [`RUN`]; stored by main, and the futex word on which io waits.
    request: AtomicU32,
    /// [`PAUSE`] or [`RUN`]; stored by io, and the futex word on which main waits.
    place: AtomicU32,
}

impl Default for IoState {
    fn default() -> Self {
        Self { request: AtomicU32::new(RUN), place: AtomicU32::new(RUN) }
    }
}

impl IoState {
    /// Main: asks io to stand still. It is to be rung.
    pub fn ask_to_pause(&self) {
        self.request.store(PAUSE, Ordering::SeqCst);
    }

    /// Main: waits until io stands still; false when `deadline` came first.
    pub fn wait_until_paused(&self, deadline: Instant) -> bool {
        let paused = |place| place == PAUSE;
        paused(futex::wait_until(&self.place, deadline, paused))
    }

    /// Main: lets io go on.
    pub fn resume(&self) {
        self.request.store(RUN, Ordering::SeqCst);
        futex::wake_all(&self.request);
    }

    /// Main: has io look at its desk while it stands still. One that runs is to be rung.
    pub fn look_up(&self) {
        if self.request.load(Ordering::SeqCst) != RUN {
            // Only main stores here.
            self.request.fetch_xor(LOOK, Ordering::SeqCst);
            futex::wake_all(&self.request);
        }
    }

    /// io: stands still while main wants it, and looks at its desk in between. What happens to its descriptors meanwhile,
    /// epoll tells it afterwards.
    pub fn pause_if_wanted(&self, mut look_at_desk: impl FnMut()) {
        loop {
            let request = self.request.load(Ordering::SeqCst);
            if request == RUN {
                break;
            }
            self.go_to(PAUSE);
            look_at_desk();
            futex::wait(&self.request, request);
        }
        self.go_to(RUN);
    }

    fn go_to(&self, place: u32) {
        if self.place.swap(place, Ordering::SeqCst) != place {
            futex::wake_all(&self.place);
        }
    }
}

/// The shared state of one run. Lives as long as the process.
#[derive(Debug)]
pub struct Shared {
    /// The guest's serial output on its way to the console thread.
    pub output: &'static Output,
    /// The devices that the guest meets by port I/O.
    pub ports: Ports,
    /// The devices that it meets in memory.
    pub windows: Windows,
    /// The memory balloon, if there is one.
    pub balloon: Option<Handle>,
    /// One for each vCPU.
    pub vcpus: Vec<VcpuState>,
    /// io's.
    pub io: IoState,
    /// What is to change about its devices.
    pub desk: Desk,
    /// The user typed the escape sequence.
    pub left: AtomicBool,
}

impl Shared {
    /// The state of a machine with `vcpus` vCPUs that has not started.
    pub fn new(
        vcpus: usize,
        output: &'static Output,
        ports: Ports,
        windows: Windows,
        balloon: Option<Handle>,
    ) -> &'static Self {
        let vcpus = (0..vcpus).map(|_| VcpuState::default()).collect();
        let left = AtomicBool::new(false);
        Box::leak(Box::new(Self {
            output,
            ports,
            windows,
            balloon,
            vcpus,
            io: IoState::default(),
            desk: Desk::default(),
            left,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_vcpu_begins_at_the_gate_and_goes_through_when_main_opens_it() {
        let state: &'static VcpuState = Box::leak(Box::default());
        assert!(state.pause_wanted());
        let thread = std::thread::spawn(|| state.wait_at_gate());
        state.resume();
        thread.join().unwrap();
        assert!(!state.wait_out_of_guest(Instant::now() + Duration::from_millis(1)));
        state.end(Verdict::Reset);
        assert!(state.wait_out_of_guest(Instant::now() + Duration::from_mins(1)));
    }

    #[test]
    fn io_stands_still_from_its_word_to_main_s() {
        let state: &'static IoState = Box::leak(Box::default());
        state.pause_if_wanted(|| panic!("it runs"));
        assert!(!state.wait_until_paused(Instant::now()));
        state.look_up();
        state.pause_if_wanted(|| panic!("it runs"));
        state.ask_to_pause();
        let (looked, looks) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || state.pause_if_wanted(|| looked.send(()).unwrap()));
        assert!(state.wait_until_paused(Instant::now() + Duration::from_mins(1)));
        assert!(!thread.is_finished());
        for _ in 0..100 {
            looks.recv().unwrap();
            state.look_up();
        }
        state.resume();
        thread.join().unwrap();
        assert!(!state.wait_until_paused(Instant::now()));
    }
}
