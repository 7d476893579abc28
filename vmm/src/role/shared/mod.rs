//! What the threads of a run share: devices, the output ring, and a word or two by which they tell each other
//! what happened. Descriptors are not among it; each thread has its own.
#![forbid(unsafe_code)]

pub mod desk;
mod io;
mod vcpu;

use std::sync::atomic::AtomicBool;

use self::desk::Change;
pub use self::io::{IoState, IoThread};
pub use self::vcpu::{ExitReason, Place, VcpuState, Verdict};
use crate::devices::boot_timer::BootTimer;
use crate::devices::output::Output;
use crate::devices::ports::Ports;
use crate::devices::virtio::Windows;
use crate::devices::virtio::balloon::Handle;

/// The guest's serial output on its way to the console thread. A process runs one guest.
pub(super) static OUTPUT: Output = Output::new();

/// What main asks of a thread.
const PAUSE: u32 = 0;
const RUN: u32 = 1;

/// The shared state of one run. Lives as long as the process.
#[derive(Debug)]
pub struct Shared {
    /// The guest's serial output on its way to the console thread.
    pub output: &'static Output,
    /// The devices that the guest meets by port I/O.
    pub ports: Ports,
    /// The devices that it meets in memory.
    pub windows: Windows,
    /// The boot timer, if it was asked for.
    pub boot_timer: Option<BootTimer>,
    /// The memory balloon, if there is one.
    pub balloon: Option<Handle>,
    /// One for each vCPU.
    pub vcpus: Vec<VcpuState>,
    /// io's.
    pub io: IoThread,
    /// One for each disk that has a thread of its own, in the place of that disk.
    pub disks: Vec<Option<IoThread>>,
    /// The user typed the escape sequence.
    pub left: AtomicBool,
}

impl Shared {
    /// The state of a machine with `vcpus` vCPUs that has not started. `disks`: for each whether it has a thread of its own.
    pub fn new(
        vcpus: usize,
        output: &'static Output,
        ports: Ports,
        windows: Windows,
        boot_timer: Option<BootTimer>,
        balloon: Option<Handle>,
        disks: impl IntoIterator<Item = bool>,
    ) -> &'static Self {
        let vcpus = (0..vcpus).map(|_| VcpuState::default()).collect();
        let disks = disks.into_iter().map(|has_thread| has_thread.then(IoThread::default)).collect();
        let left = AtomicBool::new(false);
        let io = IoThread::default();
        Box::leak(Box::new(Self { output, ports, windows, boot_timer, balloon, vcpus, io, disks, left }))
    }

    /// The thread of its own that a disk has.
    pub fn thread_of_disk(&self, index: u8) -> Option<&IoThread> {
        self.disks.get(usize::from(index))?.as_ref()
    }

    /// The thread that has the device of a change.
    pub fn thread_of(&self, change: &Change) -> &IoThread {
        let own = match *change {
            Change::Disk { index, .. } => self.thread_of_disk(index),
            Change::Interface { .. } => None,
        };
        own.unwrap_or(&self.io)
    }

    /// Every thread that serves devices, io first.
    pub fn io_threads(&self) -> impl Iterator<Item = &IoThread> {
        std::iter::once(&self.io).chain(self.disks.iter().flatten())
    }
}
