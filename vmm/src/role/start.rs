//! The birth of a run: descriptors, threads in their order, main's own fence last, then the gate opens.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use kvm_ioctls::{VcpuFd, VmFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use vmm_sys_util::eventfd::EventFd;

use super::calls::Points;
use super::devices::{self, Devices, Wiring};
use super::main::{self, Main, Monitor};
use super::policies;
use super::shared::{OUTPUT, Shared};
use super::{console, io as io_role, terminal, vcpu};
use crate::confine::thread::{self, Started};
use crate::confine::{self, Fencing, panic, signals, sigsys};
use crate::devices::i8042;
use crate::devices::ports::{Extras, Ports};
use crate::devices::serial::{self, Serial};
use crate::machine::{BuildError, Config, Machine};
use crate::report::{Ended, QuirkNote};

/// How a run is held and watched.
#[derive(Debug)]
pub struct Settings {
    /// `--tier` and `--on-violation`.
    pub fencing: Fencing,
    /// Which ports the guest has beyond those of every machine.
    pub extras: Extras,
    /// The virtio devices that it has: as many as the machine's configuration counts.
    pub devices: Devices,
    /// Whether the threads' calls are counted.
    pub count_calls: bool,
    /// Whether the user wants words or JSON, for the words that main says itself when it cannot go on.
    pub json: bool,
    /// An open file for the report, which main keeps.
    pub report: Option<File>,
}

/// Why a run did not come to be. No guest code has run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine could not be built.
    #[error(transparent)]
    Machine(#[from] BuildError),
    /// A descriptor or a handler could not be made.
    #[error("{what} failed before the guest started: {source}{}", remedy(source))]
    Prepare {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A device could not be wired.
    #[error(transparent)]
    Device(#[from] devices::Error),
    /// A thread could not be made or fenced.
    #[error(transparent)]
    Thread(#[from] thread::Error),
    /// Main could not be fenced.
    #[error("the main thread could not take on its role: {0}")]
    Main(#[from] confine::fence::Error),
}

fn remedy(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "; raise the limit of open files (ulimit -n)",
        Some(Errno::NFILE) => "; the whole system has too many open files (/proc/sys/fs/file-max)",
        _ => "",
    }
}

fn prepare<T, E: Into<io::Error>>(what: &'static str, result: Result<T, E>) -> Result<T, Error> {
    result.map_err(|source| Error::Prepare { what, source: source.into() })
}

/// Eventfds of a run, in main's first table.
#[derive(Debug)]
struct Bells {
    main: EventFd,
    console: EventFd,
    io: EventFd,
    room: EventFd,
    serial_irq: EventFd,
    keyboard_irq: Option<EventFd>,
}

impl Bells {
    fn new(keyboard: bool) -> Result<Self, Error> {
        let bell = |flags| prepare("eventfd", EventFd::new(flags | libc::EFD_CLOEXEC));
        Ok(Self {
            main: bell(libc::EFD_NONBLOCK)?,
            // The console has no other way to wait than to read.
            console: bell(0)?,
            io: bell(libc::EFD_NONBLOCK)?,
            room: bell(libc::EFD_NONBLOCK)?,
            serial_irq: bell(libc::EFD_NONBLOCK)?,
            keyboard_irq: keyboard.then(|| bell(libc::EFD_NONBLOCK)).transpose()?,
        })
    }

    /// Tells KVM which of them raise which lines.
    fn register(&self, vm: &VmFd) -> Result<(), Error> {
        let register = |what, bell, line| {
            let registered = vm.register_irqfd(bell, line);
            prepare(what, registered.map_err(|errno| io::Error::from_raw_os_error(errno.errno())))
        };
        register("registering the serial port's irqfd", &self.serial_irq, serial::IRQ)?;
        self.keyboard_irq
            .iter()
            .try_for_each(|bell| register("registering the keyboard's irqfd", bell, i8042::IRQ))
    }
}

/// Runs a machine to its end. Afterwards the calling thread is fenced: it may write its report and end the process
/// by [`confine::end_process`], after [`terminal::restore_stdout`], and nothing else.
///
/// # Errors
/// See [`Error`]. After an error the calling thread is not fenced, but the process may have fenced threads, which
/// wait for its end.
pub fn run(config: &Config, settings: Settings) -> Result<Ended, Error> {
    confine::reserve::use_heap_alone();
    let points = look_up_points(settings.count_calls);
    // Signals still do what they usually do: reading a large kernel can be interrupted.
    let machine = Machine::build(config)?;
    signals::block_all();
    signals::know_process();
    prepare("installing the SIGSYS handler", sigsys::handle())?;
    prepare("installing the handler of the vCPUs' kick", signals::handle_kick())?;
    panic::hook();
    let result = start(machine, settings, points).map(Monitor::attend);
    // Before the first message, which expects a terminal in its usual mode.
    terminal::restore();
    result
}

fn look_up_points(wanted: bool) -> Result<Points, String> {
    if !wanted {
        return Err("not asked for; --count-calls does".into());
    }
    Points::look_up(policies::ALL.iter().flat_map(|policy| policy.calls.iter().map(|&(_, name)| name)))
        .map_err(|error| error.to_string())
}

fn start(machine: Machine, settings: Settings, points: Result<Points, String>) -> Result<Monitor, Error> {
    let fencing = settings.fencing;
    let quirk = machine
        .quirk
        .map(|quirk| QuirkNote { name: quirk.name(), added: machine.command_line.added.clone() });
    let bells = Bells::new(settings.extras.keyboard)?;
    let is_terminal = prepare("preparing the terminal", terminal::prepare())?;
    bells.register(&machine.vm)?;
    let signals = prepare("signalfd", signals::ending_signals())?;
    // The VM lives as long as the process. Main keeps its descriptor, at a slot that this value does not know.
    let vm: &'static VmFd = Box::leak(Box::new(machine.vm));
    // So does its memory, whose owner would unmap it.
    let memory = Box::leak(Box::new(machine.memory));
    let has_console = settings.devices.console;
    let wiring = Wiring::new(settings.devices, vm)?;
    let output = &OUTPUT;
    let ports = Ports::new(Serial::new(output), settings.extras);
    let shared = Shared::new(machine.vcpus.len(), output, ports, wiring.windows());

    let (unfenced, main_record) = thread::first::<Main>("rf-main", fencing);
    let console = console::start(fencing, console_descriptors(&bells), shared)?;
    let work = io_role::Work {
        terminal: is_terminal,
        shared,
        memory,
        devices: wiring.descriptors(),
        timer: wiring.timer(),
    };
    let io = io_role::start(fencing, io_descriptors(&bells, has_console), work)?;
    let mut threads = vec![io, console];
    for (index, vcpu) in machine.vcpus.iter().enumerate() {
        threads.push(vcpu::start(index, fencing, vcpu_descriptors(&bells, vcpu.as_raw_fd()), vm, shared)?);
    }
    // Every thread has its own table now, so that main may change its own.
    threads.iter().try_for_each(Started::wait_fenced)?;
    let console_exit = watch_thread(threads[1].record.tid())?;

    let descriptors = main::Descriptors {
        bell: bells.main.as_raw_fd(),
        signals: signals.as_raw_fd(),
        console_exit: console_exit.as_ref().map(AsRawFd::as_raw_fd),
        report: settings.report.as_ref().map(AsRawFd::as_raw_fd),
        vm: vm.as_raw_fd(),
        vcpus: machine.vcpus.into_iter().map(own_number).collect::<Result<_, _>>()?,
    };
    if let Some(report) = &settings.report {
        // Only now is there something to put in the place of an older report. A pipe has no length to set.
        let _ = report.set_len(0);
    }
    let placed = main::take_slots(unfenced, &descriptors, settings.json);
    // Their numbers mean something else from here on, or nothing, and they would close them: also after an error.
    std::mem::forget((bells, wiring, signals, console_exit, settings.report));
    let placed = placed?;
    let records = std::iter::once(main_record).chain(threads.iter().map(|thread| thread.record)).collect();
    Ok(Monitor::fence(placed, vm, shared, records, points, fencing, quirk)?)
}

/// A descriptor of the vCPU that nothing owns: the value that owned one, and a mapping, is dropped.
#[expect(clippy::needless_pass_by_value, reason = "it is taken to be dropped")]
fn own_number(vcpu: VcpuFd) -> Result<RawFd, Error> {
    // SAFETY: `vcpu` holds the number open for the length of this call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(vcpu.as_raw_fd()) };
    prepare("duplicating a vCPU's descriptor", rustix::io::dup(borrowed)).map(IntoRawFd::into_raw_fd)
}

/// `PIDFD_THREAD`, Linux `include/uapi/linux/pidfd.h`, since 6.9.
const PIDFD_THREAD: u32 = 0o200;

/// A descriptor that becomes readable when the thread ends; `None` on kernels that have none for threads.
fn watch_thread(tid: i32) -> Result<Option<OwnedFd>, Error> {
    let Some(tid) = Pid::from_raw(tid) else { return Ok(None) };
    match rustix::process::pidfd_open(tid, PidfdFlags::from_bits_retain(PIDFD_THREAD)) {
        Ok(descriptor) => Ok(Some(descriptor)),
        // No such thread any more: main finds that out by itself, as on a kernel without such descriptors.
        Err(Errno::INVAL | Errno::NOSYS | Errno::SRCH) => Ok(None),
        Err(errno) => prepare("pidfd_open", Err(errno)),
    }
}

fn console_descriptors(bells: &Bells) -> console::Descriptors {
    console::Descriptors {
        stdout: libc::STDOUT_FILENO,
        bell: bells.console.as_raw_fd(),
        room: bells.room.as_raw_fd(),
    }
}

fn io_descriptors(bells: &Bells, has_console: bool) -> io_role::Descriptors {
    io_role::Descriptors {
        stdin: libc::STDIN_FILENO,
        room: bells.room.as_raw_fd(),
        bell: bells.io.as_raw_fd(),
        main_bell: bells.main.as_raw_fd(),
        serial_irq: bells.serial_irq.as_raw_fd(),
        keyboard_irq: bells.keyboard_irq.as_ref().map(AsRawFd::as_raw_fd),
        console_bell: has_console.then(|| bells.console.as_raw_fd()),
    }
}

fn vcpu_descriptors(bells: &Bells, vcpu: RawFd) -> vcpu::Descriptors {
    vcpu::Descriptors {
        vcpu,
        main_bell: bells.main.as_raw_fd(),
        console_bell: bells.console.as_raw_fd(),
        io_bell: bells.io.as_raw_fd(),
        serial_irq: bells.serial_irq.as_raw_fd(),
    }
}
