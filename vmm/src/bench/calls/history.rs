//! The four ways of confining a thread that were proposed for Linux, on one loop: hear a bell, ring another. 2005 strict mode,
//! 2009 a bitmask of calls, 2010 expressions on arguments, 2011 filters on events.
//!
//! A thread in strict mode may read, write, return from a signal and exit. It can neither wait for its orders by futex nor read
//! the clock (the kernel takes the processor's counter away from it), so that all variants of this table are commanded by
//! eventfd and timed from outside.

use std::hint::black_box;
use std::os::fd::{BorrowedFd, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::mpsc;
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

/// The experiment of calls that nobody waits for.
pub const NAME: &str = "history/loop";
/// That of a thread that waits for another each time. Strict mode takes away the processor's counter that the clock is read from
/// (`TIF_NOTSC`, Linux `arch/x86/kernel/process.c`), and each switch to such a thread or from it writes a control register.
pub const SWITCH: &str = "history/switch";

/// What each can say of this loop, by the name of its row.
pub const SAYS: [(&str, &str); 4] = [
    (
        STRICT,
        "that a thread reads, writes, exits and returns from signals, and takes its clock away, for which each switch pays",
    ),
    (BITMASK, "which calls it makes"),
    (ENGINE, "which calls with which arguments: here the descriptor, and how many bytes"),
    (EVENTS, "the same, and refuse nothing"),
];

const STRICT: &str = "strict mode (2005)";
const BITMASK: &str = "bitmask (2009)";
const ENGINE: &str = "filter engine (2010)";
const SECCOMPILER: &str = "the same by seccompiler";
const EVENTS: &str = "event filters (2011)";

/// What a block is.
#[derive(Clone, Copy)]
struct Span {
    /// Turns of the loop each time that it is told to begin, two calls each.
    turns: u32,
    /// How often it is told.
    times: u32,
    /// What the planted work takes for each call of a turn, or each time.
    planted: Duration,
}

impl Span {
    /// Calls of a block, or how often it is told where it makes none.
    fn calls(self) -> u32 {
        self.times * (2 * self.turns).max(1)
    }

    /// Steps of work each time that there is some: before the two calls of a turn, or for being told.
    fn steps_at_once(self, steps: u32) -> u32 {
        if self.turns > 0 { 2 * steps } else { steps }
    }

    /// The work of a block without its calls.
    fn work_alone(self, steps: u32) -> Figure {
        let start = Instant::now();
        for _ in 0..self.times * self.turns.max(1) {
            black_box(clock::work(self.steps_at_once(steps), 1));
        }
        Figure::per_call(start.elapsed(), self.calls(), false)
    }
}

/// Long beside what it takes to begin and to say that it is done.
const LOOP: Span = Span { turns: 400, times: 1, planted: Duration::from_nanos(40) };

/// Nothing but to begin and to say so.
const TOLD: Span = Span { turns: 0, times: 25, planted: Duration::from_nanos(400) };

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
pub fn prepare(name: &str, work: Work) -> Result<Prepared, Error> {
    let span = match name {
        NAME => LOOP,
        SWITCH => TOLD,
        _ => return Err(Error::Unknown),
    };
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
        let steps = work.steps_of(variant.part, span.planted);
        contestants.push(if variant.part == Part::Work {
            Contestant::new(move || Ok(span.work_alone(steps)))
        } else {
            let looping = Looping::start(hold, steps, span)?;
            Contestant::new(move || looping.block())
        });
        variants.push(variant);
    }
    if let Some(events) = events {
        let looping = Looping::start(Hold::Unconfined, 0, span)?;
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
    span: Span,
}

impl Looping {
    fn start(hold: Hold, steps: u32, span: Span) -> Result<Self, Error> {
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
        let (tell, hear) = mpsc::sync_channel(1);
        let body = move || {
            let confined = confine(&placements, hold, &tell);
            match confined {
                Ok(()) => serve(span, steps),
                Err(error) => {
                    // Whoever waits for this hears it.
                    let _ = tell.send(Err(error));
                }
            }
        };
        thread::Builder::new().name("measured".into()).spawn(body).map_err(Error::Spawn)?;
        let tid = hear.recv().unwrap_or(Err(Error::Guest("its end")))?;
        let looping = Self { go, done, tid, span };
        looping.block()?;
        Ok(looping)
    }

    fn block(&self) -> Result<Figure, Error> {
        let failed = |call| move |errno: rustix::io::Errno| Error::Call { call, errno: errno.raw_os_error() };
        let start = Instant::now();
        for _ in 0..self.span.times {
            rustix::io::write(&self.go, &1_u64.to_ne_bytes()).map_err(failed("write"))?;
            rustix::io::read(&self.done, &mut [0; COUNT]).map_err(failed("read"))?;
        }
        Ok(Figure::per_call(start.elapsed(), self.span.calls(), false))
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
fn serve(span: Span, steps: u32) {
    // SAFETY: `confine` has placed a descriptor at each of these numbers, and this thread, whose table it is, closes none.
    let [bell, room, go, done] = [slot::BELL, slot::ROOM, slot::GO, slot::DONE]
        .map(|number: RawFd| unsafe { BorrowedFd::borrow_raw(number) });
    let mut count = [0; COUNT];
    let one = 1_u64.to_ne_bytes();
    let work = || {
        if steps > 0 {
            black_box(clock::work(span.steps_at_once(steps), 1));
        }
    };
    while rustix::io::read(go, &mut count).is_ok() {
        if span.turns == 0 {
            work();
        }
        for _ in 0..span.turns {
            work();
            if rustix::io::read(bell, &mut count).is_err() || rustix::io::write(room, &one).is_err() {
                return;
            }
        }
        if rustix::io::write(done, &one).is_err() {
            return;
        }
    }
}
