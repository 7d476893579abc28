//! The running kernel as a judge of programs: a child process takes on a program, or strict mode, and makes calls.
//!
//! A child has no descriptor open, so that a call which is let through finds nothing to do harm to, and leads a
//! process group of its own, which is killed as a whole: whatever a wrong program lets it start goes with it.

use std::arch::asm;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};

use seccomp_policies::bpf::Instruction;
use seccomp_policies::call::Call;

use crate::wait;

/// What holds a child.
#[derive(Clone, Copy, Debug)]
pub enum Hold<'program> {
    /// A program in seccomp's filter mode.
    Program(&'program [Instruction]),
    /// Seccomp's strict mode.
    Strict,
}

/// How a child enters the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The `syscall` instruction: calls of `x86_64`, and of the x32 ABI where bit 30 of the number is set.
    Native,
    /// `int 0x80`: calls of i386, whatever the width of the code that makes them.
    Interrupt,
}

/// A child's answers to its calls, or how it ended instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// What the kernel returned for each call: an error is a negative number.
    Returned(Vec<i64>),
    /// The child ended while it made the call of this index.
    Ended(usize, ExitStatus),
}

/// Before the first call: the child could not be held.
const NOT_HELD: i32 = 99;

/// Makes the calls in a child under `hold`.
///
/// A call that the hold lets through is made for real: it must come back, and do no harm in a process without
/// descriptors.
///
/// # Panics
/// Where the system gives no child, or the child cannot be held.
pub fn answers(hold: Hold<'_>, entry: Entry, calls: &[Call]) -> Answers {
    let shared = Shared::new(calls.len());
    // SAFETY: fork has no precondition. The child makes system calls and writes to memory that is mapped already; it
    // takes no lock and allocates nothing, which is all that a child of a process with threads may do.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed: {}", io::Error::last_os_error());
    if child == 0 {
        run_child(hold, entry, calls, &shared);
    }
    let ended = wait::until("the child's calls", || {
        // Asked first: a child that has made all its calls does not end by itself.
        let ended = has_ended(child);
        (ended || shared.done() == calls.len()).then_some(ended)
    });
    // SAFETY: takes integers. The child is not waited for yet, so that its number means no other group.
    unsafe { libc::kill(-child, libc::SIGKILL) };
    let mut status = 0;
    // SAFETY: `status` outlives the call; `child` is this process's own.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child, "waiting for the child failed: {}", io::Error::last_os_error());
    let status = ExitStatus::from_raw(status);
    if ended {
        assert_ne!(status.code(), Some(NOT_HELD), "the kernel did not take {hold:?}");
        return Answers::Ended(shared.done(), status);
    }
    Answers::Returned(shared.results().iter().map(|result| result.load(Ordering::Acquire)).collect())
}

/// Looks whether the child has ended, and leaves it to be waited for.
fn has_ended(child: libc::pid_t) -> bool {
    // SAFETY: all-zero bytes are a valid siginfo_t.
    let mut information: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `information` outlives the call.
    unsafe { libc::waitid(libc::P_PID, child.cast_unsigned(), &raw mut information, options) };
    // Left zero where there is nothing to tell.
    information.si_signo != 0
}

fn run_child(hold: Hold<'_>, entry: Entry, calls: &[Call], shared: &Shared) -> ! {
    if !prepare() || !enter(hold) {
        // SAFETY: ends this process without running anything else of it.
        unsafe { libc::_exit(NOT_HELD) };
    }
    for (index, (call, result)) in calls.iter().zip(shared.results()).enumerate() {
        let answer = match entry {
            Entry::Native => native(call),
            Entry::Interrupt => interrupt(call),
        };
        result.store(answer, Ordering::Release);
        shared.set_done(index + 1);
    }
    // No call that would end or pause this process is allowed for sure; its parent kills it.
    loop {
        std::hint::spin_loop();
    }
}

fn prepare() -> bool {
    // SAFETY: takes integers: 0 means this process.
    let group = unsafe { libc::setpgid(0, 0) };
    // SAFETY: takes integers; the child uses no descriptor.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) };
    // SAFETY: takes integers.
    let no_new_privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    group == 0 && closed == 0 && no_new_privileges == 0
}

fn enter(hold: Hold<'_>) -> bool {
    match hold {
        // SAFETY: takes an integer.
        Hold::Strict => unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) == 0 },
        Hold::Program(instructions) => {
            let Ok(len) = libc::c_ushort::try_from(instructions.len()) else { return false };
            let program = libc::sock_fprog { len, filter: instructions.as_ptr().cast_mut().cast() };
            // SAFETY: `program` names the instructions of the borrowed slice, laid out as the kernel's `struct
            // sock_filter`; the kernel reads and does not keep it.
            let installed = unsafe {
                libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
            };
            installed == 0
        }
    }
}

/// Makes a call with exactly the registers that a filter will see.
fn native(call: &Call) -> i64 {
    let arguments = call.arguments;
    let result: i64;
    // SAFETY: the call of the registers, for which the caller of `answers` answers. The kernel changes rax, rcx and
    // r11 alone, which are declared.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") u64::from(call.number) => result,
            in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2],
            in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5],
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// Makes an i386 call without arguments: their registers hold what they hold.
fn interrupt(call: &Call) -> i64 {
    let result: i32;
    // SAFETY: the call of the number, for which the caller of `answers` answers. The kernel changes eax, and clears
    // r8 to r11, which are declared.
    unsafe {
        asm!(
            "int 0x80",
            inlateout("eax") call.number => result,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    i64::from(result)
}

/// Memory that a child fills and its parent reads: how many calls were made, then what they returned.
struct Shared {
    memory: *mut AtomicI64,
    words: usize,
}

impl Shared {
    fn new(count: usize) -> Self {
        let words = count + 1;
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let length = words * size_of::<AtomicI64>();
        // SAFETY: a new anonymous mapping, which overlaps nothing.
        let memory = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
        assert_ne!(memory, libc::MAP_FAILED, "mmap failed: {}", io::Error::last_os_error());
        Self { memory: memory.cast(), words }
    }

    fn words(&self) -> &[AtomicI64] {
        // SAFETY: the mapping holds this many words, starts at a page, is zero at first, and lives as long as `self`;
        // both processes use its words as atomics alone.
        unsafe { std::slice::from_raw_parts(self.memory, self.words) }
    }

    fn done(&self) -> usize {
        usize::try_from(self.words()[0].load(Ordering::Acquire)).unwrap_or(usize::MAX)
    }

    fn set_done(&self, count: usize) {
        self.words()[0].store(count.cast_signed() as i64, Ordering::Release);
    }

    fn results(&self) -> &[AtomicI64] {
        &self.words()[1..]
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped, by the same length; nothing borrows from it any more.
        unsafe { libc::munmap(self.memory.cast(), self.words * size_of::<AtomicI64>()) };
    }
}
