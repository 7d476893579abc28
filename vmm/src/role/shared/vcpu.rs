//! What main asks of a vCPU thread, and where that is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use super::{PAUSE, RUN};
use crate::confine::futex;
use crate::machine::exit::End;

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
}
