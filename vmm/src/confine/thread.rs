//! The one door by which a thread of the monitor is born.
//!
//! Filters are inherited and add up, so every thread is born before main fences itself; none is made afterwards
//! (main's policy has no rule for it).
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use super::fence::{Role, Unfenced};
use super::futex;
use super::install::Fencing;
use super::record::{Phase, Record};

/// A role's loop keeps a few small frames; the largest holds a buffer of a few KiB.
const STACK_BYTES: usize = 256 * 1024;

/// How long a thread may take to fence itself; generous, since a busy host is no error.
const FENCE_LIMIT: Duration = Duration::from_secs(10);

/// Between looks at a thread that cannot wake main: one that has entered strict mode, or has failed.
const LOOK_AGAIN: Duration = Duration::from_micros(100);

/// Why a thread did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system made none.
    #[error("thread {name} could not be started: {source}; is the limit of processes (ulimit -u) reached?")]
    Spawn {
        /// The thread's name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It could not take on its role.
    #[error("thread {name} could not take on its role: {reason}")]
    Role {
        /// The thread's name.
        name: String,
        /// What it said.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It ended before it was ready, or is not ready yet.
    #[error("thread {name} was not ready within {} s, or ended before", FENCE_LIMIT.as_secs())]
    Silent {
        /// The thread's name.
        name: String,
    },
}

/// What a thread's body says when it cannot go on; it never returns otherwise.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A thread that was started.
#[derive(Debug)]
pub struct Started {
    /// What it leaves in shared memory.
    pub record: &'static Record,
    failure: Receiver<Failure>,
}

/// Starts a thread that takes on the role `R` in `body`.
///
/// # Errors
/// [`Error::Spawn`]
pub fn start<R: Role>(
    name: String,
    fencing: Fencing,
    body: impl FnOnce(Unfenced<R>) -> Result<Infallible, Failure> + Send + 'static,
) -> Result<Started, Error> {
    let record = Record::new(name.clone(), R::POLICY.role);
    let (said, failure) = mpsc::channel();
    let thread = move || {
        let Err(reason) = body(Unfenced::begin(record, fencing));
        // Main has stopped listening only if it is ending the process.
        let _ = said.send(reason);
    };
    thread::Builder::new()
        .name(name.clone())
        .stack_size(STACK_BYTES)
        .spawn(thread)
        .map_err(|source| Error::Spawn { name, source })?;
    Ok(Started { record, failure })
}

/// The process's first thread, which is there already.
pub fn first<R: Role>(name: &str, fencing: Fencing) -> (Unfenced<R>, &'static Record) {
    // The name is a convenience of /proc; it cannot fail for a text without a zero byte.
    if let Ok(text) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&text);
    }
    let record = Record::new(name.to_owned(), R::POLICY.role);
    (Unfenced::begin(record, fencing), record)
}

impl Started {
    /// Waits until the thread is under its filter, or has told main by its bell why it is not.
    ///
    /// # Errors
    /// [`Error::Role`] with what the thread said, or [`Error::Silent`].
    pub fn wait_fenced(&self) -> Result<(), Error> {
        let name = || self.record.name.clone();
        let limit = Instant::now() + FENCE_LIMIT;
        let word = self.record.phase_word();
        while word.load(Ordering::SeqCst) == Phase::Starting as u32 {
            match self.failure.try_recv() {
                Ok(reason) => return Err(Error::Role { name: name(), reason }),
                // It ended without a word: a panic before it had a table, which has been told where it happened.
                Err(TryRecvError::Disconnected) => return Err(Error::Silent { name: name() }),
                Err(TryRecvError::Empty) => {}
            }
            if Instant::now() > limit {
                return Err(Error::Silent { name: name() });
            }
            futex::wait_until(word, Instant::now() + LOOK_AGAIN, |phase| phase != Phase::Starting as u32);
        }
        Ok(())
    }
}
