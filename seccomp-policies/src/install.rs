//! Handing a policy's program to the kernel: for one thread, or for every thread of the process.
//!
//! A filter cannot be taken off again. It holds the thread, and every thread and program that the thread starts from
//! then on; a second one adds to it, and of several verdicts the strictest counts. So start threads first and confine
//! them after that, each from inside.
//!
//! Both functions set `no_new_privs` first: programs that the process executes get no rights from set-user-ID bits or
//! file capabilities. The kernel asks for that, since a filter could otherwise mislead a program with more rights.

use std::io;

use rustix::thread::SecureComputingMode;
use seccompiler::BpfProgramRef;

use crate::embed::{Embedded, Instruction, MAX_INSTRUCTIONS, OnViolation};
use crate::tier::Tier;

/// Why threads could not be confined. They are as they were, but for `no_new_privs`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused `no_new_privs`.
    #[error(
        "cannot give up new privileges, without which the kernel takes no filter: prctl(PR_SET_NO_NEW_PRIVS) \
         failed: {0}; it needs Linux 3.5, and a filter that the thread is under already must allow it"
    )]
    NoNewPrivileges(#[source] io::Error),
    /// The kernel takes no program of this length.
    #[error(
        "a seccomp filter has 1 to {MAX_INSTRUCTIONS} instructions, and this one has {0}; nothing was installed"
    )]
    Length(usize),
    /// The kernel refused the program.
    #[error(
        "the kernel did not take a seccomp filter of {instructions} instructions: {source}; {}",
        advice(source)
    )]
    Filter {
        /// Length of the program.
        instructions: usize,
        /// The error of seccomp(2).
        source: io::Error,
    },
    /// This thread of the process (as gettid(2) numbers it) could not be brought under the filter, so none was.
    #[error(
        "thread {0} is under a seccomp filter that the calling thread is not under, or in strict mode, so that the \
         threads of this process cannot be confined together; call `install_all` before a thread installs a filter \
         of its own"
    )]
    Thread(i64),
    /// The kernel refused strict mode.
    #[error(
        "prctl(PR_SET_SECCOMP) did not put the thread into strict mode: {0}; it needs CONFIG_SECCOMP and a thread \
         without a filter of its own"
    )]
    Strict(#[source] io::Error),
    /// Strict mode holds the calling thread and no other.
    #[error(
        "the policy of role `{role}` is of the strict tier, which holds only the thread that asks for it; call \
         `install` in each thread, or write `tier bitmask` or `tier filter` in the policy"
    )]
    StrictForAll {
        /// The policy's role.
        role: &'static str,
    },
}

/// What to do about an error of `seccomp(SECCOMP_SET_MODE_FILTER)`; see seccomp(2), and Linux `kernel/seccomp.c`.
fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => {
            "it needs Linux 3.17; if this is later, a filter that the thread is under already (a container's) refuses \
             seccomp(2)"
        }
        Some(libc::EINVAL) => {
            "the kernel needs CONFIG_SECCOMP_FILTER, and a program without jumps past its end and with a return on \
             every path"
        }
        Some(libc::EACCES | libc::EPERM) => {
            "a filter that the thread is under already refuses seccomp(2): install this one first, or allow the call \
             there"
        }
        Some(libc::ENOMEM) => {
            "all filters of a thread may have 32768 instructions together, 4 more counted for each of them: install \
             fewer"
        }
        _ => "seccomp(2) says what it means",
    }
}

/// Confines the calling thread to its policy. `on_violation` takes the place of the policy's `otherwise`, unless it is
/// [`OnViolation::AsWritten`].
///
/// From here on the thread makes the calls that the policy allows, and every other ends as is said there. A
/// policy of the strict tier has no choice there: the kernel kills the thread. Such a thread must not return, since
/// what a runtime does at the end of a thread is not among the four calls of strict mode.
///
/// # Errors
/// See [`Error`]; the thread is not confined then, and should not go on.
pub fn install(policy: &Embedded, on_violation: OnViolation) -> Result<(), Error> {
    match policy.variants(Tier::Filter) {
        Some(variants) => install_program(variants.get(on_violation)),
        None => install_strict(),
    }
}

/// Confines every thread of the process to one policy, in one step: `SECCOMP_FILTER_FLAG_TSYNC`, since Linux 3.17.
///
/// For a process that has started threads already, or whose libraries have, and whose threads share what they may do.
/// A thread may add a narrower policy of its own by [`install`] later, where this one allows `prctl` and `seccomp`.
///
/// # Errors
/// See [`Error`]; [`Error::Thread`] and [`Error::StrictForAll`] are this function's own. No thread is confined then.
pub fn install_all(policy: &Embedded, on_violation: OnViolation) -> Result<(), Error> {
    match policy.variants(Tier::Filter) {
        Some(variants) => apply(variants.get(on_violation), seccompiler::apply_filter_all_threads),
        None => Err(Error::StrictForAll { role: policy.role }),
    }
}

/// Confines the calling thread by a program that was compiled at run time, or chosen among those of a policy
/// ([`Embedded::variants`]).
///
/// # Errors
/// See [`Error`]; the thread is not confined then.
pub fn install_program(program: &[Instruction]) -> Result<(), Error> {
    apply(program, seccompiler::apply_filter)
}

/// Puts the calling thread into strict mode: `read`, `write`, `exit` and `rt_sigreturn`, and the kernel kills the thread
/// at any other call.
///
/// # Errors
/// [`Error::NoNewPrivileges`] and [`Error::Strict`]; the thread is not confined then.
pub fn install_strict() -> Result<(), Error> {
    // Strict mode does not ask for it. Set all the same, so that confined threads are alike.
    rustix::thread::set_no_new_privs(true).map_err(|errno| Error::NoNewPrivileges(errno.into()))?;
    rustix::thread::set_secure_computing_mode(SecureComputingMode::Strict)
        .map_err(|errno| Error::Strict(errno.into()))
}

fn apply(
    program: &[Instruction],
    apply: fn(BpfProgramRef<'_>) -> Result<(), seccompiler::Error>,
) -> Result<(), Error> {
    let instructions = program.len();
    if !(1..=MAX_INSTRUCTIONS).contains(&instructions) {
        return Err(Error::Length(instructions));
    }
    apply(program).map_err(|error| match error {
        seccompiler::Error::Prctl(source) => Error::NoNewPrivileges(source),
        seccompiler::Error::Seccomp(source) => Error::Filter { instructions, source },
        seccompiler::Error::ThreadSync(thread) => Error::Thread(thread),
        other => Error::Filter { instructions, source: io::Error::other(other) },
    })
}
