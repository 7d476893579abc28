//! What the threads of a command, or of a process that runs, ask of the kernel, with the arguments.
//!
//! By tracepoints, where the user may: nobody is stopped. Else by ptrace, which needs no privileges over one's own
//! processes and makes them many times slower. A thread that confines itself has what it called before that kept
//! apart.

mod child;
mod event;
mod gather;
mod objects;
mod only;
mod perf;
mod ptrace;
mod roles;

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::ExitStatus;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use seccomp_policies::learn::Recording;
use seccomp_policies::syscalls::Arch;

use self::child::Held;
use self::gather::Gatherer;
use self::perf::Tracepoints;
use self::ptrace::Watched;
use super::live::process::{self, Mode, Process};
use crate::exec::Signals;
use crate::observe::Utc;
use crate::tracepoint;

pub use gather::{Group, Grouping};
pub use only::Only;
pub use roles::{group, policies_of};

/// How calls are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// The kernel's tracepoints, in ring buffers
    Tracepoints,
    /// A stop of the thread at each call
    Ptrace,
}

impl By {
    /// As a recording has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoints => "tracepoints",
            Self::Ptrace => "ptrace",
        }
    }
}

/// What was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// The calls.
    pub recording: Recording,
    /// How many calls had the numbers of another architecture (32-bit), and were left out.
    pub foreign: u64,
    /// How the command ended.
    pub ended: Option<ExitStatus>,
    /// Why it was not by tracepoints.
    pub why_not_tracepoints: Option<String>,
}

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line has none.
    #[error("there is no command to run; give one after --")]
    NoCommand,
    /// The command did not start.
    #[error("cannot run {}: {source}", name.display())]
    Start {
        /// Its name.
        name: OsString,
        /// The system's reason.
        source: io::Error,
    },
    /// The process cannot be seen.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A 32-bit program.
    #[error(
        "process {pid} runs a 32-bit program, whose calls have other numbers: its policy cannot be learned"
    )]
    Is32Bit {
        /// The process.
        pid: i32,
    },
    /// No tracepoints.
    #[error(transparent)]
    Tracepoint(#[from] tracepoint::Error),
    /// The kernel did not open one.
    #[error(
        "perf_event_open failed ({0}); run as root, or see perf_event_paranoid in ringfence doctor; --by ptrace does without"
    )]
    Open(#[source] io::Error),
    /// The kernel does not let us trace.
    #[error(
        "ptrace is refused ({0}); a process has one tracer, and /proc/sys/kernel/yama/ptrace_scope may keep others away; \
         run as root, or start the command here"
    )]
    Ptrace(#[source] io::Error),
    /// Something that every Linux has failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

/// How long to sleep where nothing has happened: by ptrace the program waits as long at each call.
const PAUSE: Duration = Duration::from_micros(50);

/// How often rings are looked into that nobody was woken for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whom to watch.
struct Watch<'a> {
    signals: Signals,
    gatherer: Gatherer<'a>,
    /// Becomes readable when the process has ended.
    handle: OwnedFd,
    pid: i32,
    deadline: Option<Instant>,
}

/// How to record.
#[derive(Clone, Copy)]
pub struct How<'a> {
    /// Is called when a process that runs is recorded from then on, with how many threads it has.
    pub begun: &'a dyn Fn(usize),
    /// How calls are seen; none for tracepoints, or ptrace where these cannot be had.
    pub by: Option<By>,
    /// Threads that are recorded; none for all.
    pub only: Option<&'a Only>,
    /// Which group a thread is for.
    pub grouping: &'a Grouping<'a>,
}

/// Runs a command until it ends.
///
/// # Errors
/// See [`Error`].
pub fn command(command: &[OsString], how: How) -> Result<Recorded, Error> {
    let How { by, only, grouping, .. } = how;
    let shown: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    let signals = Signals::take().map_err(|source| Error::System { what: "take signals", source })?;
    let held = Held::start(command, *signals.before())?;
    let pid = held.pid();
    go_first();
    let (tracepoints, why_not) = choose(by, || Tracepoints::of_child(pid, only))?;
    let by = if tracepoints.is_some() { By::Tracepoints } else { By::Ptrace };
    let gatherer = Gatherer::new(recording(&shown.join(" "), by), grouping, only);
    let mut watch = Watch { signals, gatherer, handle: handle(pid)?, pid, deadline: None };
    watch.gatherer.present(pid, pid, "", false);
    let ended = match tracepoints {
        Some(tracepoints) => watch.command_by_tracepoints(tracepoints, held, command)?,
        None => watch.command_by_ptrace(held, command)?,
    };
    Ok(watch.recorded(Some(ended), why_not))
}

/// Watches a process until it ends, for so long, or until a signal says that it is enough.
///
/// # Errors
/// See [`Error`].
pub fn process(pid: i32, limit: Option<Duration>, how: How) -> Result<Recorded, Error> {
    let How { by, only, grouping, begun } = how;
    let process = Process::read(pid)?;
    if process.is_32_bit {
        return Err(Error::Is32Bit { pid });
    }
    let signals = Signals::take().map_err(|source| Error::System { what: "take signals", source })?;
    let handle = handle(pid)?;
    go_first();
    let (tracepoints, why_not) = choose(by, || of_process(&process, only))?;
    let by = if tracepoints.is_some() { By::Tracepoints } else { By::Ptrace };
    let shown =
        process.executable.as_ref().map_or_else(|| process.name.clone(), |path| path.display().to_string());
    let mut gatherer = Gatherer::new(recording(&format!("{shown} ({pid})"), by), grouping, only);
    let threads = process.threads()?;
    for thread in &threads {
        gatherer.present(pid, thread.tid, &thread.name, thread.mode != Mode::Off);
    }
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut watch = Watch { signals, gatherer, handle, pid, deadline };
    if let Some(tracepoints) = tracepoints {
        begun(threads.len());
        watch.process_by_tracepoints(tracepoints);
    } else {
        let tids: Vec<_> = threads.iter().map(|thread| (thread.tid, pid)).collect();
        let mut watched = Watched::of_threads(&tids)?;
        watched.take_hold(&mut |event| watch.gatherer.event(event));
        begun(threads.len());
        watch.process_by_ptrace(watched);
    }
    Ok(watch.recorded(None, why_not))
}

/// Tracepoints where they are asked for or can be had; else none, and why.
fn choose(
    by: Option<By>,
    open: impl FnOnce() -> Result<Tracepoints, Error>,
) -> Result<(Option<Tracepoints>, Option<String>), Error> {
    match by {
        Some(By::Tracepoints) => Ok((Some(open()?), None)),
        Some(By::Ptrace) => Ok((None, None)),
        None => match open() {
            Ok(tracepoints) => Ok((Some(tracepoints), None)),
            Err(error @ (Error::Tracepoint(_) | Error::Open(_))) => Ok((None, Some(error.to_string()))),
            Err(error) => Err(error),
        },
    }
}

/// The tracepoints of each thread of a process. One that is born meanwhile is of a thread that has them already, or the
/// threads are listed again.
fn of_process(process: &Process, only: Option<&Only>) -> Result<Tracepoints, Error> {
    /// A process that has other threads each time is watched as it is.
    const TRIES: usize = 5;
    let tids = || -> Result<Vec<i32>, Error> {
        Ok(process.threads()?.into_iter().map(|thread| thread.tid).collect())
    };
    let mut before = tids()?;
    for _ in 1..TRIES {
        let tracepoints = Tracepoints::of_threads(&before, only)?;
        let after = tids()?;
        if after.iter().all(|tid| before.contains(tid)) {
            return Ok(tracepoints);
        }
        before = after;
    }
    Tracepoints::of_threads(&before, only)
}

/// Has this process go before others, as far as it may, so that what is recorded is read before it is overwritten.
fn go_first() {
    const NICE: i32 = -10;
    // Refused to an ordinary user, who loses a record sooner, and is told.
    let _ = rustix::process::setpriority_process(None, NICE);
}

fn handle(pid: i32) -> Result<OwnedFd, Error> {
    let number = Pid::from_raw(pid).ok_or(process::Error::NoSuchProcess { pid })?;
    pidfd_open(number, PidfdFlags::empty()).map_err(|source| Error::System {
        what: "get a handle of the process (pidfd_open)",
        source: source.into(),
    })
}

fn recording(command: &str, by: By) -> Recording {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    Recording::new(Arch::X86_64, command, &kernel, &Utc(SystemTime::now()).day(), by.name())
}

impl Watch<'_> {
    fn command_by_tracepoints(
        &mut self,
        mut tracepoints: Tracepoints,
        held: Held,
        command: &[OsString],
    ) -> Result<ExitStatus, Error> {
        let mut child = held.release().begun().map_err(|source| not_started(command, source))?;
        loop {
            let others: [BorrowedFd; 2] = [self.signals.as_fd(), self.handle.as_fd()];
            tracepoints.wait(&others, LOOK_AGAIN);
            self.take(&mut tracepoints, false);
            self.pass_signals_on();
            let ended =
                child.try_wait().map_err(|source| Error::System { what: "wait for the command", source })?;
            if let Some(ended) = ended {
                self.take(&mut tracepoints, true);
                return Ok(ended);
            }
        }
    }

    fn command_by_ptrace(&mut self, held: Held, command: &[OsString]) -> Result<ExitStatus, Error> {
        let mut watched = Watched::of_child(self.pid)?;
        let mut starting = Some(held.release());
        loop {
            let happened = watched.drain(&mut |event| self.gatherer.event(event));
            self.pass_signals_on();
            if starting.as_ref().is_some_and(child::Released::is_decided) {
                let begun = starting.take().map(child::Released::begun);
                begun.transpose().map_err(|source| not_started(command, source))?;
            }
            if let Some(ended) = watched.ended()
                && starting.is_none()
            {
                watched.release(&mut |event| self.gatherer.event(event));
                return Ok(ended);
            }
            if !happened {
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn process_by_tracepoints(&mut self, mut tracepoints: Tracepoints) {
        while !self.is_over() {
            let others: [BorrowedFd; 2] = [self.signals.as_fd(), self.handle.as_fd()];
            tracepoints.wait(&others, LOOK_AGAIN);
            self.take(&mut tracepoints, false);
        }
        self.take(&mut tracepoints, true);
    }

    fn process_by_ptrace(&mut self, mut watched: Watched) {
        while !watched.is_empty() && !self.is_over() {
            if !watched.drain(&mut |event| self.gatherer.event(event)) {
                std::thread::sleep(PAUSE);
            }
        }
        watched.release(&mut |event| self.gatherer.event(event));
    }

    fn take(&mut self, tracepoints: &mut Tracepoints, is_last: bool) {
        let lost = tracepoints.drain(is_last, &mut |event| self.gatherer.event(event));
        if lost > 0 {
            self.gatherer.lost(lost);
        }
    }

    fn pass_signals_on(&self) {
        while let Some(signal) = self.signals.next_sent() {
            if let (Some(pid), Some(signal)) = (Pid::from_raw(self.pid), Signal::from_named_raw(signal)) {
                // Refused only where it is gone.
                let _ = kill_process(pid, signal);
            }
        }
    }

    /// Whether the time is up, the process gone, or somebody has had enough.
    fn is_over(&self) -> bool {
        let has_ended = rustix::event::poll(
            &mut [rustix::event::PollFd::new(&self.handle, rustix::event::PollFlags::IN)],
            Some(&rustix::event::Timespec::default()),
        );
        has_ended == Ok(1)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
            || self.signals.has_come()
    }

    fn recorded(self, ended: Option<ExitStatus>, why_not_tracepoints: Option<String>) -> Recorded {
        let (recording, foreign) = self.gatherer.finish();
        Recorded { recording, foreign, ended, why_not_tracepoints }
    }
}

fn not_started(command: &[OsString], source: io::Error) -> Error {
    Error::Start { name: command.first().cloned().unwrap_or_default(), source }
}
