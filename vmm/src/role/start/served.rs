//! The API's thread, and its requests until a machine is started.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::time::{TimerfdClockId, TimerfdFlags};
use vmm_sys_util::eventfd::EventFd;

use super::bells::{Bells, bell};
use super::birth::Birth;
use super::wired::Wired;
use super::{Api, Error, Plan, prepare};
use crate::api::model::Configuration;
use crate::confine::thread::Started;
use crate::confine::{Fencing, Record, signals};
use crate::machine::Machine;
use crate::report::{Cause, Ended};
use crate::role::api::{self, Socket};
use crate::role::exchange::Exchange;
use crate::role::main::{Moment, Monitor, Served, Service, cause_of};

/// The API's thread, as main has it.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) bell: EventFd,
    /// By which main sends io files.
    pub(super) io_socket: OwnedFd,
    /// io's end of it.
    pub(super) main_socket: OwnedFd,
    service: Service,
    thread: Started,
    socket: Socket,
    timer: OwnedFd,
}

/// What owns the descriptors of which the thread has its own.
pub(super) type Owners = (Socket, [OwnedFd; 3]);

impl Serving {
    /// Gives birth to the thread. Nobody can connect before it is under its filter.
    pub(super) fn start(api: Api, fencing: Fencing, bells: &Bells) -> Result<Self, Error> {
        use std::os::fd::AsRawFd as _;

        let Api { socket, limits, machine } = api;
        let exchange = Exchange::new();
        let bell = bell(libc::EFD_NONBLOCK)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer =
            prepare("timerfd_create", rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags))?;
        let descriptors = api::Descriptors {
            bell: bell.as_raw_fd(),
            main_bell: bells.main.as_raw_fd(),
            listener: socket.as_raw_fd(),
            timer: timer.as_raw_fd(),
        };
        let thread = api::start(fencing, descriptors, limits, exchange)?;
        thread.wait_fenced()?;
        socket.listen()?;
        prepare("ringing the API's thread", bell.write(1))?;
        let (io_socket, main_socket) = prepare("socketpair", sockets())?;
        let service = Service::new(exchange, machine);
        Ok(Self { bell, io_socket, main_socket, service, thread, socket, timer })
    }

    /// What outlives the birth: the service, the thread's record, and what owns descriptors.
    pub(super) fn into_parts(self) -> (Service, &'static Record, (EventFd, Owners)) {
        let owners = (self.socket, [self.timer, self.io_socket, self.main_socket]);
        (self.service, self.thread.record, (self.bell, owners))
    }

    fn ring(&self) {
        // A count that nobody has read for 2^64 rings is the only error.
        let _ = self.bell.write(1);
    }
}

/// Messages, of which each has a file.
pub(super) fn sockets() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// What ends the time before the start.
enum Next {
    Start(Box<Wired>),
    End(Cause),
}

impl Birth {
    /// Serves the API until a client starts a machine, then runs that to its end.
    pub(super) fn serve(mut self, plan: Plan<'_>) -> Result<Ended, Error> {
        match self.wait_for_start(plan) {
            Next::Start(wired) => self.start(*wired).map(Monitor::attend),
            Next::End(cause) => self.end(cause),
        }
    }

    fn wait_for_start(&mut self, plan: Plan<'_>) -> Next {
        loop {
            self.wait_for_event();
            if let Some(cause) = self.cause() {
                return Next::End(cause);
            }
            let Some(serving) = &mut self.serving else { continue };
            match serving.service.serve_unstarted(&mut self.settings.observer) {
                Served::Nothing => {}
                Served::Answered => serving.ring(),
                Served::Start(configuration) => {
                    self.started = Moment::now();
                    match self.build(*configuration, plan) {
                        Ok(wired) => return Next::Start(Box::new(wired)),
                        Err(why) => self.refuse_start(&why),
                    }
                }
            }
        }
    }

    fn wait_for_event(&self) {
        let mut polled =
            [PollFd::new(&self.bells.main, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
        // An interrupted wait is a reason to look, like any other.
        let _ = rustix::event::poll(&mut polled, None);
        let _ = rustix::io::read(&self.bells.main, &mut [0; 8]);
    }

    fn cause(&self) -> Option<Cause> {
        let mut siginfo = [0; signals::SIGNALFD_SIGINFO_BYTES];
        let signal = rustix::io::read(&self.signals, &mut siginfo).map(|_| signals::number_in(&siginfo));
        let api = self.serving.as_ref().and_then(|serving| cause_of(serving.thread.record));
        api.or(signal.ok().map(Cause::Signal))
    }

    /// Whatever fails here leaves nothing behind but the words about it.
    fn build(&self, configuration: Configuration, plan: Plan<'_>) -> Result<Wired, String> {
        let (config, devices) = plan(configuration)?;
        let machine = Machine::build(&config).map_err(|error| error.to_string())?;
        Wired::new(machine, devices, self).map_err(|error| error.to_string())
    }

    fn refuse_start(&mut self, why: &str) {
        if let Some(serving) = &mut self.serving {
            serving.service.refuse_start(why, &mut self.settings.observer);
            serving.ring();
        }
    }
}
