//! A command that is started and held before its program begins, until whoever watches is ready.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::thread::JoinHandle;

use rustix::pipe::{PipeFlags, pipe_with};

use super::Error;

/// A child that has not begun its program.
pub(super) struct Held {
    pid: i32,
    go: std::fs::File,
    starting: JoinHandle<io::Result<Child>>,
}

impl Held {
    /// Starts a child for the command, and has it wait. `mask`: the blocked signals that its program gets.
    ///
    /// # Errors
    /// [`Error::Start`], [`Error::System`]
    pub(super) fn start(command: &[OsString], mask: libc::sigset_t) -> Result<Self, Error> {
        let system = |what| move |error: rustix::io::Errno| Error::System { what, source: error.into() };
        let (ready, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(system("make a pipe"))?;
        let (wait, go) = pipe_with(PipeFlags::CLOEXEC).map_err(system("make a pipe"))?;
        let (name, arguments) = command.split_first().ok_or(Error::NoCommand)?;
        let mut command = Command::new(name);
        command.args(arguments);
        let (inner_wait, inner_tell) = (wait.as_raw_fd(), tell.as_raw_fd());
        // If this end were open in the child it would wait for itself.
        let outer_go = go.as_raw_fd();
        let held = move || {
            let pid = std::process::id().to_ne_bytes();
            // SAFETY: the mask is an initialized set; no old one is asked for.
            unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut()) };
            // SAFETY: the child's copy, which nothing else uses there.
            unsafe { libc::close(outer_go) };
            // SAFETY: writes from an array that is there, of its length.
            unsafe { libc::write(inner_tell, pid.as_ptr().cast(), pid.len()) };
            let mut byte = 0_u8;
            // SAFETY: reads a byte into a byte.
            match unsafe { libc::read(inner_wait, (&raw mut byte).cast(), 1) } {
                1 => Ok(()),
                _ => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
            }
        };
        // SAFETY: the closure makes system calls on descriptors that stay open, and allocates nothing.
        unsafe { command.pre_exec(held) };
        // `spawn` comes back when the program has begun.
        let ends: (OwnedFd, OwnedFd) = (wait, tell);
        let starting = std::thread::spawn(move || {
            let child = command.spawn();
            drop(ends);
            child
        });
        let mut pid = [0; 4];
        if std::fs::File::from(ready).read_exact(&mut pid).is_err() {
            // It did not get as far.
            return Err(match starting.join() {
                Ok(Err(source)) => Error::Start { name: name.clone(), source },
                _ => Error::Start { name: name.clone(), source: io::ErrorKind::Other.into() },
            });
        }
        Ok(Self { pid: i32::from_ne_bytes(pid), go: go.into(), starting })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Lets it begin, without waiting until it has.
    pub(super) fn release(mut self) -> Released {
        // Refused only where it is gone, which its end tells.
        let _ = self.go.write_all(&[1]);
        Released(self.starting)
    }
}

/// A child that begins its program.
pub(super) struct Released(JoinHandle<io::Result<Child>>);

impl Released {
    /// Whether it has begun, or could not.
    pub(super) fn is_decided(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits until the program has begun.
    ///
    /// # Errors
    /// Why it could not.
    pub(super) fn begun(self) -> io::Result<Child> {
        self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
