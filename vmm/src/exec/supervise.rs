//! Watching over the program: its refused calls are answered, signals are passed on, and its end is waited for.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use seccomp_policies::action::Action;
use seccomp_policies::language::Policy;
use seccomp_policies::syscalls::{by_name, by_number};

use super::child::Child;
use super::listener::Notice;
use super::signals::Signals;
use super::{Ended, Error, Manner, Program, system, thread};
use crate::report::{Violation, exit_code};

/// Watches over the child until it has ended.
pub(super) fn supervise(
    child: Child,
    program: &Program,
    policy: &Policy,
    manner: Manner,
    signals: &Signals,
    say: &mut dyn FnMut(&Violation),
) -> Result<Ended, Error> {
    let mut watch = Watch {
        child,
        policy,
        manner,
        has_started: false,
        told: BTreeSet::new(),
        say,
        ended: Ended { code: 0, first: None, refused: 0 },
    };
    watch.until_the_end(signals)?;
    match watch.child.execute_error() {
        Some(source) => Err(Error::Execute { path: program.path.to_string_lossy().into_owned(), source }),
        None => Ok(watch.ended),
    }
}

struct Watch<'a> {
    child: Child,
    policy: &'a Policy,
    manner: Manner,
    /// Whether the call that starts the program has been let through.
    has_started: bool,
    /// The kinds of calls that `say` knows.
    told: BTreeSet<Kind>,
    say: &'a mut dyn FnMut(&Violation),
    ended: Ended,
}

/// What makes calls alike for a report: number and arguments, without addresses.
type Kind = (u32, [u64; 6]);

/// What becomes of a refused call.
enum Fate {
    CarryOut,
    Fail(u16),
    Refuse,
}

impl Watch<'_> {
    fn until_the_end(&mut self, signals: &Signals) -> Result<(), Error> {
        loop {
            let mut ready = [
                PollFd::new(&self.child.listener, PollFlags::IN),
                PollFd::new(signals, PollFlags::IN),
                PollFd::new(&self.child.handle, PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Err(Errno::INTR) => continue,
                outcome => outcome.map_err(system("poll"))?,
            };
            let [refused, signalled, ended] = ready.map(|ready| ready.revents().contains(PollFlags::IN));
            if refused
                && let Some(notice) =
                    self.child.listener.receive().map_err(system("SECCOMP_IOCTL_NOTIF_RECV"))?
            {
                self.answer(&notice)?;
            }
            if signalled {
                self.pass_on(signals);
            }
            if ended {
                return self.reap();
            }
        }
    }

    fn pass_on(&self, signals: &Signals) {
        while let Some(signal) = signals.next_sent() {
            if let Some(signal) = Signal::from_named_raw(signal) {
                // It may have ended just now.
                let _ = pidfd_send_signal(&self.child.handle, signal);
            }
        }
    }

    fn answer(&mut self, notice: &Notice) -> Result<(), Error> {
        let answered = match self.fate(notice) {
            Fate::CarryOut => self.child.listener.carry_out(notice),
            Fate::Fail(errno) => self.child.listener.fail(notice, errno),
            Fate::Refuse => self.refuse(notice),
        };
        answered.map_err(system("SECCOMP_IOCTL_NOTIF_SEND"))
    }

    fn fate(&mut self, notice: &Notice) -> Fate {
        if self.is_start(notice) {
            self.has_started = true;
            return Fate::CarryOut;
        }
        let rule = self.policy.matching_rule(&notice.call);
        match (self.policy.decide(&notice.call), rule, self.manner) {
            (Action::Allow, ..) | (Action::Log, Some(_), _) => Fate::CarryOut,
            // An errno rule is an answer that its writer chose; `otherwise` is what the manner takes the place of.
            (Action::Errno(errno), Some(_), _) | (Action::Errno(errno), None, Manner::End) => {
                Fate::Fail(errno)
            }
            _ => Fate::Refuse,
        }
    }

    /// Whether this is the call that starts the program: made by the child, with the very pointers that it was given,
    /// before anything else could run in it, and once.
    fn is_start(&self, notice: &Notice) -> bool {
        let execve = by_name(self.policy.arch, "execve").map(|call| call.number);
        !self.has_started
            && notice.tid == self.child.pid
            && notice.call.arch == self.policy.arch.audit_value()
            && Some(notice.call.number) == execve
            && notice.call.arguments[..3] == self.child.starting
    }

    fn refuse(&mut self, notice: &Notice) -> std::io::Result<()> {
        if self.child.execute_error().is_some() {
            // The program did not start, and the child may not even end itself.
            self.end(notice);
            return Ok(());
        }
        self.ended.refused += 1;
        let is_new = self.told.insert(self.kind(notice));
        let is_first = self.ended.first.is_none();
        if is_new && (is_first || self.manner == Manner::Report) {
            let violation = Violation::of_policy(thread::name(notice.tid), self.policy, notice.call);
            if self.manner != Manner::End {
                (self.say)(&violation);
            }
            self.ended.first.get_or_insert(violation);
        }
        match self.manner {
            Manner::End => {
                self.end(notice);
                Ok(())
            }
            Manner::Fail(errno) => self.child.listener.fail(notice, errno),
            Manner::Report => self.child.listener.carry_out(notice),
        }
    }

    fn kind(&self, notice: &Notice) -> Kind {
        let mut arguments = notice.call.arguments;
        let known = by_number(self.policy.arch, notice.call.number).map_or(&[][..], |call| call.arguments);
        for (index, register) in arguments.iter_mut().enumerate() {
            if known
                .get(index)
                .is_none_or(|argument| argument.is_pointer() || argument.name.starts_with("addr"))
            {
                *register = 0;
            }
        }
        (notice.call.number, arguments)
    }

    /// Ends the command, and the process that made the call: in this order, since a shell would go on with its next
    /// command. The caller is held by the kernel until it is ended.
    fn end(&self, notice: &Notice) {
        let _ = pidfd_send_signal(&self.child.handle, Signal::KILL);
        let process = thread::process(notice.tid).and_then(Pid::from_raw);
        if let Some(process) = process.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            // Only now is it sure that the number is still the caller's.
            && self.child.listener.is_waiting(notice)
        {
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    }

    fn reap(&mut self) -> Result<(), Error> {
        let status = waitid(WaitId::PidFd(self.child.handle.as_fd()), WaitIdOptions::EXITED);
        let status = status.map_err(system("waitid"))?;
        let signal = status.and_then(|status| status.terminating_signal());
        let code = status.and_then(|status| status.exit_status()).unwrap_or(0);
        let is_violation = self.manner == Manner::End && self.ended.first.is_some();
        self.ended.code = match signal {
            _ if is_violation => exit_code::VIOLATION,
            Some(signal) => exit_code::by_signal(signal),
            // The kernel keeps the lowest byte.
            None => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
        };
        Ok(())
    }
}
