//! Threads in their order, and main's own fence last.

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use kvm_ioctls::VcpuFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use super::bells::Bells;
use super::disks::Disk;
use super::served::Serving;
use super::wired::Wired;
use super::{Api, Error, Settings, prepare};
use crate::confine::thread::Started;
use crate::confine::{Record, panic, signals, sigsys};
use crate::devices::ports::{Extras, Ports};
use crate::devices::serial::Serial;
use crate::devices::virtio::Windows;
use crate::machine::layout;
use crate::report::{Cause, Ended};
use crate::role::calls::Points;
use crate::role::main::{self, Begun, GuestTime, Moment, Monitor, Subject};
use crate::role::shared::{OUTPUT, Shared};
use crate::role::{console, io as io_role, vcpu};

/// Main before the threads of a machine are born.
#[derive(Debug)]
pub(super) struct Birth {
    pub(super) settings: Settings,
    points: Result<Points, String>,
    pub(super) bells: Bells,
    pub(super) signals: OwnedFd,
    begun: Begun,
    record: &'static Record,
    pub(super) serving: Option<Serving>,
    /// When somebody wanted the machine.
    pub(super) started: Moment,
}

impl Birth {
    /// From here on signals end the run in good order. With an API its thread is born, and clients can connect.
    pub(super) fn begin(
        settings: Settings,
        points: Result<Points, String>,
        api: Option<Api>,
        started: Moment,
    ) -> Result<Self, Error> {
        signals::block_all();
        signals::know_process();
        prepare("installing the SIGSYS handler", sigsys::handle())?;
        prepare("installing the handler of the vCPUs' kick", signals::handle_kick())?;
        panic::hook();
        let bells = Bells::new(settings.extras.keyboard)?;
        let signals = prepare("signalfd", signals::ending_signals())?;
        let (begun, record) = Begun::new(settings.fencing, api.is_some());
        let serving = api.map(|api| Serving::start(api, settings.fencing, &bells)).transpose()?;
        Ok(Self { settings, points, bells, signals, begun, record, serving, started })
    }

    /// Gives birth to the threads of the machine, and fences this one.
    pub(super) fn start(self, wired: Wired) -> Result<Monitor, Error> {
        let fencing = self.settings.fencing;
        let Wired { vcpus, vm, memory, wiring, console: has_console, shared, quirk, terminal } = wired;
        let console = console::start(fencing, self.bells.of_console(), shared)?;
        let mut devices = wiring.descriptors();
        let disks = Disk::take(&mut devices, memory, shared, self.serving.is_some())?;
        let elsewhere = disks.iter().map(Disk::elsewhere).collect();
        let work = io_role::Work { terminal, shared, memory, devices, elsewhere };
        let main_socket = self.serving.as_ref().map(|serving| serving.main_socket.as_raw_fd());
        let io = io_role::start(fencing, self.bells.of_io(has_console, main_socket, wiring.timer()), work)?;
        let mut threads = vec![io, console];
        for disk in &disks {
            threads.push(disk.start(fencing, &self.bells)?);
        }
        for (index, vcpu) in vcpus.iter().enumerate() {
            threads.push(vcpu::start(index, fencing, self.bells.of_vcpu(vcpu.as_raw_fd()), vm, shared)?);
        }
        // Every thread has its own table now, so that main may change its own.
        threads.iter().try_for_each(Started::wait_fenced)?;
        let console_exit = watch_thread(threads[1].record.tid())?;
        let descriptors = main::Descriptors {
            console_exit: console_exit.as_ref().map(AsRawFd::as_raw_fd),
            vm: Some(vm.as_raw_fd()),
            vcpus: vcpus.into_iter().map(own_number).collect::<Result<_, _>>()?,
            io_bell: self.serving.as_ref().map(|_| self.bells.io.as_raw_fd()),
            io_socket: self.serving.as_ref().map(|serving| serving.io_socket.as_raw_fd()),
            disk_sockets: disks.iter().filter_map(Disk::socket).collect(),
            ..self.descriptors()
        };
        let guest_time = self.settings.observer.has_metrics().then(GuestTime::open).flatten();
        let descriptors =
            main::Descriptors { guest_time: guest_time.as_ref().map(GuestTime::number), ..descriptors };
        let mut subject = Subject {
            vm: Some(vm),
            shared,
            records: threads.iter().map(|thread| thread.record).collect(),
            fencing,
            quirk,
            service: None,
            started: self.started,
            disks: wiring.disks(),
            devices: wiring.published(),
        };
        if let Some(report) = &self.settings.report {
            // Only now is there something to put in the place of an older report. A pipe has no length to set.
            let _ = report.set_len(0);
        }
        self.fence(&descriptors, &mut subject, (wiring, disks, console_exit, guest_time))
    }

    /// Fences this thread without a machine, to say what ended the run.
    pub(super) fn end(self, cause: Cause) -> Result<Ended, Error> {
        let ports = Ports::new(Serial::new(&OUTPUT), Extras::default());
        let windows = Windows::new(layout::VIRTIO, layout::VIRTIO_WINDOW, Vec::new());
        let mut subject = Subject {
            vm: None,
            shared: Shared::new(0, &OUTPUT, ports, windows, None, None, []),
            records: Vec::new(),
            fencing: self.settings.fencing,
            quirk: None,
            service: None,
            started: self.started,
            disks: Vec::new(),
            devices: Vec::new(),
        };
        let descriptors = self.descriptors();
        Ok(self.fence(&descriptors, &mut subject, ())?.never_started(cause))
    }

    /// What main keeps in any case.
    fn descriptors(&self) -> main::Descriptors {
        main::Descriptors {
            bell: self.bells.main.as_raw_fd(),
            signals: self.signals.as_raw_fd(),
            console_exit: None,
            report: self.settings.report.as_ref().map(AsRawFd::as_raw_fd),
            vm: None,
            vcpus: Vec::new(),
            api_bell: self.serving.as_ref().map(|serving| serving.bell.as_raw_fd()),
            io_bell: None,
            io_socket: None,
            disk_sockets: Vec::new(),
            observed: self.settings.observer.numbers(),
            guest_time: None,
        }
    }

    /// `owners`: of further descriptors of main's first table.
    fn fence<T>(
        self,
        descriptors: &main::Descriptors,
        subject: &mut Subject,
        owners: T,
    ) -> Result<Monitor, Error> {
        let Self { settings, points, bells, signals, begun, record, serving, .. } = self;
        let (service, api, served) = serving
            .map(Serving::into_parts)
            .map_or((None, None, None), |(service, api, owners)| (Some(service), Some(api), Some(owners)));
        let seated = main::take_slots(begun, descriptors, settings.json);
        // Their numbers mean something else from here on, or nothing, and they would close them: also after an error.
        std::mem::forget((bells, signals, served, owners, settings.report));
        let seated = seated?;
        let records = std::iter::once(record).chain(api).chain(subject.records.drain(..)).collect();
        let (disks, devices) = (std::mem::take(&mut subject.disks), std::mem::take(&mut subject.devices));
        let subject = Subject { records, service, disks, devices, quirk: subject.quirk.take(), ..*subject };
        Ok(Monitor::fence(seated, subject, (points, settings.eyes), settings.observer)?)
    }
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
