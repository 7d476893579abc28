//! The four ways of confining a thread that were proposed for Linux, on one loop: hear a bell, ring another. 2005 strict mode,
//! 2009 a bitmask of calls, 2010 expressions on arguments, 2011 filters on events.
//!
//! A thread in strict mode may read, write, return from a signal and exit. It can neither wait for its orders by futex nor read
//! the clock (the kernel takes the processor's counter away from it), so that all variants of this table are commanded by
//! eventfd and timed from outside.

use std::hint::black_box;
use std::os::fd::{BorrowedFd, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use seccomp_policies::compile::{Weights, bitmask, optimize, reference};
use seccomp_policies::language::Checked;

use crate::bench::Error;
use crate::bench::event::Events;
use crate::bench::experiment::{Prepared, Work};
use crate::bench::method::{Contestant, Figure, clock};
use crate::bench::variant::{self, Part, Variant};
use crate::confine::install::{self, Hold};
use crate::confine::table::{self, Placement};

/// The experiment's name.
pub const NAME: &str = "history/loop";

/// What each can say of this loop, by the name of its row.
pub const SAYS: [(&str, &str); 4] = [
    (STRICT, "that a thread reads, writes, exits and returns from signals, and takes its clock away"),
    (BITMASK, "which calls it makes"),
    (ENGINE, "which calls with which arguments: here the descriptor, and how many bytes"),
    (EVENTS, "the same, and refuse nothing"),
];

const STRICT: &str = "strict mode (2005)";
const BITMASK: &str = "bitmask (2009)";
const ENGINE: &str = "filter engine (2010)";
const SECCOMPILER: &str = "the same by seccompiler";
const EVENTS: &str = "event filters (2011)";

/// Turns of the loop in a block, two calls each: long beside what it takes to begin and to say that it is done.
const TURNS: u32 = 400;

/// What the planted work takes for each call.
const PLANTED: Duration = Duration::from_nanos(40);

/// Where the loop's descriptors lie.
mod slot {
    use std::os::fd::RawFd;

    /// What it hears.
    pub(super) const BELL: RawFd = 3;
    /// What it rings.
    pub(super) const ROOM: RawFd = 4;
    /// By which it is told to begin.
    pub(super) const GO: RawFd = 5;
    /// By which it says that it is done.
    pub(super) const DONE: RawFd = 6;
}

/// The policy of such a loop. Strict mode says the first two words of each line, and a bitmask too.
const POLICY: &str = "\
role loop
tier filter
otherwise trap
fd bell = 3 -- what it hears
fd room = 4 -- what it rings
fd go = 5   -- told to begin
fd done = 6 -- says that it is done
read: fd in {@bell, @go} && count == 8    -- hear
write: fd in {@room, @done} && count == 8 -- ring
exit:                                     -- the end
rt_sigreturn:                             -- return from a signal
";

/// Bytes of an eventfd's count.
const COUNT: usize = 8;

/// Makes ready.
///
/// # Errors
/// See [`Error`].
pub fn prepare(work: Work) -> Result<Prepared, Error> {
    let checked = variant::checked("loop.policy", &[("loop.policy", POLICY)])?;
    let mut notes = Vec::new();
    let events = match Events::of(&checked.policy, &["read", "write"]) {
        Ok(events) => Some(events),
        Err(error) => {
            notes.push(format!("no event filter could be opened: {error}"));
            None
        }
    };
    let (mut variants, mut contestants) = (Vec::new(), Vec::new());
    for (variant, hold) in holds(&checked)? {
        let steps = work.steps_of(variant.part, PLANTED);
        let looping = Looping::start(hold, steps, variant.part == Part::Work)?;
        variants.push(variant);
        contestants.push(Contestant::new(move || looping.block()));
    }
    if let Some(events) = events {
        let looping = Looping::start(Hold::Unconfined, 0, false)?;
        variants.push(Variant::new(EVENTS, Part::Subject));
        let tid = looping.tid;
        contestants.push(Contestant::within(move || events.watch(tid), move || looping.block()));
    }
    Ok(Prepared { variants, contestants, notes })
}

fn holds(checked: &Checked) -> Result<Vec<(Variant, Hold)>, Error> {
    let call = variant::call("read", [3, 0, COUNT as u64, 0, 0, 0]);
    let held = |name: &str, program: Vec<_>| {
        let hold = Hold::Program(program.leak());
        (Variant::by(name, hold, &call), hold)
    };
    let policy = &checked.policy;
    let mut all = variant::unheld().map(|variant| (variant, Hold::Unconfined)).to_vec();
    all.extend([
        (Variant::new(STRICT, Part::Subject), Hold::Strict),
        held(BITMASK, bitmask(policy)?.instructions().to_vec()),
        held(ENGINE, optimize(policy, &Weights::default())?.instructions().to_vec()),
        held(SECCOMPILER, reference(policy)?.instructions().to_vec()),
    ]);
    Ok(all)
}

/// A thread that goes through its loop when it is told to.
struct Looping {
    go: OwnedFd,
    done: OwnedFd,
    tid: i32,
    /// Turns of the next block.
    turns: Arc<AtomicU32>,
}

impl Looping {
    fn start(hold: Hold, work: u32, without_call: bool) -> Result<Self, Error> {
        let make = |count, flags| {
            eventfd(count, EventfdFlags::CLOEXEC | flags).map_err(|errno| Error::Descriptor(errno.into()))
        };
        let (go, done) = (make(0, EventfdFlags::empty())?, make(0, EventfdFlags::empty())?);
        let (bell, room) = (make(u32::MAX, EventfdFlags::SEMAPHORE)?, make(0, EventfdFlags::empty())?);
        let copy = |descriptor: &OwnedFd| {
            descriptor.try_clone().map(OwnedFd::into_raw_fd).map_err(Error::Descriptor)
        };
        let placements = [
            Placement { from: bell.into_raw_fd(), slot: slot::BELL },
            Placement { from: room.into_raw_fd(), slot: slot::ROOM },
            Placement { from: copy(&go)?, slot: slot::GO },
            Placement { from: copy(&done)?, slot: slot::DONE },
        ];
        let turns = Arc::new(AtomicU32::new(0));
        let of_next = turns.clone();
        let (tell, hear) = mpsc::sync_channel(1);
        let body = move || {
            let confined = confine(&placements, hold, &tell);
            match confined {
                Ok(()) => serve(&of_next, work, without_call),
                Err(error) => {
                    // Whoever waits for this hears it.
                    let _ = tell.send(Err(error));
                }
            }
        };
        thread::Builder::new().name("measured".into()).spawn(body).map_err(Error::Spawn)?;
        let tid = hear.recv().unwrap_or(Err(Error::Guest("its end")))?;
        let looping = Self { go, done, tid, turns };
        looping.block()?;
        Ok(looping)
    }

    fn block(&self) -> Result<Figure, Error> {
        self.turns.store(TURNS, Ordering::Release);
        let failed = |call| move |errno: rustix::io::Errno| Error::Call { call, errno: errno.raw_os_error() };
        let start = Instant::now();
        rustix::io::write(&self.go, &1_u64.to_ne_bytes()).map_err(failed("write"))?;
        rustix::io::read(&self.done, &mut [0; COUNT]).map_err(failed("read"))?;
        Ok(Figure::per_call(start.elapsed(), 2 * TURNS, false))
    }
}

/// Tells its number last: a thread in strict mode could not.
fn confine(
    placements: &[Placement],
    hold: Hold,
    tell: &mpsc::SyncSender<Result<i32, Error>>,
) -> Result<(), Error> {
    // SAFETY: this thread has brought numbers alone.
    unsafe { table::take_own(placements) }?;
    // What follows can fail only where the kernel has no seccomp; then the first block says it.
    let _ = tell.send(Ok(rustix::thread::gettid().as_raw_nonzero().get()));
    Ok(install::install(hold)?)
}

/// From here on nothing but read and write.
fn serve(turns: &AtomicU32, work: u32, without_call: bool) {
    // SAFETY: `confine` has placed a descriptor at each of these numbers, and this thread, whose table it is, closes none.
    let [bell, room, go, done] = [slot::BELL, slot::ROOM, slot::GO, slot::DONE]
        .map(|number: RawFd| unsafe { BorrowedFd::borrow_raw(number) });
    let mut count = [0; COUNT];
    let one = 1_u64.to_ne_bytes();
    let mut value = 1;
    while rustix::io::read(go, &mut count).is_ok() {
        for _ in 0..turns.load(Ordering::Acquire) {
            if work > 0 {
                value = clock::work(2 * work, value);
            }
            if !without_call
                && (rustix::io::read(bell, &mut count).is_err() || rustix::io::write(room, &one).is_err())
            {
                return;
            }
        }
        black_box(value);
        if rustix::io::write(done, &one).is_err() {
            return;
        }
    }
}
