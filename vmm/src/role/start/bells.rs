//! Eventfds by which the threads of a run wake each other.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use kvm_ioctls::VmFd;
use rustix::event::{EventfdFlags, eventfd};
use vmm_sys_util::eventfd::EventFd;

use super::{Error, prepare};
use crate::devices::{i8042, serial};
use crate::role::{console, io as io_role, serving, vcpu};

/// Eventfds of a run, in main's first table.
#[derive(Debug)]
pub(super) struct Bells {
    pub(super) main: OwnedFd,
    pub(super) console: EventFd,
    pub(super) io: EventFd,
    pub(super) room: EventFd,
    pub(super) serial_irq: EventFd,
    pub(super) keyboard_irq: Option<EventFd>,
}

impl Bells {
    pub(super) fn new(keyboard: bool) -> Result<Self, Error> {
        Ok(Self {
            main: prepare("eventfd", eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))?,
            // The console has no other way to wait than to read.
            console: bell(0)?,
            io: bell(libc::EFD_NONBLOCK)?,
            room: bell(libc::EFD_NONBLOCK)?,
            serial_irq: bell(libc::EFD_NONBLOCK)?,
            keyboard_irq: keyboard.then(|| bell(libc::EFD_NONBLOCK)).transpose()?,
        })
    }

    /// Tells KVM which of them raise which lines.
    pub(super) fn register(&self, vm: &VmFd) -> Result<(), Error> {
        let register = |what, bell, line| {
            let registered = vm.register_irqfd(bell, line);
            prepare(what, registered.map_err(|errno| io::Error::from_raw_os_error(errno.errno())))
        };
        register("registering the serial port's irqfd", &self.serial_irq, serial::IRQ)?;
        self.keyboard_irq
            .iter()
            .try_for_each(|bell| register("registering the keyboard's irqfd", bell, i8042::IRQ))
    }

    /// What console gets of them.
    pub(super) fn of_console(&self) -> console::Descriptors {
        console::Descriptors {
            stdout: libc::STDOUT_FILENO,
            bell: self.console.as_raw_fd(),
            room: self.room.as_raw_fd(),
        }
    }

    /// What io gets of them.
    pub(super) fn of_io(
        &self,
        has_console: bool,
        main_socket: Option<RawFd>,
        timer: Option<RawFd>,
    ) -> io_role::Descriptors {
        io_role::Descriptors {
            serving: serving::Descriptors {
                bell: self.io.as_raw_fd(),
                main_bell: self.main.as_raw_fd(),
                main_socket,
                timer,
            },
            stdin: libc::STDIN_FILENO,
            room: self.room.as_raw_fd(),
            serial_irq: self.serial_irq.as_raw_fd(),
            keyboard_irq: self.keyboard_irq.as_ref().map(AsRawFd::as_raw_fd),
            console_bell: has_console.then(|| self.console.as_raw_fd()),
        }
    }

    /// What vcpu gets of them.
    pub(super) fn of_vcpu(&self, vcpu: RawFd) -> vcpu::Descriptors {
        vcpu::Descriptors {
            vcpu,
            main_bell: self.main.as_raw_fd(),
            console_bell: self.console.as_raw_fd(),
            io_bell: self.io.as_raw_fd(),
            serial_irq: self.serial_irq.as_raw_fd(),
        }
    }
}

/// One eventfd.
pub(super) fn bell(flags: libc::c_int) -> Result<EventFd, Error> {
    prepare("eventfd", EventFd::new(flags | libc::EFD_CLOEXEC))
}
