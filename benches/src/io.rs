//! A thread under one of io's programs, that does blocks of io's calls on command.
//!
//! A filter cannot be taken off a thread, so each variant has its own; the file is the same for all.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ringfence::confine::install::{self, Fencing, Hold, OnViolation, Tier};
use ringfence::confine::table::{self, Placement};
use ringfence::role::policies::io::{POLICY, slot};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use seccomp_policies::call::Call;
use seccomp_policies::compile::{self, reference};
use seccomp_policies::language::{Diagnostics, check_sources};
use seccomp_policies::syscalls::{Arch, by_name};

use crate::exchange::Exchange;
use crate::variant::Variant;

/// Bytes of a read of the disk.
pub const READ_BYTES: usize = 4096;

/// Bytes of an eventfd's count.
const COUNT_BYTES: usize = 8;

/// Calls before the clock starts, as a share of the block: the thread has just been woken, perhaps on another processor.
const WARM_UP_SHARE: u32 = 8;

/// What a block's calls are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `pread64`: [`READ_BYTES`] of a disk, which the page cache has.
    ReadDisk,
    /// `read`: the eventfd of a disk's queue.
    HearQueue,
    /// `write`: the eventfd that is a disk's interrupt. Nobody listens to it here: what KVM does is not in the time.
    RingInterrupt,
}

/// What went wrong in a measuring thread, or before there was one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A descriptor could not be made.
    #[error("cannot make a descriptor for the benchmark: {0}")]
    Descriptor(io::Error),
    /// No thread.
    #[error("cannot start a measuring thread: {0}")]
    Spawn(io::Error),
    /// No table of its own.
    #[error(transparent)]
    Table(#[from] table::Error),
    /// No filter.
    #[error(transparent)]
    Install(#[from] install::Error),
    /// The call failed.
    #[error("{call} failed (errno {errno})")]
    Call {
        /// Its name.
        call: &'static str,
        /// The error number.
        errno: i32,
    },
    /// The call moved fewer bytes than it was asked for.
    #[error("{0} moved fewer bytes than asked for")]
    Short(&'static str),
    /// The embedded policy does not hold, which the build excludes.
    #[error("io's policy does not hold:\n{0}")]
    Check(Box<Diagnostics>),
    /// The reference backend does not take it.
    #[error("seccompiler cannot compile io's policy: {0}")]
    Compile(#[from] compile::Error),
}

/// io's programs that are compared, the baseline first, and right after it the same again: what differs between those two is what
/// the method cannot see.
///
/// # Errors
/// [`Error::Check`], [`Error::Compile`]
pub fn variants() -> Result<[Variant; 5], Error> {
    let embedded = |tier| Fencing { tier, on_violation: OnViolation::Trap }.hold(&POLICY);
    let checked = check_sources(POLICY.sources[0].0, POLICY.sources, Arch::X86_64)
        .map_err(|findings| Error::Check(Box::new(findings)))?;
    // A thread keeps its filter for life, and so does the benchmark.
    let seccompiler = Box::leak(reference(&checked.policy)?.instructions().into());
    Ok([
        Variant { name: "no filter", hold: Hold::Unconfined },
        Variant { name: "no filter, again", hold: Hold::Unconfined },
        Variant { name: "bitmask tier", hold: embedded(Tier::Bitmask) },
        Variant { name: "filter tier", hold: embedded(Tier::Filter) },
        Variant { name: "seccompiler's filter", hold: Hold::Program(seccompiler) },
    ])
}

impl Kind {
    /// The call's name, its slot, and its bytes.
    fn parts(self) -> (&'static str, RawFd, usize) {
        match self {
            Self::ReadDisk => ("pread64", *slot::DISKS.start(), READ_BYTES),
            Self::HearQueue => ("read", *slot::DISK_QUEUES.start(), COUNT_BYTES),
            Self::RingInterrupt => ("write", *slot::DISK_IRQS.start(), COUNT_BYTES),
        }
    }

    /// The call as a filter sees it.
    pub fn call(self) -> Call {
        let (name, slot, bytes) = self.parts();
        Call {
            number: by_name(Arch::X86_64, name).map_or(u32::MAX, |call| call.number),
            arch: Arch::X86_64.audit_value(),
            instruction_pointer: 0,
            arguments: [u64::from(slot.unsigned_abs()), 0, bytes as u64, 0, 0, 0],
        }
    }
}

/// A block of calls.
#[derive(Clone, Copy, Debug)]
struct Block {
    kind: Kind,
    calls: u32,
}

/// The measuring thread, as its commander sees it. It never ends: ending is no call of io's policy.
#[derive(Debug)]
pub struct IoThread(Arc<Exchange<Block, Error>>);

impl IoThread {
    /// Starts a thread and confines it. `disk`: a file of [`READ_BYTES`] at least, which is better in the page cache.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(disk: &File, hold: Hold) -> Result<Self, Error> {
        let number = |descriptor: Result<OwnedFd, Errno>| {
            descriptor.map(OwnedFd::into_raw_fd).map_err(|errno| Error::Descriptor(errno.into()))
        };
        // The thread's own table has copies; what they were copied from stays open, as the thread does.
        let disk = disk.try_clone().map_err(Error::Descriptor)?.into_raw_fd();
        // Each read takes one off, so that so many find something.
        let queue = number(eventfd(u32::MAX, EventfdFlags::CLOEXEC | EventfdFlags::SEMAPHORE))?;
        let interrupt = number(eventfd(0, EventfdFlags::CLOEXEC))?;
        let placements = [
            Placement { from: disk, slot: *slot::DISKS.start() },
            Placement { from: queue, slot: *slot::DISK_QUEUES.start() },
            Placement { from: interrupt, slot: *slot::DISK_IRQS.start() },
        ];
        let exchange = Arc::new(Exchange::new());
        let thread = Self(exchange.clone());
        let body = move || match confine(&placements, hold) {
            Ok(()) => exchange.serve(run_block),
            Err(error) => exchange.put(Err(error)),
        };
        thread::Builder::new().name("measured-io".into()).spawn(body).map_err(Error::Spawn)?;
        thread.block(Kind::HearQueue, 1)?;
        Ok(thread)
    }

    /// Has the thread do a block of calls; gives the time of these calls alone.
    ///
    /// # Errors
    /// See [`Error`]; after one of the first three the thread is of no further use.
    pub fn block(&self, kind: Kind, calls: u32) -> Result<Duration, Error> {
        self.0.measure(Block { kind, calls })
    }
}

fn confine(placements: &[Placement], hold: Hold) -> Result<(), Error> {
    // SAFETY: this thread has brought numbers alone.
    unsafe { table::take_own(placements) }?;
    Ok(install::install(hold)?)
}

fn run_block(Block { kind, calls }: Block) -> Result<Duration, Error> {
    let mut buffer = [0; READ_BYTES];
    (0..calls / WARM_UP_SHARE).try_for_each(|_| one(kind, &mut buffer))?;
    let start = Instant::now();
    (0..calls).try_for_each(|_| one(kind, &mut buffer))?;
    Ok(start.elapsed())
}

fn one(kind: Kind, buffer: &mut [u8; READ_BYTES]) -> Result<(), Error> {
    let (call, number, bytes) = kind.parts();
    // SAFETY: `confine` has placed a descriptor at each of these numbers, and this thread, whose table it is, closes none.
    let slot = unsafe { BorrowedFd::borrow_raw(number) };
    let moved = match kind {
        Kind::ReadDisk => rustix::io::pread(slot, &mut buffer[..bytes], 0),
        Kind::HearQueue => rustix::io::read(slot, &mut buffer[..bytes]),
        Kind::RingInterrupt => rustix::io::write(slot, &1u64.to_ne_bytes()),
    };
    match moved {
        Ok(moved) if moved == bytes => Ok(()),
        Ok(_) => Err(Error::Short(call)),
        Err(errno) => Err(failed(call, errno)),
    }
}

fn failed(call: &'static str, errno: Errno) -> Error {
    Error::Call { call, errno: errno.raw_os_error() }
}

#[cfg(test)]
mod tests {
    use ringfence::role::policies::vcpu;
    use seccomp_policies::action::Action;
    use seccomp_policies::bpf::interpret;

    use super::*;

    const KINDS: [Kind; 3] = [Kind::ReadDisk, Kind::HearQueue, Kind::RingInterrupt];

    fn disk(bytes: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(bytes).unwrap();
        file
    }

    #[test]
    fn a_thread_under_each_variant_does_blocks_of_every_kind() {
        for variant in variants().unwrap() {
            let thread = IoThread::start(&disk(READ_BYTES as u64), variant.hold).unwrap();
            for kind in KINDS {
                assert!(thread.block(kind, 3).unwrap() > Duration::ZERO, "{} {kind:?}", variant.name);
            }
        }
    }

    #[test]
    fn every_program_allows_the_calls_on_their_slots_and_the_filters_nowhere_else() {
        for Variant { name, hold } in variants().unwrap() {
            let Hold::Program(program) = hold else { continue };
            for call in KINDS.map(Kind::call) {
                let allowed =
                    |call| interpret(program, &call).unwrap().value == Action::Allow.to_return_value();
                assert!(allowed(call), "{name}");
                let mut elsewhere = call;
                elsewhere.arguments[0] = 3;
                assert_eq!(allowed(elsewhere), name == "bitmask tier", "{name}");
            }
        }
    }

    #[test]
    fn a_thread_is_under_its_filter_before_the_first_block() {
        // The policy of a vCPU has no rule for read.
        let fencing = Fencing { tier: Tier::Filter, on_violation: OnViolation::Errno };
        let error = IoThread::start(&disk(0), fencing.hold(&vcpu::POLICY)).unwrap_err();
        assert!(matches!(error, Error::Call { call: "read", errno: libc::EPERM }), "{error}");
    }

    #[test]
    fn a_disk_that_is_too_short_is_an_error() {
        let thread = IoThread::start(&disk(100), Hold::Unconfined).unwrap();
        assert!(matches!(thread.block(Kind::ReadDisk, 1).unwrap_err(), Error::Short("pread64")));
    }
}
