//! What the kernel holds for a filter, by its own counts: bytes and not nanoseconds.
//!
//! `MemFree` does not show it, since pages that were given back wait with their processor, megabytes of them. What a filter is made
//! of is counted where it is taken: a program lies in pages of its own (`VmallocUsed`), what describes it in the kernel's
//! heap (`Slab`, `Percpu`). Threads keep what they took until the process ends: what was given back would be taken again unseen.

use std::fs;

use procfs::{Current as _, Meminfo};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
use seccomp_policies::bpf::Instruction;

use super::{harmless, rules};
use crate::bench::Error;
use crate::bench::experiment::{NOTHING, Prepared};
use crate::bench::method::{Contestant, Figure};
use crate::bench::thread::Measured;
use crate::bench::variant::{self, Part, Variant};
use crate::confine::Tier;
use crate::confine::install::{self, Hold};
use crate::role::policies::{io as io_policy, vcpu};

/// What people choose it by.
pub const NAME: &str = "confine/memory";

/// Filters of a thread, or what else it takes: enough that the kernel's pages are many, and no more than a thread may have (its programs
/// have 32768 instructions at most, `MAX_INSNS_PER_PATH` of Linux `kernel/seccomp.c`).
const COUNT: u16 = 32;

/// What is planted: a message that waits in a socket, which the kernel keeps in a piece of its heap. Those are of powers of two, and
/// this one is all but filled: with what the kernel adds (`struct skb_shared_info`, 320 bytes) it takes [`HEAP_PIECE`].
const MESSAGE: usize = HEAP_PIECE - 1024;
const HEAP_PIECE: usize = 8192;

/// What describes that message: a `struct sk_buff` in its own pool, of 256 bytes (Linux `include/linux/skbuff.h`).
const DESCRIPTION: usize = 256;

/// Rules of the longer programs.
const RULES: [u32; 2] = [40, 100];

/// Makes ready.
///
/// # Errors
/// See [`Error`].
pub(super) fn prepare() -> Result<Prepared, Error> {
    let nothing = |_: &mut Kept| Ok(());
    let mut all = vec![
        (Variant::new(NOTHING, Part::Baseline), keeping(nothing)),
        (Variant::new("nothing, again", Part::Control), keeping(nothing)),
        (Variant::new("a message of 8 KiB", Part::Planted), keeping(leave_message)),
        (Variant::new("that message, by its size", Part::Work), message_by_its_size()),
    ];
    let of_policy = |policy, tier| harmless(variant::embedded(policy, tier));
    let programs = [
        ("bitmask of a vCPU", of_policy(&vcpu::POLICY, Tier::Bitmask)),
        ("filter of a vCPU", of_policy(&vcpu::POLICY, Tier::Filter)),
        ("filter of io", of_policy(&io_policy::POLICY, Tier::Filter)),
    ];
    let named = programs.map(|(name, program)| Ok((name.to_owned(), program)));
    let longer =
        RULES.map(|count| rules(count).map(|program| (format!("{} instructions", program.len()), program)));
    for program in named.into_iter().chain(longer) {
        let (name, program) = program?;
        let instructions = Some(program.len());
        let variant = Variant { instructions, ..Variant::new(name, Part::Subject) };
        let program: &'static [Instruction] = program.leak();
        all.push((variant, keeping(move |_: &mut Kept| Ok(install::install(Hold::Program(program))?))));
    }
    let (variants, contestants) = all.into_iter().unzip();
    let notes = if refresh_counts() {
        Vec::new()
    } else {
        vec!["the kernel brings its counts up to date for root alone (/proc/sys/vm/stat_refresh): they lag here".to_owned()]
    };
    Ok(Prepared { variants, contestants, notes })
}

/// What a thread has taken, beside its filters.
type Kept = Vec<(OwnedFd, OwnedFd)>;

/// What a thread is told.
enum Told {
    /// To say that it is there.
    Here,
    /// To take what it takes, [`COUNT`] times.
    Take,
}

/// A contestant whose threads each take something, and stay.
fn keeping(
    take: impl Fn(&mut Kept) -> Result<(), Error> + Copy + Send + 'static,
) -> Contestant<'static, Error> {
    let block = move || {
        let thread = Measured::start(move || {
            let mut kept = Kept::new();
            Ok(move |told| {
                if let Told::Take = told {
                    (0..COUNT).try_for_each(|_| take(&mut kept))?;
                }
                Ok(Figure::default())
            })
        })?;
        thread.order(Told::Here)?;
        let before = in_the_kernel()?;
        thread.order(Told::Take)?;
        let after = in_the_kernel()?;
        Ok(Figure { value: (after - before) / f64::from(COUNT), migrated: false })
    };
    // What else happens makes a figure larger or smaller.
    Contestant { blocks: 1, ..Contestant::new(block) }
}

#[expect(clippy::cast_precision_loss, reason = "some thousand bytes")]
fn message_by_its_size() -> Contestant<'static, Error> {
    let value = (HEAP_PIECE + DESCRIPTION) as f64;
    Contestant { blocks: 1, ..Contestant::new(move || Ok(Figure { value, migrated: false })) }
}

/// Leaves a message in a socket.
fn leave_message(kept: &mut Kept) -> Result<(), Error> {
    let failed = |errno: Errno| Error::Descriptor(errno.into());
    loop {
        if let Some((socket, _)) = kept.last() {
            match send(socket, &[0; MESSAGE], SendFlags::DONTWAIT) {
                Err(Errno::AGAIN) => {}
                sent => return sent.map(drop).map_err(failed),
            }
        }
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        kept.push(pair.map_err(failed)?);
    }
}

/// Has the kernel put together what each processor counts for itself, which it else does once a second
/// (Linux `Documentation/admin-guide/sysctl/vm.rst`, `stat_refresh`). Whether it lets this process ask for that.
fn refresh_counts() -> bool {
    fs::read("/proc/sys/vm/stat_refresh").is_ok()
}

/// Bytes that the kernel has in the places that a filter is in.
#[expect(clippy::cast_precision_loss, reason = "a machine has less than 2^52 bytes")]
fn in_the_kernel() -> Result<f64, Error> {
    // Who may not ask has been told.
    let _ = refresh_counts();
    let counts = Meminfo::current().map_err(Error::Memory)?;
    Ok((counts.vmalloc_used + counts.slab + counts.per_cpu.unwrap_or(0)) as f64)
}
