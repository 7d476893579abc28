//! What the kernel holds for a filter, by its own counts: bytes and not nanoseconds.
//!
//! `MemFree` does not show it, since pages that were given back wait with their processor, megabytes of them. What a filter is made
//! of is counted where it is taken: a program lies in pages of its own (`VmallocUsed`), what describes it in the kernel's
//! heap (`Slab`, `Percpu`). Threads keep what they took until all is measured: what was given back would be taken again unseen.

use std::fs;
use std::io::{self, IoSlice};
use std::sync::mpsc;
use std::thread;

use procfs::{Current as _, Meminfo};
use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};
use seccomp_policies::bpf::Instruction;

use super::{harmless, rules};
use crate::bench::Error;
use crate::bench::experiment::{NOTHING, Prepared};
use crate::bench::method::{Contestant, Figure};
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
        (Variant::new("a message of 8 KiB", Part::Planted), keeping(send)),
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
    let notes = if counts_can_be_refreshed() {
        Vec::new()
    } else {
        vec!["the kernel brings its counts up to date for root alone (/proc/sys/vm/stat_refresh): they lag here".to_owned()]
    };
    Ok(Prepared { variants, contestants, notes })
}

/// What a thread has taken, beside its filters.
type Kept = Vec<(OwnedFd, OwnedFd)>;

/// A contestant whose threads each take something [`COUNT`] times, and stay.
fn keeping(
    take: impl Fn(&mut Kept) -> Result<(), Error> + Copy + Send + 'static,
) -> Contestant<'static, Error> {
    let mut staying = Vec::new();
    let block = move || {
        let thread = Staying::start(take)?;
        let before = in_the_kernel()?;
        thread.go()?;
        let after = in_the_kernel()?;
        staying.push(thread);
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

/// A thread that takes something when it is told, and keeps it until this is dropped.
struct Staying {
    go: Option<mpsc::Sender<()>>,
    done: mpsc::Receiver<Result<(), Error>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Staying {
    fn start(take: impl Fn(&mut Kept) -> Result<(), Error> + Send + 'static) -> Result<Self, Error> {
        let (go, told) = mpsc::channel();
        let (tell, done) = mpsc::channel();
        let body = move || {
            // Whoever started it hears that it is there, and says when.
            let _ = tell.send(Ok(()));
            if told.recv().is_err() {
                return;
            }
            let mut kept = Kept::new();
            let _ = tell.send((0..COUNT).try_for_each(|_| take(&mut kept)));
            // Nothing more is sent: it ends when the other side goes.
            let _ = told.recv();
        };
        let thread = thread::Builder::new().name("measured".into()).spawn(body).map_err(Error::Spawn)?;
        let staying = Self { go: Some(go), done, thread: Some(thread) };
        staying.hear()?;
        Ok(staying)
    }

    /// Has it take what it takes.
    fn go(&self) -> Result<(), Error> {
        if let Some(go) = &self.go {
            // Where it has ended, it says nothing.
            let _ = go.send(());
        }
        self.hear()
    }

    fn hear(&self) -> Result<(), Error> {
        self.done.recv().unwrap_or_else(|_| Err(Error::Spawn(io::ErrorKind::Other.into())))
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        drop(self.go.take());
        if let Some(thread) = self.thread.take() {
            // It has done nothing that could fail.
            let _ = thread.join();
        }
    }
}

/// Leaves a message in a socket.
fn send(kept: &mut Kept) -> Result<(), Error> {
    let failed = |errno: rustix::io::Errno| Error::Descriptor(errno.into());
    let message = [0; MESSAGE];
    let message = [IoSlice::new(&message)];
    loop {
        if let Some((socket, _)) = kept.last() {
            match sendmsg(socket, &message, &mut SendAncillaryBuffer::default(), SendFlags::DONTWAIT) {
                Err(rustix::io::Errno::AGAIN) => {}
                sent => return sent.map(drop).map_err(failed),
            }
        }
        kept.push(
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(failed)?,
        );
    }
}

/// Has the kernel put together what each processor counts for itself, which it else does once a second
/// (Linux `Documentation/admin-guide/sysctl/vm.rst`, `stat_refresh`).
fn counts_can_be_refreshed() -> bool {
    fs::read("/proc/sys/vm/stat_refresh").is_ok()
}

/// Bytes that the kernel has in the places that a filter is in.
#[expect(clippy::cast_precision_loss, reason = "a machine has less than 2^52 bytes")]
fn in_the_kernel() -> Result<f64, Error> {
    // Who may not has been told.
    counts_can_be_refreshed();
    let counts = Meminfo::current().map_err(Error::Memory)?;
    Ok((counts.vmalloc_used + counts.slab + counts.per_cpu.unwrap_or(0)) as f64)
}
