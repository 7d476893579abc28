//! The main thread: builds the machine's life around it, then waits, fenced, for its end.

use std::hash::RandomState;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kvm_ioctls::{VcpuFd, VmFd};
use rustix::event::{PollFd, PollFlags, Timespec};
use seccomp_policies::embed::Embedded;

use super::calls::{self, Points, ThreadCounters};
use super::policies::main::{POLICY, slot};
use super::policies::{console, io, vcpu};
use super::shared::{Shared, Verdict};
use super::terminal;
use crate::confine::install::Hold;
use crate::confine::sigsys::Ending;
use crate::confine::table::{self, Placement};
use crate::confine::{
    self, Farewell, Fenced, Fencing, Phase, Record, Role, Slot, Slotted, Unfenced, signals, sigsys,
};
use crate::machine;
use crate::report::{Cause, Ended, ThreadLine, Used, Violation, exit_code};

/// The role.
#[derive(Debug)]
pub struct Main;

impl Role for Main {
    const POLICY: &'static Embedded = &POLICY;
}

/// The policies of all roles.
pub fn policies() -> impl Iterator<Item = &'static Embedded> {
    [&POLICY, &io::POLICY, &console::POLICY, &vcpu::POLICY].into_iter()
}

fn policy_of(role: &str) -> &'static Embedded {
    // Every record's role comes from one of these policies.
    policies().find(|policy| policy.role == role).unwrap_or(&POLICY)
}

/// What main keeps: numbers in its first table.
#[derive(Debug)]
pub struct Descriptors {
    /// The bell that every other thread can ring.
    pub bell: RawFd,
    /// The signals that end a run.
    pub signals: RawFd,
    /// Readable when the console thread has ended, where the kernel has such a descriptor.
    pub console_exit: Option<RawFd>,
    /// The file of `--report`.
    pub report: Option<RawFd>,
    /// The KVM machine.
    pub vm: RawFd,
    /// The vCPUs; nothing else owns these numbers.
    pub vcpus: Vec<RawFd>,
}

/// Main in a table that holds its slots.
#[derive(Debug)]
pub struct Placed {
    slotted: Slotted<Main>,
    vcpus: usize,
    console_exit: bool,
    report: bool,
}

/// Gives main its own table.
///
/// # Errors
/// See [`confine::fence::Error`].
pub fn take_slots(
    unfenced: Unfenced<Main>,
    descriptors: &Descriptors,
) -> Result<Placed, confine::fence::Error> {
    let standard = [
        Placement { from: libc::STDIN_FILENO, slot: slot::TERMINAL },
        Placement { from: libc::STDOUT_FILENO, slot: slot::STDOUT },
        Placement { from: libc::STDERR_FILENO, slot: slot::STDERR },
        Placement { from: descriptors.bell, slot: slot::BELL },
        Placement { from: descriptors.signals, slot: slot::SIGNALS },
        Placement { from: descriptors.vm, slot: slot::VM },
    ];
    let place = |from: Option<RawFd>, slot| from.map(|from| Placement { from, slot });
    let vcpus = descriptors.vcpus.iter().zip(slot::VCPUS).map(|(&from, slot)| Placement { from, slot });
    let placements: Vec<Placement> = standard
        .into_iter()
        .chain(place(descriptors.console_exit, slot::CONSOLE_EXIT))
        .chain(place(descriptors.report, slot::REPORT))
        .chain(vcpus)
        .collect();
    // SAFETY: `start` forgets the owners of these numbers right after this call and uses none of them any more.
    let slotted = unsafe { unfenced.own_table(&placements, Farewell::EndProcess) }?;
    Ok(Placed {
        slotted,
        vcpus: descriptors.vcpus.len(),
        console_exit: descriptors.console_exit.is_some(),
        report: descriptors.report.is_some(),
    })
}

/// Main, fenced, and what it watches.
#[derive(Debug)]
pub struct Monitor {
    fenced: Fenced<Main>,
    /// Whether the kernel tells by a descriptor when the console thread has ended.
    console_exit: bool,
    report: bool,
    /// Main's own view of the vCPUs. Never dropped: their slots go with the process.
    vcpus: Vec<ManuallyDrop<VcpuFd>>,
    shared: &'static Shared,
    watched: Vec<Watched>,
    fencing: Fencing,
    /// Why calls are not counted, if they are not.
    not_counted: Option<String>,
}

/// A thread as main watches it.
#[derive(Debug)]
struct Watched {
    record: &'static Record,
    policy: &'static Embedded,
    counters: Option<ThreadCounters>,
    descriptors: Option<usize>,
}

/// How often main looks at a console thread for whose end the kernel has no descriptor.
const LOOK_AT_CONSOLE: Duration = Duration::from_secs(1);
/// How often main looks whether the output has been written, while it waits for just that.
const LOOK_AT_OUTPUT: Duration = Duration::from_millis(2);
/// As much as main's policy lets it write to standard output at once.
const LAST_CHUNK_BYTES: usize = 4096;
/// How long a vCPU may take to leave the guest; it needs one exit.
const PAUSE_LIMIT: Duration = Duration::from_millis(500);
/// How long output may take to be written once the user has asked for the end.
const LAST_OUTPUT_LIMIT: Duration = Duration::from_secs(1);

impl Monitor {
    /// Opens the counters and puts main under its filter. `records`: main's own first.
    ///
    /// # Errors
    /// See [`confine::fence::Error`].
    pub fn fence(
        placed: Placed,
        vm: &'static VmFd,
        shared: &'static Shared,
        records: Vec<&'static Record>,
        points: Result<Points, String>,
        fencing: Fencing,
    ) -> Result<Self, confine::fence::Error> {
        let Placed { slotted, vcpus, console_exit, report } = placed;
        let vcpus = slot::VCPUS.take(vcpus).map(|slot| vcpu_at(vm, slot)).collect::<Result<_, _>>()?;
        let counters =
            points.and_then(|points| open_counters(&points, &records).map_err(|error| error.to_string()));
        let (mut counters, not_counted) = match counters {
            Ok(counters) => (counters.into_iter().map(Some).collect(), None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        counters.resize_with(records.len(), || None);
        let watched = records
            .into_iter()
            .zip(counters)
            .map(|(record, counters)| Watched {
                record,
                policy: policy_of(record.role),
                counters,
                descriptors: table::count_of(record.tid()),
            })
            .collect();
        sigsys::set_last_words(last_words);
        // The first hash table of a thread asks the kernel for random numbers; the report's tables come later.
        let _ = RandomState::new();
        Ok(Self {
            fenced: slotted.fence()?,
            console_exit,
            report,
            vcpus,
            shared,
            watched,
            fencing,
            not_counted,
        })
    }

    /// Opens the gate, waits for the end of the run, and says what it was.
    pub fn attend(mut self) -> Ended {
        self.shared.vcpus.iter().for_each(super::shared::VcpuState::resume);
        let cause = self.wait();
        let unwritten = self.settle(&cause);
        self.ended(cause, unwritten)
    }

    fn wait(&self) -> Cause {
        let limit = (!self.console_exit).then_some(LOOK_AT_CONSOLE);
        loop {
            self.poll(limit);
            if let Some(cause) = self.cause() {
                return cause;
            }
        }
    }

    /// Waits until something may have happened.
    fn poll(&self, limit: Option<Duration>) {
        let console_exit = self.console_exit.then_some(slot::CONSOLE_EXIT);
        let watched: Vec<Slot> = [slot::BELL, slot::SIGNALS]
            .into_iter()
            .chain(console_exit)
            .map(|number| self.fenced.slot(number))
            .collect();
        let mut polled: Vec<PollFd<'_>> =
            watched.iter().map(|slot| PollFd::new(slot, PollFlags::IN)).collect();
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        // An interrupted wait is a reason to look, like any other.
        let _ = rustix::event::poll(&mut polled, limit.as_ref());
        self.fenced.slot(slot::BELL).hear();
    }

    fn cause(&self) -> Option<Cause> {
        self.violation()
            .or_else(|| self.signal().map(Cause::Signal))
            .or_else(|| self.console_gone())
            .or_else(|| self.verdict())
            .or_else(|| self.shared.output.failure().map(|errno| Cause::Output { errno }))
            .or_else(|| self.shared.left.load(Ordering::SeqCst).then_some(Cause::Left))
    }

    fn violation(&self) -> Option<Cause> {
        self.watched.iter().find_map(|Watched { record, policy, .. }| {
            let (thread, role) = (record.name.clone(), record.role);
            match record.phase() {
                Phase::Violated => {
                    Some(Cause::Violation(Box::new(Violation::new(thread, policy, record.call()))))
                }
                Phase::Panicked => Some(Cause::Panic { thread, role, message: record.message() }),
                Phase::Signalled => Some(Cause::Sigsys { thread, role }),
                Phase::Starting | Phase::Fenced => None,
            }
        })
    }

    fn signal(&self) -> Option<i32> {
        let mut siginfo = [0; signals::SIGNALFD_SIGINFO_BYTES];
        rustix::io::read(self.fenced.slot(slot::SIGNALS), &mut siginfo)
            .ok()
            .map(|_| signals::number_in(&siginfo))
    }

    fn console_gone(&self) -> Option<Cause> {
        let console = self.watched.iter().find(|thread| thread.policy.role == console::POLICY.role)?;
        signals::is_gone(console.record.tid())
            .then(|| Cause::ConsoleEnded { thread: console.record.name.clone() })
    }

    fn verdict(&self) -> Option<Cause> {
        let (vcpu, verdict) = self
            .shared
            .vcpus
            .iter()
            .enumerate()
            .find_map(|(vcpu, state)| state.verdict().map(|verdict| (vcpu, verdict)))?;
        Some(match verdict {
            Verdict::Reset => Cause::Reset { panic_shown: self.shared.ports.serial().showed_panic() },
            Verdict::ExitPort(value) => Cause::ExitPort(value),
            // The thread is parked, so its vCPU is free for another thread's ioctl.
            Verdict::Machine(end) => {
                Cause::Guest { vcpu, end, registers: machine::describe_registers(&self.vcpus[vcpu]).ok() }
            }
        })
    }

    /// Brings the guest to a halt and lets the console thread write what the guest has said; gives the number of
    /// bytes that it could not.
    fn settle(&mut self, cause: &Cause) -> u64 {
        let mut hurried =
            matches!(cause, Cause::Signal(_) | Cause::Left).then(|| Instant::now() + LAST_OUTPUT_LIMIT);
        loop {
            let paused = self.pause_vcpus();
            while self.output_waits() {
                // The user, by a further signal, or a console that is gone ends the waiting.
                self.poll(Some(LOOK_AT_OUTPUT));
                if self.console_gone().is_some() {
                    self.write_last_output();
                    hurried = Some(Instant::now());
                }
                if self.signal().is_some() {
                    hurried = Some(Instant::now());
                }
                if hurried.is_some_and(|limit| Instant::now() >= limit) {
                    return u64::from(self.shared.output.waiting());
                }
            }
            // A vCPU that waited for room has got it by now, and may have written more.
            if paused && !self.output_waits() {
                return self.shared.output.lost();
            }
        }
    }

    /// Writes what the console thread has left. A signal, or an output that takes no more, ends it.
    fn write_last_output(&self) {
        let (stdout, signals) = (self.fenced.slot(slot::STDOUT), self.fenced.slot(slot::SIGNALS));
        let mut chunk = [0; LAST_CHUNK_BYTES];
        while self.output_waits() && self.signal().is_none() {
            let mut polled = [PollFd::new(&stdout, PollFlags::OUT), PollFd::new(&signals, PollFlags::IN)];
            // An interrupted wait leaves no event behind, and is tried again.
            let _ = rustix::event::poll(&mut polled, None);
            if polled[0].revents().is_empty() {
                continue;
            }
            let count = self.shared.output.peek(&mut chunk);
            match rustix::io::write(stdout, &chunk[..count]) {
                // Nobody listens for room any more but vCPUs that are about to be ended.
                Ok(written) => self.shared.output.take(written),
                Err(_) => return,
            };
        }
    }

    fn output_waits(&self) -> bool {
        self.shared.output.waiting() > 0
    }

    /// Brings every vCPU out of the guest; false when one was too slow, or waits for room for its output.
    fn pause_vcpus(&mut self) -> bool {
        let limit = Instant::now() + PAUSE_LIMIT;
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

    fn ended(self, cause: Cause, unwritten: u64) -> Ended {
        let violator = cause.violator().map(str::to_owned);
        let tier = self.fencing.tier;
        let threads = self
            .watched
            .into_iter()
            .map(|thread| {
                let hold = self.fencing.hold(thread.policy);
                ThreadLine {
                    thread: thread.record.name.clone(),
                    role: thread.record.role,
                    tier: hold.name(tier),
                    instructions: match hold {
                        Hold::Program(program) => Some(program.len()),
                        Hold::Strict | Hold::Unconfined => None,
                    },
                    descriptors: thread.descriptors,
                    used: match &thread.counters {
                        Some(counters) => Used::Counted(counters.used()),
                        None => Used::NotCounted,
                    },
                    allowed: thread.policy.calls.len(),
                    violations: usize::from(violator.as_deref() == Some(&thread.record.name)),
                }
            })
            .collect();
        Ended {
            cause,
            threads,
            not_counted: self.not_counted,
            unwritten,
            exits: self.shared.vcpus.iter().map(super::shared::VcpuState::exits).collect(),
            reserve_allocations: confine::reserve::allocations(),
            report: self.report.then(|| self.fenced.slot(slot::REPORT)),
        }
    }
}

fn vcpu_at(vm: &VmFd, slot: RawFd) -> Result<ManuallyDrop<VcpuFd>, confine::fence::Error> {
    // SAFETY: main's table holds a vCPU of this VM at this slot, and this value, never dropped, is its only owner.
    let vcpu = unsafe { vm.create_vcpu_from_rawfd(slot) };
    vcpu.map(ManuallyDrop::new).map_err(|error| {
        let errno = rustix::io::Errno::from_raw_os_error(error.errno());
        table::Error::Call { call: "mmap of a vCPU's kvm_run", errno }.into()
    })
}

fn open_counters(points: &Points, records: &[&'static Record]) -> Result<Vec<ThreadCounters>, calls::Error> {
    let first = *slot::COUNTERS.start();
    let names = |record: &Record| policy_of(record.role).calls.iter().map(|&(_, name)| name);
    records.iter().map(|record| calls::open(points, record, names(record), first)).collect()
}

/// For main's own violation or panic: the one thread that cannot leave its report to another.
fn last_words(text: &str, ending: Ending) -> ! {
    terminal::restore();
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
    confine::end_process(match ending {
        Ending::Violation => exit_code::VIOLATION,
        Ending::Failure => exit_code::ERROR,
    })
}
