//! A vCPU thread: enters the guest, hands its accesses to the devices, rings who has to know.
//!
//! The loop allocates nothing and waits without a clock. Everything that is set up or read with other ioctls is
//! main's, before this thread starts or while it is at the gate.

use std::convert::Infallible;
use std::os::fd::RawFd;

use kvm_ioctls::{VcpuFd, VmFd};
use seccomp_policies::embed::Embedded;

use super::policies::vcpu::{POLICY, slot};
use super::shared::{ExitReason, Shared, VcpuState, Verdict};
use crate::confine::table::Placement;
use crate::confine::thread::{self, Failure, Started};
use crate::confine::{Farewell, Fenced, Fencing, Role, Unfenced, futex, signals};
use crate::devices::ports::Effect;
use crate::devices::serial::{Full, Raised};
use crate::devices::virtio::Asked;
use crate::machine::exit::{self, Exit};

/// The role.
#[derive(Debug)]
pub struct Vcpu;

impl Role for Vcpu {
    const POLICY: &'static Embedded = &POLICY;
}

/// What the thread takes with it: numbers in its parent's table.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    /// The KVM vCPU.
    pub vcpu: RawFd,
    /// Main's bell.
    pub main_bell: RawFd,
    /// The console's bell.
    pub console_bell: RawFd,
    /// io's bell.
    pub io_bell: RawFd,
    /// The serial port's irqfd.
    pub serial_irq: RawFd,
}

/// Starts the thread of vCPU `index`; it stops at the gate.
///
/// # Errors
/// [`thread::Error::Spawn`]
pub fn start(
    index: usize,
    fencing: Fencing,
    descriptors: Descriptors,
    vm: &'static VmFd,
    shared: &'static Shared,
) -> Result<Started, thread::Error> {
    let body = move |unfenced| become_vcpu(unfenced, index, descriptors, vm, shared);
    thread::start::<Vcpu>(format!("rf-vcpu{index}"), fencing, body)
}

fn become_vcpu(
    unfenced: Unfenced<Vcpu>,
    index: usize,
    descriptors: Descriptors,
    vm: &'static VmFd,
    shared: &'static Shared,
) -> Result<Infallible, Failure> {
    let placements = [
        Placement { from: descriptors.vcpu, slot: slot::VCPU },
        Placement { from: descriptors.main_bell, slot: slot::MAIN_BELL },
        Placement { from: descriptors.console_bell, slot: slot::CONSOLE_BELL },
        Placement { from: descriptors.io_bell, slot: slot::IO_BELL },
        Placement { from: descriptors.serial_irq, slot: slot::SERIAL_IRQ },
    ];
    // SAFETY: this thread has brought numbers alone; `vm` is used for the size of kvm_run, not for its descriptor.
    let slotted = unsafe { unfenced.own_table(&placements, Farewell::RingMain(slot::MAIN_BELL)) }?;
    // SAFETY: the slot holds a vCPU of this VM, and this value is its only owner in this thread's table.
    let vcpu = unsafe { vm.create_vcpu_from_rawfd(slot::VCPU) }?;
    signals::unblock_kick();
    let fenced = slotted.fence()?;
    let cpu = Cpu { fenced, shared, state: &shared.vcpus[index] };
    cpu.run(vcpu)
}

/// A vCPU thread under its filter.
struct Cpu {
    fenced: Fenced<Vcpu>,
    shared: &'static Shared,
    state: &'static VcpuState,
}

impl Cpu {
    fn run(&self, mut vcpu: VcpuFd) -> ! {
        self.state.wait_at_gate();
        loop {
            let (reason, effect) = match exit::run(&mut vcpu) {
                Exit::Interrupted => {
                    if self.state.pause_wanted() {
                        // Main made KVM_RUN come back at once, and takes that back before it opens the gate.
                        self.state.wait_at_gate();
                    }
                    continue;
                }
                Exit::PortOut { port, size, data } => (ExitReason::PortOut, self.port_out(port, size, data)),
                Exit::PortIn { port, size, data } => {
                    self.port_in(port, size, data);
                    (ExitReason::PortIn, None)
                }
                Exit::MmioRead { address, data } => {
                    self.shared.windows.read(address, data);
                    (ExitReason::MmioRead, None)
                }
                Exit::MmioWrite { address, data } => {
                    self.memory_write(address, data);
                    (ExitReason::MmioWrite, None)
                }
                Exit::Ended(end) => (ExitReason::End, Some(Verdict::Machine(end))),
            };
            self.state.count_exit(reason);
            #[cfg(feature = "provoke")]
            crate::confine::provoke::act(&self.fenced.record().name, self.state.exits());
            if let Some(verdict) = effect {
                self.end(verdict);
            }
        }
    }

    /// One `out`, or one batch of a `rep outs`: elements of `size` bytes, all to the same port.
    fn port_out(&self, port: u16, size: u8, data: &[u8]) -> Option<Verdict> {
        for element in data.chunks(usize::from(size.max(1))) {
            for (port, &value) in ports_from(port).zip(element) {
                match self.write(port, value) {
                    Effect::Continue => {}
                    Effect::Reset => return Some(Verdict::Reset),
                    Effect::PowerOff => return Some(Verdict::PowerOff),
                    Effect::GuestPanic => return Some(Verdict::GuestPanic),
                    Effect::Exit(value) => return Some(Verdict::ExitPort(value)),
                }
            }
        }
        None
    }

    fn port_in(&self, port: u16, size: u8, data: &mut [u8]) {
        for element in data.chunks_mut(usize::from(size.max(1))) {
            for (port, value) in ports_from(port).zip(element) {
                let (read, raised) = self.shared.ports.read(port);
                *value = read;
                self.ring(raised);
            }
        }
    }

    /// Output that finds no room makes the guest wait, not the other threads.
    fn write(&self, port: u16, value: u8) -> Effect {
        loop {
            match self.shared.ports.write(port, value) {
                Ok((effect, raised)) => {
                    self.ring(raised);
                    return effect;
                }
                Err(Full) => {
                    if let Some((word, seen)) = self.shared.output.want_room() {
                        futex::wait(word, seen);
                    }
                }
            }
        }
    }

    /// A register of a device. What needs memory or a call is io's to do, while the guest waits here.
    fn memory_write(&self, address: u64, data: &[u8]) {
        if self.shared.boot_timer.as_ref().is_some_and(|timer| timer.write(address, data)) {
            self.fenced.slot(slot::MAIN_BELL).ring();
        }
        while let Some((transport, asked)) = self.shared.windows.write(address, data) {
            if asked == Asked::Settle {
                self.fenced.slot(slot::IO_BELL).ring();
            }
            while let Some((word, seen)) = transport.unsettled() {
                futex::wait(word, seen);
            }
            if asked == Asked::Settle {
                return;
            }
        }
    }

    fn ring(&self, raised: Raised) {
        if raised.output {
            self.fenced.slot(slot::CONSOLE_BELL).ring();
        }
        if raised.interrupt {
            self.fenced.slot(slot::SERIAL_IRQ).ring();
        }
        if raised.input {
            self.fenced.slot(slot::IO_BELL).ring();
        }
    }

    fn end(&self, verdict: Verdict) -> ! {
        self.state.end(verdict);
        self.fenced.slot(slot::MAIN_BELL).ring();
        futex::park()
    }
}

/// The port itself and those above it, which the further bytes of a wide access meet.
fn ports_from(port: u16) -> impl Iterator<Item = u16> {
    (0..).map(move |offset| port.wrapping_add(offset))
}
