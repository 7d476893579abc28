//! A thread under one filter, that does blocks of `KVM_RUN` on command.
//!
//! A filter cannot be taken off a thread, so each variant has its own. All of them run the same vCPU, one after the
//! other, so that they differ in nothing else: two machines that are made alike take some 20 ns more or less for an
//! exit, by where their pages lie. The threads never end: ending is no call of a vCPU's policy.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kvm_ioctls::{VcpuFd, VmFd};
use ringfence::confine::install::{self, Hold};
use ringfence::confine::table::{self, Placement};
use ringfence::machine::exit::{self, Exit};
use ringfence::machine::{BuildError, Config, HugePages, Image, Machine, QuirkChoice};
use ringfence::role::policies::vcpu::slot;
use vmm_sys_util::ioctl::ioctl_with_val;

use crate::exchange::Exchange;

/// `KVM_RUN`, Linux `include/uapi/linux/kvm.h`: `_IO(KVMIO, 0x80)`.
pub const KVM_RUN_REQUEST: u64 = 0xae80;

/// The port that the guest `exits` writes to.
const PORT: u16 = 0x80;

/// Calls before the clock starts, as a share of the block: the thread has just been woken, perhaps on another
/// processor.
const WARM_UP_SHARE: u32 = 8;

/// What a block's calls are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The guest writes to a port that nobody listens on: into the guest and out again.
    PortExit,
    /// `KVM_RUN` with an argument that is not zero, which the kernel refuses with EINVAL before it enters the guest.
    Refused,
}

/// What went wrong in a measuring thread.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No machine.
    #[error("cannot build a machine for the benchmark: {0}")]
    Machine(#[from] Box<BuildError>),
    /// No thread.
    #[error("cannot start a measuring thread: {0}")]
    Spawn(io::Error),
    /// No table of its own.
    #[error(transparent)]
    Table(#[from] table::Error),
    /// The vCPU's page could not be mapped.
    #[error("cannot map a vCPU's kvm_run: {0}")]
    Vcpu(#[from] kvm_ioctls::Error),
    /// No filter.
    #[error(transparent)]
    Install(#[from] install::Error),
    /// The guest does something else than it is there for.
    #[error("the guest `exits` left the guest by something else than a port access: {0}")]
    Guest(&'static str),
    /// The guest-free call was not refused as it should be.
    #[error("KVM_RUN with a non-zero argument gave {result} (errno {errno}) instead of EINVAL")]
    NotRefused {
        /// What it returned.
        result: i32,
        /// The error number.
        errno: i32,
    },
}

/// A block of calls.
#[derive(Clone, Copy, Debug)]
struct Block {
    kind: Kind,
    calls: u32,
}

/// A machine whose guest does nothing but leave. It is there for good, as the threads are that run it.
#[derive(Clone, Copy, Debug)]
pub struct Guest(&'static Machine);

impl Guest {
    /// Builds the machine.
    ///
    /// # Errors
    /// [`Error::Machine`]
    pub fn new() -> Result<Self, Error> {
        let machine = Machine::build(&machine_config()).map_err(Box::new)?;
        Ok(Self(Box::leak(Box::new(machine))))
    }
}

/// The measuring thread, as its commander sees it.
#[derive(Debug)]
pub struct VcpuThread(Arc<Exchange<Block, Error>>);

impl VcpuThread {
    /// Starts a thread that runs this guest, and confines it. One thread at a time may do a block of a guest.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(Guest(machine): Guest, hold: Hold) -> Result<Self, Error> {
        let vcpu = machine.vcpus[0].as_raw_fd();
        let exchange = Arc::new(Exchange::new());
        let thread = Self(exchange.clone());
        let body = move || {
            let Err(error) = serve(&exchange, &machine.vm, vcpu, hold);
            exchange.put(Err(error));
        };
        thread::Builder::new().name("measured-vcpu".into()).spawn(body).map_err(Error::Spawn)?;
        thread.block(Kind::Refused, 1)?;
        Ok(thread)
    }

    /// Has the thread do a block of calls; gives the time of these calls alone.
    ///
    /// # Errors
    /// See [`Error`]; the thread is of no further use then.
    pub fn block(&self, kind: Kind, calls: u32) -> Result<Duration, Error> {
        self.0.measure(Block { kind, calls })
    }
}

fn machine_config() -> Config {
    // Looked up by name so that a guest that was renamed shows as an error of the machine, which has no kernel then.
    let image = guest_images::bare::find("exits").map_or(&[][..], |guest| guest.image);
    Config {
        vcpus: 1,
        memory_mib: 16,
        huge_pages: HugePages::Off,
        kernel: Image::Embedded { name: "exits", bytes: image },
        initrd: None,
        // More exits than any benchmark takes.
        command_line: i64::MAX.to_string(),
        devices: 0,
        keyboard: false,
        quirk: QuirkChoice::Auto,
    }
}

fn serve(exchange: &Exchange<Block, Error>, vm: &VmFd, vcpu: RawFd, hold: Hold) -> Result<Infallible, Error> {
    let placement = Placement { from: vcpu, slot: slot::VCPU };
    // SAFETY: this thread has brought a number alone; `vm` is used for the size of kvm_run, not for its descriptor.
    unsafe { table::take_own(&[placement]) }?;
    // SAFETY: the slot holds a vCPU of this VM, and this value is its only owner in this thread's table.
    let mut vcpu = unsafe { vm.create_vcpu_from_rawfd(slot::VCPU) }?;
    until_first_write(&mut vcpu)?;
    install::install(hold)?;
    exchange.serve(|Block { kind, calls }| run_block(&mut vcpu, kind, calls))
}

/// Lets the guest start and say what it says, if it has not yet; it expects a serial port that is always ready.
fn until_first_write(vcpu: &mut VcpuFd) -> Result<(), Error> {
    loop {
        match exit::run(vcpu) {
            Exit::PortOut { port: PORT, .. } => return Ok(()),
            Exit::PortIn { data, .. } => data.fill(0xff),
            Exit::PortOut { .. } | Exit::Interrupted => {}
            other => return Err(unexpected(&other)),
        }
    }
}

fn run_block(vcpu: &mut VcpuFd, kind: Kind, calls: u32) -> Result<Duration, Error> {
    repeat(vcpu, kind, calls / WARM_UP_SHARE)?;
    let start = Instant::now();
    repeat(vcpu, kind, calls)?;
    Ok(start.elapsed())
}

fn repeat(vcpu: &mut VcpuFd, kind: Kind, calls: u32) -> Result<(), Error> {
    match kind {
        Kind::PortExit => (0..calls).try_for_each(|_| port_exit(vcpu)),
        Kind::Refused => (0..calls).try_for_each(|_| refused(vcpu)),
    }
}

fn port_exit(vcpu: &mut VcpuFd) -> Result<(), Error> {
    match exit::run(vcpu) {
        // An interruption is a round trip like any other, and rare.
        Exit::PortOut { port: PORT, .. } | Exit::Interrupted => Ok(()),
        other => Err(unexpected(&other)),
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

#[cfg(test)]
mod tests {
    use ringfence::confine::{Fencing, OnViolation, Tier};
    use ringfence::role::policies::io;

    use super::*;
    use crate::variant;

    #[test]
    fn a_thread_under_each_variant_does_blocks_of_both_kinds() {
        let guest = Guest::new().unwrap();
        for variant in variant::all().unwrap() {
            let thread = VcpuThread::start(guest, variant.hold).unwrap();
            for kind in [Kind::Refused, Kind::PortExit, Kind::Refused] {
                assert!(thread.block(kind, 3).unwrap() > Duration::ZERO, "{}", variant.name);
            }
        }
    }

    #[test]
    fn threads_take_turns_at_the_same_guest() {
        let guest = Guest::new().unwrap();
        let threads = [(); 3].map(|()| VcpuThread::start(guest, Hold::Unconfined).unwrap());
        for thread in threads.iter().cycle().take(12) {
            thread.block(Kind::PortExit, 5).unwrap();
        }
    }

    #[test]
    fn a_thread_is_under_its_filter_before_the_first_block() {
        // The policy of io has no rule for ioctl.
        let fencing = Fencing { tier: Tier::Filter, on_violation: OnViolation::Errno };
        let error = VcpuThread::start(Guest::new().unwrap(), fencing.hold(&io::POLICY)).unwrap_err();
        assert!(matches!(error, Error::NotRefused { errno: libc::EPERM, .. }), "{error}");
    }

    #[test]
    fn a_thread_that_could_not_start_says_why() {
        let empty = Box::leak(Box::new([]));
        let error = VcpuThread::start(Guest::new().unwrap(), Hold::Program(empty)).unwrap_err();
        assert!(matches!(error, Error::Install(_)), "{error}");
    }
}
