//! Main under its filter: opens the gate, waits for the end of the run, and says what it was.

use std::hash::RandomState;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kvm_ioctls::{VcpuFd, VmFd};
use rustix::event::{PollFd, PollFlags, Timespec};
use seccomp_policies::embed::Embedded;

use super::boot_time::Moment;
use super::change::Files;
use super::observer::Observer;
use super::{Held, Seated, Service, policy_of, slot};
use crate::confine::install::Hold;
use crate::confine::{self, Fencing, Phase, Record, Slot, signals, table};
use crate::machine;
use crate::report::{Cause, Ended, Observed, Outlets, QuirkNote, ThreadLine, Used, Violation, exit_code};
use crate::role::calls::{self, Points, ThreadCounters};
use crate::role::devices::DiskIdentity;
use crate::role::eyes::{self, Eyes, Lookout};
use crate::role::policies::console;
use crate::role::published::Published;
use crate::role::shared::{Shared, VcpuState, Verdict};

/// Main, fenced, and what it watches.
#[derive(Debug)]
pub struct Monitor {
    pub(super) fenced: Held,
    /// Whether the kernel tells by a descriptor when the console thread has ended.
    console_exit: bool,
    report: bool,
    /// Main's own view of the vCPUs. Never dropped: their slots go with the process.
    pub(super) vcpus: Vec<ManuallyDrop<VcpuFd>>,
    pub(super) shared: &'static Shared,
    pub(super) watched: Vec<Watched>,
    pub(super) fencing: Fencing,
    /// Why calls are not counted, if they are not.
    not_counted: Option<String>,
    /// What watches the threads, where nothing holds them.
    lookout: Option<Lookout>,
    quirk: Option<QuirkNote>,
    /// The API, where there is one.
    pub(super) service: Option<Service>,
    pub(super) files: Files,
    pub(super) observer: Observer,
    /// Ticks of the kernel's clock in a second, in which it tells of time.
    pub(super) ticks: u64,
    /// When somebody wanted the machine, until it is told how long its guest took to start.
    pub(super) started: Option<Moment>,
    /// The devices' counts, and of how many broken queues of each was told.
    pub(super) devices: Vec<(&'static Published, u64)>,
}

/// What the monitor is told of the run.
#[derive(Debug)]
pub struct Subject {
    /// The machine; `None` if it never started.
    pub vm: Option<&'static VmFd>,
    /// What the threads share.
    pub shared: &'static Shared,
    /// What the threads leave, main's own first.
    pub records: Vec<&'static Record>,
    /// How the threads are held.
    pub fencing: Fencing,
    /// What the host's KVM needed.
    pub quirk: Option<QuirkNote>,
    /// The API, where there is one.
    pub service: Option<Service>,
    /// When somebody wanted the machine.
    pub started: Moment,
    /// Which files are behind the disks, in their order.
    pub disks: Vec<DiskIdentity>,
    /// What is counted of the devices.
    pub devices: Vec<&'static Published>,
}

/// A thread as main watches it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) record: &'static Record,
    pub(super) policy: &'static Embedded,
    counters: Option<ThreadCounters>,
    descriptors: Option<usize>,
}

/// How often main looks at a console thread for whose end the kernel has no descriptor.
const LOOK_AT_CONSOLE: Duration = Duration::from_secs(1);

/// Why main could not be fenced.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// The kernel did not take the filter, or the table is not as it should be.
    #[error("the main thread could not take on its role: {0}")]
    Fence(#[from] confine::fence::Error),
    /// The threads cannot be watched.
    #[error(transparent)]
    Eyes(#[from] eyes::Error),
}

impl Monitor {
    /// Opens the counters, and the eyes if there are any, and puts main under its filter.
    ///
    /// # Errors
    /// See [`FenceError`].
    pub fn fence(
        seated: Seated,
        subject: Subject,
        (points, eyes): (Result<Points, String>, Option<Eyes>),
        mut observer: Observer,
    ) -> Result<Self, FenceError> {
        let Seated { placed, vcpus, console_exit, report } = seated;
        let Subject { vm, shared, records, fencing, quirk, service, started, disks, devices } = subject;
        let slots = vm.into_iter().flat_map(|vm| slot::VCPUS.take(vcpus).map(move |slot| (vm, slot)));
        let vcpus =
            slots.map(|(vm, slot)| vcpu_at(vm, slot)).collect::<Result<_, confine::fence::Error>>()?;
        let counters =
            points.and_then(|points| open_counters(&points, &records).map_err(|error| error.to_string()));
        let (mut counters, not_counted) = match counters {
            Ok(counters) => (counters.into_iter().map(Some).collect(), None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        counters.resize_with(records.len(), || None);
        let lookout = eyes.map(|eyes| eyes.open(&records, *slot::COUNTERS.start())).transpose()?;
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
        confine::reserve::give_back();
        confine::program::give_back();
        // The first hash table of a thread asks the kernel for random numbers; the report's tables come later.
        let _ = RandomState::new();
        // Asked for once, by a call that no fenced thread may make.
        let ticks = rustix::param::clock_ticks_per_second();
        let fenced = placed.fence()?;
        observer.lie_at([slot::LOG, slot::METRICS].map(|number| fenced.slot(number)));
        if let Some(lookout) = &lookout {
            lookout.begin();
        }
        Ok(Self {
            lookout,
            fenced,
            console_exit,
            report,
            vcpus,
            shared,
            watched,
            fencing,
            not_counted,
            quirk,
            service,
            files: Files::new(disks),
            started: Some(started),
            observer,
            ticks,
            devices: devices.into_iter().map(|device| (device, 0)).collect(),
        })
    }

    /// Opens the gate, waits for the end of the run, and says what it was.
    pub fn attend(mut self) -> Ended {
        self.tell_of_threads();
        self.shared.vcpus.iter().for_each(VcpuState::resume);
        self.answer_start();
        let cause = self.wait();
        let unwritten = self.settle(&cause);
        // A guest that ended well has not, for its user, when its last words are lost.
        let cause = match self.shared.output.failure() {
            Some(errno) if exit_code::of(&cause) == exit_code::GUEST_ENDED => Cause::Output { errno },
            _ => cause,
        };
        self.ended(cause, unwritten)
    }

    /// Says what it was that ended a run whose machine never started.
    pub fn never_started(self, cause: Cause) -> Ended {
        self.ended(cause, 0)
    }

    fn wait(&mut self) -> Cause {
        loop {
            let look = (!self.console_exit).then_some(LOOK_AT_CONSOLE);
            self.poll(look.into_iter().chain(self.observer.next_flush()).min());
            if let Some(cause) = self.cause() {
                return cause;
            }
            self.serve();
            self.observe();
        }
    }

    /// Waits until something may have happened.
    pub(super) fn poll(&self, limit: Option<Duration>) {
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
        self.watched.iter().find_map(|watched| cause_of(watched.record))
    }

    pub(super) fn signal(&self) -> Option<i32> {
        let mut siginfo = [0; signals::SIGNALFD_SIGINFO_BYTES];
        rustix::io::read(self.fenced.slot(slot::SIGNALS), &mut siginfo)
            .ok()
            .map(|_| signals::number_in(&siginfo))
    }

    pub(super) fn console_gone(&self) -> Option<Cause> {
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
            Verdict::PowerOff => Cause::PowerOff,
            Verdict::GuestPanic => Cause::GuestPanic,
            Verdict::ExitPort(value) => Cause::ExitPort(value),
            // The thread is parked, so its vCPU is free for another thread's ioctl.
            Verdict::Machine(end) => {
                Cause::Guest { vcpu, end, registers: machine::describe_registers(&self.vcpus[vcpu]).ok() }
            }
        })
    }

    fn ended(mut self, cause: Cause, unwritten: u64) -> Ended {
        let violator = cause.violator().map(str::to_owned);
        self.tell_of_end(&cause);
        let tier = self.fencing.tier;
        let seen = self.lookout.as_mut().map(Lookout::seen);
        let counted = |name: &str| {
            let (counts, _) = seen.as_ref()?;
            counts.iter().find(|(known, _)| known == name).map(|(_, count)| count.violations)
        };
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
                    violations: counted(&thread.record.name).or_else(|| {
                        let is_violator = violator.as_deref() == Some(&thread.record.name);
                        self.fencing.tells_violations().then(|| u64::from(is_violator))
                    }),
                }
            })
            .collect();
        Ended {
            cause,
            threads,
            observed: seen.map(|(counts, kinds)| Observed {
                kinds,
                untold: counts.iter().map(|(_, count)| count.lost).sum(),
            }),
            not_counted: self.not_counted,
            unwritten,
            output_error: self.shared.output.failure(),
            quirk: self.quirk,
            exits: self.shared.vcpus.iter().map(VcpuState::exits).collect(),
            reserve_allocations: confine::reserve::allocations(),
            outlets: Outlets {
                stderr: self.fenced.slot(slot::STDERR),
                report: self.report.then(|| self.fenced.slot(slot::REPORT)),
                signals: self.fenced.slot(slot::SIGNALS),
            },
        }
    }
}

/// What a thread has left as its last words.
pub fn cause_of(record: &Record) -> Option<Cause> {
    let (thread, role) = (record.name.clone(), record.role);
    match record.phase() {
        Phase::Violated => {
            Some(Cause::Violation(Box::new(Violation::new(thread, policy_of(role), record.call()))))
        }
        Phase::Panicked => Some(Cause::Panic { thread, role, message: record.message() }),
        Phase::Signalled => Some(Cause::Sigsys { thread, role }),
        Phase::Starting | Phase::Fenced => None,
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
