//! The calls of a role, in the proportion of its profile, on descriptors at its slots.

use std::hint::black_box;
use std::os::fd::{AsFd as _, BorrowedFd, IntoRawFd as _, OwnedFd, RawFd};
use std::time::Instant;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::{MemfdFlags, Mode, OFlags, ftruncate, memfd_create, open};
use rustix::io::Errno;
use seccomp_policies::call::Call;
use seccomp_policies::embed::Embedded;

use crate::bench::Error;
use crate::bench::method::{Figure, clock};
use crate::bench::thread::processor;
use crate::bench::variant;
use crate::confine::install::{self, Hold};
use crate::confine::table::{self, Placement};
use crate::role::policies::{api, io};

/// Bytes of a disk's request.
const PAGE: usize = 4096;
/// Bytes of an eventfd's count.
const COUNT: usize = 8;
/// Bytes of a small request to the API, and of its answer.
const REQUEST: usize = 512;

/// A call on a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// `read` of so many bytes.
    Read(RawFd, usize),
    /// `write`.
    Write(RawFd, usize),
    /// `pread64` at the beginning of a file.
    ReadAt(RawFd, usize),
    /// `pwrite64`.
    WriteAt(RawFd, usize),
    /// `epoll_wait` without a limit of time, where something is ready.
    Wait(RawFd),
}

/// What lies at a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Object {
    /// A page of a file, which the page cache has.
    File,
    /// An eventfd of which reads find one each.
    Full,
    /// An eventfd that nobody listens to: what KVM does with one is not in the time.
    Bell,
    /// An epoll with something that is always ready.
    Epoll,
    /// What takes everything, and gives zeros: instead of a connection, of which a filter sees the number alone.
    Zero,
}

/// A role's hot calls.
#[derive(Debug)]
pub(super) struct Mix {
    /// Of its experiment.
    pub(super) name: &'static str,
    pub(super) policy: &'static Embedded,
    /// Each call, and how often it is in one turn.
    calls: &'static [(Op, u32)],
    objects: &'static [(RawFd, Object)],
    /// Where the proportion comes from.
    proportion: &'static str,
}

const DISK: RawFd = *io::slot::DISKS.start();
const QUEUE: RawFd = *io::slot::DISK_QUEUES.start();
const IRQ: RawFd = *io::slot::DISK_IRQS.start();
const CONNECTION: RawFd = *api::slot::CONNECTIONS.start();

const IO: Mix = Mix {
    name: "calls/io",
    policy: &io::POLICY,
    calls: &[
        (Op::ReadAt(DISK, PAGE), 8),
        (Op::Wait(io::slot::EPOLL), 2),
        (Op::Read(QUEUE, COUNT), 2),
        (Op::Write(IRQ, COUNT), 2),
        (Op::WriteAt(DISK, PAGE), 1),
    ],
    objects: &[
        (io::slot::EPOLL, Object::Epoll),
        (DISK, Object::File),
        (QUEUE, Object::Full),
        (IRQ, Object::Bell),
    ],
    proportion: "as the policy's profile counts them (io.profile)",
};

const API: Mix = Mix {
    name: "calls/api",
    policy: &api::POLICY,
    calls: &[
        (Op::Wait(api::slot::EPOLL), 2),
        (Op::Read(CONNECTION, PAGE), 1),
        (Op::Write(api::slot::MAIN_BELL, COUNT), 1),
        (Op::Read(api::slot::BELL, COUNT), 1),
        (Op::Write(CONNECTION, REQUEST), 1),
    ],
    objects: &[
        (api::slot::EPOLL, Object::Epoll),
        (CONNECTION, Object::Zero),
        (api::slot::MAIN_BELL, Object::Bell),
        (api::slot::BELL, Object::Full),
    ],
    proportion: "as one request has them",
};

impl Mix {
    pub(super) const ALL: [&'static Self; 2] = [&IO, &API];

    pub(super) fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.into_iter().find(|mix| mix.name == name)
    }

    /// Calls of one turn.
    pub(super) fn length(&self) -> u32 {
        self.calls.iter().map(|(_, count)| count).sum()
    }

    #[cfg(test)]
    pub(super) fn ops(&self) -> impl Iterator<Item = Op> {
        self.calls.iter().map(|(op, _)| *op)
    }

    /// The mean of something over the calls of a turn.
    pub(super) fn mean(&self, of: impl Fn(Op) -> f64) -> f64 {
        let sum: f64 = self.calls.iter().map(|(op, count)| of(*op) * f64::from(*count)).sum();
        sum / f64::from(self.length())
    }

    /// What is measured, in words.
    pub(super) fn says(&self) -> String {
        let mut counts: Vec<(&str, u32)> = Vec::new();
        for (op, count) in self.calls {
            let name = op.parts().0;
            match counts.iter_mut().find(|(other, _)| *other == name) {
                Some((_, sum)) => *sum += count,
                None => counts.push((name, *count)),
            }
        }
        let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        format!("Of {} calls there are {}, {}", self.length(), counts.join(", "), self.proportion)
    }

    /// Descriptors for a thread, which goes on with copies of its own; these stay open, as the thread does.
    pub(super) fn descriptors(&self) -> Result<Vec<Placement>, Error> {
        let placement = |(slot, object): &(RawFd, Object)| {
            let descriptor = object.make().map_err(|errno| Error::Descriptor(errno.into()))?;
            Ok(Placement { from: descriptor.into_raw_fd(), slot: *slot })
        };
        self.objects.iter().map(placement).collect()
    }

    /// So many turns; the time of one call.
    pub(super) fn carry_out(&self, turns: u32, work: u32, without_call: bool) -> Result<Figure, Error> {
        let mut buffer = [0; PAGE];
        let mut value = 1;
        let mut turn = || {
            for (op, count) in self.calls {
                for _ in 0..*count {
                    if work > 0 {
                        value = clock::work(work, value);
                    }
                    if !without_call {
                        op.carry_out(&mut buffer)?;
                    }
                }
            }
            Ok::<(), Error>(())
        };
        // The thread has just been woken.
        turn()?;
        let began_on = processor();
        let start = Instant::now();
        (0..turns).try_for_each(|_| turn())?;
        let elapsed = start.elapsed();
        black_box(value);
        Ok(Figure::per_call(elapsed, turns * self.length(), processor() != began_on))
    }
}

/// Confines the calling thread, which has brought nothing else.
pub(super) fn confine(placements: &[Placement], hold: Hold) -> Result<(), Error> {
    // SAFETY: this thread has brought numbers alone.
    unsafe { table::take_own(placements) }?;
    Ok(install::install(hold)?)
}

impl Op {
    /// The call's name, its slot, and its bytes.
    fn parts(self) -> (&'static str, RawFd, usize) {
        match self {
            Self::Read(slot, bytes) => ("read", slot, bytes),
            Self::Write(slot, bytes) => ("write", slot, bytes),
            Self::ReadAt(slot, bytes) => ("pread64", slot, bytes),
            Self::WriteAt(slot, bytes) => ("pwrite64", slot, bytes),
            Self::Wait(slot) => ("epoll_wait", slot, 1),
        }
    }

    /// The call as a filter sees it. No pointer is tested.
    pub(super) fn call(self) -> Call {
        let (name, slot, bytes) = self.parts();
        // A limit of -1 is none: epoll_wait(2).
        let fourth = if matches!(self, Self::Wait(_)) { u64::MAX } else { 0 };
        variant::call(name, [u64::from(slot.unsigned_abs()), 0, bytes as u64, fourth, 0, 0])
    }

    fn carry_out(self, buffer: &mut [u8; PAGE]) -> Result<(), Error> {
        let (name, number, bytes) = self.parts();
        // SAFETY: `confine` has placed a descriptor at each of these numbers, and this thread, whose table it is, closes none.
        let slot = unsafe { BorrowedFd::borrow_raw(number) };
        let moved = match self {
            Self::Read(..) => rustix::io::read(slot, &mut buffer[..bytes]),
            Self::Write(..) if bytes == COUNT => rustix::io::write(slot, &1_u64.to_ne_bytes()),
            Self::Write(..) => rustix::io::write(slot, &buffer[..bytes]),
            Self::ReadAt(..) => rustix::io::pread(slot, &mut buffer[..bytes], 0),
            Self::WriteAt(..) => rustix::io::pwrite(slot, &buffer[..bytes], 0),
            Self::Wait(_) => wait(slot),
        };
        match moved {
            Ok(moved) if moved == bytes => Ok(()),
            Ok(_) => Err(Error::Short(name)),
            Err(errno) => Err(Error::Call { call: name, errno: errno.raw_os_error() }),
        }
    }
}

/// `epoll_wait` itself: the C library's call, as `event-manager` makes it.
fn wait(epoll: BorrowedFd<'_>) -> Result<usize, Errno> {
    use std::os::fd::AsRawFd as _;

    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: the kernel writes one event, for which there is room.
    let found = unsafe { libc::epoll_wait(epoll.as_raw_fd(), &raw mut event, 1, -1) };
    let errno = || Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO);
    usize::try_from(found).map_err(|_| errno())
}

impl Object {
    fn make(self) -> Result<OwnedFd, Errno> {
        match self {
            Self::File => {
                let file = memfd_create("measured", MemfdFlags::CLOEXEC)?;
                ftruncate(&file, PAGE as u64)?;
                Ok(file)
            }
            Self::Full => eventfd(u32::MAX, EventfdFlags::CLOEXEC | EventfdFlags::SEMAPHORE),
            Self::Bell => eventfd(0, EventfdFlags::CLOEXEC),
            Self::Epoll => {
                let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
                let ready = eventfd(1, EventfdFlags::CLOEXEC)?;
                let data = epoll::EventData::new_u64(0);
                epoll::add(&epoll, ready.as_fd(), data, epoll::EventFlags::IN)?;
                // It stays open, or would leave the epoll.
                let _ = ready.into_raw_fd();
                Ok(epoll)
            }
            Self::Zero => open("/dev/zero", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()),
        }
    }
}
