//! A thread under one filter, that does blocks of `KVM_RUN` on command.
//!
//! All variants run the same vCPU, one after the other, so that they differ in nothing else: two machines that are
//! made alike take some 20 ns more or less for an exit, by where their pages lie.

use std::hint::black_box;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kvm_ioctls::VcpuFd;
use vmm_sys_util::ioctl::ioctl_with_val;

use super::guest::{Guest, KICKS_PER_EXIT, PORT, Way};
use super::supervisor;
use crate::bench::Error;
use crate::bench::method::{Figure, clock};
use crate::bench::thread::{Measured, processor, stay_on};
use crate::confine::install::{self, Hold};
use crate::confine::table::{self, Placement};
use crate::machine::exit::{self, Exit};
use crate::role::policies::vcpu::slot;

/// `KVM_RUN`, Linux `include/uapi/linux/kvm.h`: `_IO(KVMIO, 0x80)`.
pub const KVM_RUN_REQUEST: u64 = 0xae80;

/// Calls before the clock starts, as a share of the block, and one at least: the thread has just been woken, perhaps on another
/// processor.
const WARM_UP_SHARE: u32 = 8;

/// What a block's calls are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The guest leaves, as its [`Way`] says, and is entered again.
    Exit,
    /// `KVM_RUN` with an argument that is not zero, which the kernel refuses with EINVAL before it enters the guest.
    Refused,
    /// The same, each after much other memory and many branches.
    RefusedCold,
}

impl Kind {
    /// How often the guest leaves in one call, of which the thread sees one.
    pub fn ways_out(self, way: Way) -> u32 {
        if self == Self::Exit && way == Way::Kick { KICKS_PER_EXIT } else { 1 }
    }
}

/// A block of calls.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// What they are.
    pub kind: Kind,
    /// How many.
    pub calls: u32,
    /// Steps of [`clock::work`] with each call.
    pub work: u32,
    /// The work alone, and no call.
    pub without_call: bool,
}

/// What holds a thread.
#[derive(Clone, Debug)]
pub enum Held {
    /// Its filter alone.
    By(Hold),
    /// The same, of a thread that may move among these processors.
    Free(Hold, Vec<usize>),
    /// A filter that asks a supervisor about each `KVM_RUN`. Both may move among these processors.
    Supervised(Vec<usize>),
}

/// Starts a thread that runs this guest, and confines it. One thread at a time may do a block of a guest.
///
/// # Errors
/// See [`Error`].
pub fn start(guest: Guest, held: Held) -> Result<Measured<Block>, Error> {
    let measured = Measured::start(move || {
        let mut vcpu = prepare(guest, held)?;
        Ok(move |block| carry_out(&mut vcpu, guest.way, block))
    })?;
    measured.order(Block { kind: Kind::Refused, calls: 1, work: 0, without_call: false })?;
    Ok(measured)
}

fn prepare(guest: Guest, held: Held) -> Result<VcpuFd, Error> {
    let hold = match held {
        Held::By(hold) => hold,
        Held::Free(hold, processors) => {
            stay_on(&processors)?;
            hold
        }
        Held::Supervised(processors) => {
            // Both go where the kernel puts them, as they would without a benchmark.
            stay_on(&processors)?;
            // Its listener comes into the table that the supervisor has too.
            supervisor::start()?;
            Hold::Unconfined
        }
    };
    let placement = Placement { from: guest.vcpu(), slot: slot::VCPU };
    // SAFETY: this thread has brought a number alone; the VM is used for the size of kvm_run, not for its descriptor.
    unsafe { table::take_own(&[placement]) }?;
    // SAFETY: the slot holds a vCPU of this VM, and this value is its only owner in this thread's table.
    let mut vcpu = unsafe { guest.machine.vm.create_vcpu_from_rawfd(slot::VCPU) }.map_err(Error::Vcpu)?;
    until_first_exit(&mut vcpu, guest.way)?;
    install::install(hold)?;
    Ok(vcpu)
}

/// Lets the guest start and say what it says, if it has not yet; it expects a serial port that is always ready.
fn until_first_exit(vcpu: &mut VcpuFd, way: Way) -> Result<(), Error> {
    loop {
        match (way, exit::run(vcpu)) {
            (Way::Port | Way::Kick, Exit::PortOut { port: PORT, .. })
            | (Way::Mmio, Exit::MmioRead { .. }) => {
                return Ok(());
            }
            (_, Exit::PortIn { data, .. }) => data.fill(0xff),
            (_, Exit::PortOut { .. } | Exit::Interrupted) => {}
            (_, other) => return Err(unexpected(&other)),
        }
    }
}

fn carry_out(vcpu: &mut VcpuFd, way: Way, block: Block) -> Result<Figure, Error> {
    let Block { kind, calls, work, without_call } = block;
    let mut value = 1;
    let mut one = |vcpu: &mut VcpuFd| {
        if work > 0 {
            value = clock::work(work, value);
        }
        if without_call { Ok(()) } else { call(vcpu, way, kind) }
    };
    (0..(calls / WARM_UP_SHARE).max(1)).try_for_each(|_| one(vcpu))?;
    let began_on = processor();
    let elapsed = match kind {
        Kind::RefusedCold => each_cold(vcpu, calls, one, without_call)?,
        Kind::Exit | Kind::Refused => all(vcpu, calls, one)?,
    };
    black_box(value);
    Ok(Figure::per_call(elapsed, calls * kind.ways_out(way), processor() != began_on))
}

fn all(
    vcpu: &mut VcpuFd,
    calls: u32,
    mut one: impl FnMut(&mut VcpuFd) -> Result<(), Error>,
) -> Result<Duration, Error> {
    let start = Instant::now();
    (0..calls).try_for_each(|_| one(vcpu))?;
    Ok(start.elapsed())
}

/// The time of the calls alone: what makes the caches cold is not in it. `without_clock`: what reading the clock twice takes is not
/// either, which otherwise is the same for all variants.
fn each_cold(
    vcpu: &mut VcpuFd,
    calls: u32,
    mut one: impl FnMut(&mut VcpuFd) -> Result<(), Error>,
    without_clock: bool,
) -> Result<Duration, Error> {
    let (mut elapsed, mut of_clock) = (Duration::ZERO, Duration::ZERO);
    for call in 0..calls {
        black_box(make_cold(u64::from(call)));
        let start = Instant::now();
        one(vcpu)?;
        elapsed += start.elapsed();
        if without_clock {
            black_box(make_cold(u64::from(call)));
            of_clock += Instant::now().elapsed();
        }
    }
    Ok(elapsed.saturating_sub(of_clock))
}

fn call(vcpu: &mut VcpuFd, way: Way, kind: Kind) -> Result<(), Error> {
    if kind != Kind::Exit {
        return refused(vcpu);
    }
    match (way, exit::run(vcpu)) {
        // An interruption is a round trip like any other, and rare.
        (Way::Port | Way::Kick, Exit::PortOut { port: PORT, .. })
        | (Way::Mmio, Exit::MmioRead { .. })
        | (_, Exit::Interrupted) => Ok(()),
        (_, other) => Err(unexpected(&other)),
    }
}

fn refused(vcpu: &VcpuFd) -> Result<(), Error> {
    // SAFETY: the kernel refuses this call for its argument, before it looks at anything else of the vCPU.
    let result = unsafe { ioctl_with_val(vcpu, KVM_RUN_REQUEST, 1) };
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
    if result == -1 && errno == libc::EINVAL { Ok(()) } else { Err(Error::NotRefused { result, errno }) }
}

/// The name alone: a confined thread may not format text that needs memory.
fn unexpected(exit: &Exit<'_>) -> Error {
    Error::Guest(match exit {
        Exit::PortIn { .. } => "a port read",
        Exit::PortOut { .. } => "a write to another port",
        Exit::MmioRead { .. } | Exit::MmioWrite { .. } => "an access to memory that is not there",
        Exit::Interrupted => "an interruption",
        Exit::Ended(_) => "its end",
    })
}

/// Numbers of 64 bits that are walked through: 2 MiB, above what a processor's own caches hold on most servers.
const COLD_NUMBERS: usize = 256 << 10;

/// One number in each cache line.
const LINE: usize = 64 / size_of::<u64>();

/// Reads so much memory that what the kernel needs has left the first caches, and takes so many branches that cannot be
/// foretold that nothing is known of the kernel's.
fn make_cold(seed: u64) -> u64 {
    static NUMBERS: OnceLock<Box<[u64]>> = OnceLock::new();
    let numbers = NUMBERS.get_or_init(|| {
        let mut random = fastrand::Rng::with_seed(1);
        std::iter::repeat_with(|| random.u64(..)).take(COLD_NUMBERS).collect()
    });
    let mut sum = seed;
    for number in numbers.iter().step_by(LINE) {
        // Each of these bits is a coin toss.
        if number & 1 == 0 {
            sum = sum.wrapping_add(*number);
        } else {
            sum = sum.rotate_left(7) ^ *number;
        }
        if black_box(number) & 2 == 0 {
            sum = black_box(sum ^ seed);
        }
    }
    sum
}

/// Has the memory for [`make_cold`] ready: no confined thread could ask for it.
pub fn be_ready() {
    black_box(make_cold(0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::{Fencing, OnViolation, Tier};
    use crate::role::policies::io;

    const NONE: Hold = Hold::Unconfined;

    fn block(kind: Kind, calls: u32) -> Block {
        Block { kind, calls, work: 0, without_call: false }
    }

    #[test]
    fn threads_take_turns_at_the_same_guest_whatever_way_it_leaves() {
        be_ready();
        for way in [Way::Port, Way::Mmio, Way::Kick] {
            let guest = Guest::new(way).unwrap();
            let threads = [(); 3].map(|()| start(guest, Held::By(NONE)).unwrap());
            for thread in threads.iter().cycle().take(7) {
                for kind in [Kind::Exit, Kind::Refused, Kind::RefusedCold] {
                    assert!(thread.order(block(kind, 5)).unwrap().value > 0.0);
                }
            }
        }
    }

    #[test]
    fn work_is_done_with_each_call_and_without_any() {
        let thread = start(Guest::new(Way::Port).unwrap(), Held::By(NONE)).unwrap();
        let work = 100_000;
        let alone = Block { work, without_call: true, ..block(Kind::Refused, 20) };
        let alone = thread.order(alone).unwrap().value;
        let with_call = thread.order(Block { work, ..block(Kind::Refused, 20) }).unwrap().value;
        let call = thread.order(block(Kind::Refused, 20)).unwrap().value;
        assert!(alone > 10.0 * call && with_call > 10.0 * call, "{alone} {with_call} {call}");
    }

    #[test]
    fn a_thread_is_under_its_filter_before_the_first_block() {
        // The policy of io has no rule for ioctl.
        let fencing = Fencing { tier: Tier::Filter, on_violation: OnViolation::Errno };
        let error = start(Guest::new(Way::Port).unwrap(), Held::By(fencing.hold(&io::POLICY))).unwrap_err();
        assert!(matches!(error, Error::NotRefused { errno: libc::EPERM, .. }), "{error}");
    }

    #[test]
    fn a_thread_that_could_not_start_says_why() {
        let empty = Held::By(Hold::Program(Box::leak(Box::new([]))));
        let error = start(Guest::new(Way::Port).unwrap(), empty).unwrap_err();
        assert!(matches!(error, Error::Install(_)), "{error}");
    }
}
