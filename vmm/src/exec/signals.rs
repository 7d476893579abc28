//! Signals to this process that are meant for the program.
//!
//! The program is in this process's group, so the terminal's keys reach both, and Ctrl-Z stops both. What comes from
//! the terminal is left to the program; what somebody sent to this process alone is passed on.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// What is passed on.
const PASSED_ON: [libc::c_int; 7] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM];

/// Takes the signals from a descriptor while it lives.
pub(crate) struct Signals {
    descriptor: OwnedFd,
    before: libc::sigset_t,
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Signals {
    pub(crate) fn take() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initializes the set behind the pointer.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: initialized by sigemptyset.
        let mut set = unsafe { set.assume_init() };
        for signal in PASSED_ON {
            // SAFETY: `set` is initialized, and the number is a signal's.
            unsafe { libc::sigaddset(&raw mut set, signal) };
        }
        let mut before = set;
        // SAFETY: both sets are initialized.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, &raw mut before) };
        // SAFETY: the set is initialized; -1 asks for a new descriptor.
        let descriptor =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd has just made it, and nobody else owns it.
        Ok(Self { descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) }, before })
    }

    /// The signals that were blocked before.
    pub(crate) const fn before(&self) -> &libc::sigset_t {
        &self.before
    }

    /// The next signal that a process sent; those of the terminal have reached the program already.
    pub(crate) fn next_sent(&self) -> Option<libc::c_int> {
        loop {
            let signal = self.next()?;
            // Zero and below: sent by a process (`SI_USER`, `SI_QUEUE`, `SI_TKILL`), sigaction(2).
            if signal.ssi_code <= 0 {
                return i32::try_from(signal.ssi_signo).ok();
            }
        }
    }

    /// Whether a signal has come, from whomever; it is taken.
    pub(crate) fn has_come(&self) -> bool {
        self.next().is_some()
    }

    fn next(&self) -> Option<libc::signalfd_siginfo> {
        let mut signal = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the kernel writes at most `size` bytes, which the buffer has.
        let count = unsafe { libc::read(self.descriptor.as_raw_fd(), signal.as_mut_ptr().cast(), size) };
        // SAFETY: the kernel has written all of it.
        (usize::try_from(count) == Ok(size)).then(|| unsafe { signal.assume_init() })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: the set is the one that the kernel gave.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}
