//! The main thread: builds the machine's life around it, then waits, fenced, for its end, and answers the API's requests.

mod boot_time;
mod change;
mod guest_time;
mod last_words;
mod monitor;
mod observer;
mod pause;
mod service;
mod settle;
mod told;

use std::os::fd::RawFd;

use seccomp_policies::embed::Embedded;

use super::policies;
use super::policies::main::{POLICY, slot};
use super::policies::main_api;
use crate::confine::sigsys;
use crate::confine::table::Placement;
use crate::confine::thread;
use crate::confine::{self, Farewell, Fenced, Fencing, Record, Role, Slot, Slotted, Unfenced};

pub use boot_time::Moment;
pub use guest_time::GuestTime;
pub use monitor::{FenceError, Monitor, Subject, cause_of};
pub use observer::{Error as ObserverError, MetricsFormat, Observer};
pub use service::{Served, Service};

/// The role in a run without an API.
#[derive(Debug)]
pub struct Main;

impl Role for Main {
    const POLICY: &'static Embedded = &POLICY;
    const ALLOCATES: bool = true;
}

/// The role in a run with one.
#[derive(Debug)]
pub struct MainApi;

impl Role for MainApi {
    const POLICY: &'static Embedded = &main_api::POLICY;
    const ALLOCATES: bool = true;
}

// Both policies have the slots of one included text.
const _: () = assert!(slot::BELL == main_api::slot::BELL && slot::SIGNALS == main_api::slot::SIGNALS);
const _: () = assert!(*slot::VCPUS.start() == *main_api::slot::VCPUS.start());

fn policy_of(role: &str) -> &'static Embedded {
    // Every record's role comes from one of these policies.
    policies::ALL.iter().copied().find(|policy| policy.role == role).unwrap_or(&POLICY)
}

/// One of the two roles, at a step of becoming it.
#[derive(Debug)]
pub enum Either<A, B> {
    /// Without an API.
    Main(A),
    /// With one.
    MainApi(B),
}

/// Main before it has a table of its own.
pub type Begun = Either<Unfenced<Main>, Unfenced<MainApi>>;
/// Main with its slots.
type Placed = Either<Slotted<Main>, Slotted<MainApi>>;
/// Main under its filter.
type Held = Either<Fenced<Main>, Fenced<MainApi>>;

impl Begun {
    /// The process's first thread, which takes on one of the roles.
    pub fn new(fencing: Fencing, with_api: bool) -> (Self, &'static Record) {
        if with_api {
            let (unfenced, record) = thread::first("rf-main", fencing);
            (Self::MainApi(unfenced), record)
        } else {
            let (unfenced, record) = thread::first("rf-main", fencing);
            (Self::Main(unfenced), record)
        }
    }

    fn own_table(self, placements: &[Placement]) -> Result<Placed, confine::fence::Error> {
        let farewell = Farewell::EndProcess;
        Ok(match self {
            Self::Main(main) => {
                // SAFETY: the only caller, `take_slots`, is called by `start`, which forgets the owners of the numbers in
                // the old table right after it and uses none of them any more.
                Placed::Main(unsafe { main.own_table(placements, farewell) }?)
            }
            Self::MainApi(main) => {
                // SAFETY: the same.
                let placed = unsafe { main.own_table(placements, farewell) }?;
                // What it opens later lies at the lowest number that is free.
                placed.fill_below(main_api::slot::OPENED)?;
                Placed::MainApi(placed)
            }
        })
    }
}

impl Placed {
    fn fence(self) -> Result<Held, confine::fence::Error> {
        Ok(match self {
            Self::Main(main) => Held::Main(main.fence()?),
            Self::MainApi(main) => Held::MainApi(main.fence()?),
        })
    }
}

impl Held {
    /// The descriptor at a slot.
    fn slot(&self, number: RawFd) -> Slot {
        match self {
            Self::Main(main) => main.slot(number),
            Self::MainApi(main) => main.slot(number),
        }
    }
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
    /// The KVM machine, where there is one.
    pub vm: Option<RawFd>,
    /// The vCPUs; nothing else owns these numbers.
    pub vcpus: Vec<RawFd>,
    /// The bells of api and io, where there is an API and a machine.
    pub api_bell: Option<RawFd>,
    /// io's.
    pub io_bell: Option<RawFd>,
    /// The socket to io, where there are both.
    pub io_socket: Option<RawFd>,
    /// Those to the threads of disks, with which disk it is.
    pub disk_sockets: Vec<(u8, RawFd)>,
    /// The files of the log and the metrics.
    pub observed: [Option<RawFd>; 2],
    /// What tells of time in the guest, where there are metrics.
    pub guest_time: Option<RawFd>,
}

/// Main in a table that holds its slots.
#[derive(Debug)]
pub struct Seated {
    placed: Placed,
    vcpus: usize,
    console_exit: bool,
    report: bool,
}

/// Gives main its own table. `as_json`: how main says that it cannot go on itself.
///
/// # Errors
/// See [`confine::fence::Error`].
pub fn take_slots(
    begun: Begun,
    descriptors: &Descriptors,
    as_json: bool,
) -> Result<Seated, confine::fence::Error> {
    last_words::set_format(as_json);
    sigsys::set_last_words(last_words::speak);
    let standard = [
        Placement { from: libc::STDIN_FILENO, slot: slot::TERMINAL },
        Placement { from: libc::STDOUT_FILENO, slot: slot::STDOUT },
        Placement { from: libc::STDERR_FILENO, slot: slot::STDERR },
        Placement { from: descriptors.bell, slot: slot::BELL },
        Placement { from: descriptors.signals, slot: slot::SIGNALS },
    ];
    let place = |from: Option<RawFd>, slot| from.map(|from| Placement { from, slot });
    let disk_sockets = descriptors.disk_sockets.iter();
    let disk_sockets =
        disk_sockets.map(|&(index, from)| Placement { from, slot: change::disk_socket(index) });
    let vcpus = descriptors.vcpus.iter().zip(slot::VCPUS).map(|(&from, slot)| Placement { from, slot });
    let placements: Vec<Placement> = standard
        .into_iter()
        .chain(place(descriptors.vm, slot::VM))
        .chain(place(descriptors.console_exit, slot::CONSOLE_EXIT))
        .chain(place(descriptors.report, slot::REPORT))
        .chain(place(descriptors.api_bell, main_api::slot::API_BELL))
        .chain(place(descriptors.io_bell, main_api::slot::IO_BELL))
        .chain(place(descriptors.guest_time, slot::STAT))
        .chain(place(descriptors.observed[0], slot::LOG))
        .chain(place(descriptors.observed[1], slot::METRICS))
        .chain(place(descriptors.io_socket, main_api::slot::IO_SOCKET))
        .chain(disk_sockets)
        .chain(vcpus)
        .collect();
    Ok(Seated {
        placed: begun.own_table(&placements)?,
        vcpus: descriptors.vcpus.len(),
        console_exit: descriptors.console_exit.is_some(),
        report: descriptors.report.is_some(),
    })
}
