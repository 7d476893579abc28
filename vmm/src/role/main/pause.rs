//! Pause and resume: every vCPU at its gate, and the threads of the devices standing still.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::monitor::Monitor;
use crate::api::Fault;
use crate::confine::{Phase, signals};
use crate::role::policies::{main_api, vcpu};
use crate::role::shared::VcpuState;

/// How long a vCPU may take to leave the guest; it needs one exit.
const VCPU_LIMIT: Duration = Duration::from_millis(500);
/// How long a thread of the devices may take to finish what it is doing: a request of a disk, which the host's disk may hold up.
pub(super) const IO_LIMIT: Duration = Duration::from_secs(5);

impl Monitor {
    /// Brings the guest to a halt until [`Monitor::resume`]: no vCPU executes an instruction, and no device serves anything.
    ///
    /// # Errors
    /// In words; the guest goes on.
    pub(super) fn pause(&mut self) -> Result<(), Fault> {
        if !self.pause_vcpus() {
            self.open_gate();
            return Err(Fault::new(format_args!(
                "a vCPU did not stop within {} ms: it may wait for room because nobody reads the guest's output, or a \
                 debugger may hold it; the guest goes on",
                VCPU_LIMIT.as_millis()
            )));
        }
        let shared = self.shared;
        shared.io_threads().for_each(|thread| thread.state.ask_to_pause());
        // io rings the others.
        self.fenced.slot(main_api::slot::IO_BELL).ring();
        let limit = Instant::now() + IO_LIMIT;
        if !shared.io_threads().all(|thread| thread.state.wait_until_paused(limit)) {
            self.resume();
            return Err(Fault::new(format_args!(
                "the devices did not come to rest within {} s: the host's disk may be slow; the guest goes on",
                IO_LIMIT.as_secs()
            )));
        }
        for vcpu in &self.vcpus {
            // A guest without KVM's clock has none to be told by, which the kernel calls an error.
            let _ = vcpu.kvmclock_ctrl();
        }
        Ok(())
    }

    /// Lets the guest go on where it was.
    pub(super) fn resume(&mut self) {
        self.shared.io_threads().for_each(|thread| thread.state.resume());
        self.open_gate();
    }

    fn open_gate(&mut self) {
        // Before the gate opens, so that no vCPU comes back from the guest for a pause that is over.
        self.vcpus.iter_mut().for_each(|vcpu| vcpu.set_kvm_immediate_exit(0));
        self.shared.vcpus.iter().for_each(VcpuState::resume);
    }

    /// Brings every vCPU out of the guest; false when one was too slow, or waits for room for its output.
    pub(super) fn pause_vcpus(&mut self) -> bool {
        let limit = Instant::now() + VCPU_LIMIT;
        let threads = self.watched.iter().filter(|thread| thread.policy.role == vcpu::POLICY.role);
        let states = threads.zip(&self.shared.vcpus).zip(&mut self.vcpus);
        let mut waiting = Vec::with_capacity(self.shared.vcpus.len());
        for ((thread, state), vcpu) in states {
            if thread.record.phase() != Phase::Fenced {
                continue;
            }
            state.ask_to_pause();
            // Before the kick, so that KVM_RUN comes back at once even if the kick arrives before it.
            vcpu.set_kvm_immediate_exit(1);
            signals::kick(thread.record.tid());
            waiting.push(state);
        }
        // The limit is common to all, so those behind a slow one have had their time as well.
        waiting.into_iter().all(|state| state.wait_out_of_guest(limit))
    }
}
