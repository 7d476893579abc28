//! Any program under a policy: it is started in a child, and what its filter refuses is told to this process.
//!
//! The filter answers a refused call with `SECCOMP_RET_USER_NOTIF` (Linux
//! `Documentation/userspace-api/seccomp_filter.rst`): the kernel holds the calling thread, of the program or of any
//! process that came of it, and hands call, arguments and thread to whoever has the filter's listener. Nobody is
//! traced. `docs/decisions/0006-exec-listens.md` says why.

mod child;
mod filter;
mod listener;
mod program;
mod signals;
mod supervise;
mod thread;

use std::io;

use seccomp_policies::compile;
use seccomp_policies::language::Policy;

use crate::report::Violation;

pub(crate) use listener::Listener;
pub use program::{Missing, Program};
pub(crate) use signals::Signals;

/// What becomes of a call that the policy refuses by trap or kill, or does not speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The first is reported, and ends the command.
    End,
    /// It fails with this error number, and the command goes on. The first is reported.
    Fail(u16),
    /// It is carried out, and each kind is reported once.
    Report,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// By itself: its exit code, or 128 and the signal. By a refused call: 148.
    pub code: u8,
    /// The first call that was refused.
    pub first: Option<Violation>,
    /// How many calls were refused, or would have been.
    pub refused: u64,
}

/// Why a command could not be started, or not be watched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No filter can be made of the policy.
    #[error("cannot compile the policy for a program: {0}")]
    Compile(#[from] compile::Error),
    /// The kernel did not take the filter.
    #[error(
        "the kernel did not take the filter with a listener: {0}; it needs CONFIG_SECCOMP_FILTER, Linux 5.5 or newer, \
         and no other listener above this process (ringfence doctor says what is there)"
    )]
    Filter(#[source] io::Error),
    /// The program did not start.
    #[error("cannot execute {path}: {source}")]
    Execute {
        /// The program.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something that every Linux has failed.
    #[error("cannot watch over the command: {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// For `map_err`: an error of a system call that should not fail.
fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::System { what, source: source.into() }
}

/// Runs a program under a policy until it ends. `say` is told of each call that is reported while the program goes on.
///
/// # Errors
/// See [`Error`]; the program has not run then, but for [`Error::System`].
pub fn run(
    program: &Program,
    policy: &Policy,
    manner: Manner,
    say: &mut dyn FnMut(&Violation),
) -> Result<Ended, Error> {
    let filter = filter::compile(policy, manner)?;
    let signals = Signals::take().map_err(system("signalfd"))?;
    let child = child::start(program, &filter, signals.before())?;
    supervise::supervise(child, program, policy, manner, &signals, say)
}
