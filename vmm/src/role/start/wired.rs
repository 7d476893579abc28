//! A machine with its devices wired to it, before any of its threads is born.

use kvm_ioctls::{VcpuFd, VmFd};
use vm_memory::GuestMemoryMmap;

use super::birth::Birth;
use super::{Error, IoThreads, prepare};
use crate::devices::boot_timer::BootTimer;
use crate::devices::ports::Ports;
use crate::devices::serial::Serial;
use crate::machine::{Machine, layout};
use crate::report::QuirkNote;
use crate::role::devices::{Devices, Wiring};
use crate::role::shared::{OUTPUT, Shared};
use crate::role::terminal;

/// The machine.
#[derive(Debug)]
pub(super) struct Wired {
    pub(super) vcpus: Vec<VcpuFd>,
    pub(super) vm: &'static VmFd,
    pub(super) memory: &'static GuestMemoryMmap,
    pub(super) wiring: Wiring,
    /// There is a console device, whose output goes by the console's ring.
    pub(super) console: bool,
    pub(super) shared: &'static Shared,
    pub(super) quirk: Option<QuirkNote>,
    /// Standard input is a terminal, in raw mode now.
    pub(super) terminal: bool,
}

impl Wired {
    /// # Errors
    /// [`Error::Prepare`], [`Error::Device`]
    pub(super) fn new(machine: Machine, mut devices: Devices, birth: &Birth) -> Result<Self, Error> {
        let quirk = machine
            .quirk
            .map(|quirk| QuirkNote { name: quirk.name(), added: machine.command_line.added.clone() });
        let terminal = prepare("preparing the terminal", terminal::prepare())?;
        birth.bells.register(&machine.vm)?;
        // The VM lives as long as the process. Main keeps its descriptor, at a slot that this value does not know.
        let vm: &'static VmFd = Box::leak(Box::new(machine.vm));
        // So does its memory, whose owner would unmap it.
        let memory = Box::leak(Box::new(machine.memory));
        let console = devices.console;
        if birth.settings.io_threads == IoThreads::Disks {
            devices.disks.iter_mut().for_each(|disk| disk.own_thread = true);
        }
        let wiring = Wiring::new(devices, vm)?;
        let ports = Ports::new(Serial::new(&OUTPUT), birth.settings.extras);
        let (windows, balloon) = (wiring.windows(), wiring.balloon());
        let boot_timer = birth.settings.boot_timer.then(|| BootTimer::new(layout::BOOT_TIMER));
        let (vcpus, own_threads) = (machine.vcpus.len(), wiring.own_threads());
        let shared = Shared::new(vcpus, &OUTPUT, ports, windows, boot_timer, balloon, own_threads);
        Ok(Self { vcpus: machine.vcpus, vm, memory, wiring, console, shared, quirk, terminal })
    }
}
