//! A process that traces a thread of this one, as `strace` does: stopped before and after each call: `ptrace(2)`.
//!
//! A thread cannot be traced by its own process. So one is made by fork, before there are threads, that waits for its
//! orders.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::bench::Error;

/// A process that waits to be told what to trace. It ends with this process.
#[derive(Debug)]
pub struct Tracer {
    order: OwnedFd,
    answer: OwnedFd,
    pid: libc::pid_t,
}

impl Tracer {
    /// Makes the process.
    ///
    /// # Errors
    /// [`Error::Tracer`], also where this process has threads by now: the child of one of several may not even ask for
    /// memory.
    pub fn fork() -> Result<Self, Error> {
        let threads = std::fs::read_dir("/proc/self/task").map_err(Error::Tracer)?.count();
        if threads > 1 {
            return Err(Error::Tracer(io::Error::other(format!(
                "this process has {threads} threads by now"
            ))));
        }
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|errno| Error::Tracer(errno.into()));
        let ((told, order), (answer, tell)) = (pipe()?, pipe()?);
        // SAFETY: this process has one thread, so that the child may do what any may.
        match unsafe { libc::fork() } {
            -1 => Err(Error::Tracer(io::Error::last_os_error())),
            0 => {
                drop((order, answer));
                trace(&told, &tell)
            }
            pid => Ok(Self { order, answer, pid }),
        }
    }

    /// Has it trace a thread of this process from now on.
    ///
    /// # Errors
    /// [`Error::Tracer`]
    pub fn trace(self, tid: i32) -> Result<(), Error> {
        let failed = |errno: rustix::io::Errno| Error::Tracer(errno.into());
        // Yama lets no process trace one that is not its child, unless that says so (Linux
        // Documentation/admin-guide/LSM/Yama.rst). Kernels without it know no such thing, and need none.
        // SAFETY: takes a number.
        unsafe { libc::prctl(libc::PR_SET_PTRACER, self.pid) };
        rustix::io::write(&self.order, &tid.to_ne_bytes()).map_err(failed)?;
        let mut errno = [0; 4];
        match rustix::io::read(&self.answer, &mut errno).map_err(failed)? {
            4 if errno == [0; 4] => Ok(()),
            4 => Err(Error::Tracer(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))),
            _ => Err(Error::Tracer(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// The child's life.
fn trace(told: &OwnedFd, tell: &OwnedFd) -> ! {
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let mut tid = [0; 4];
    if rustix::io::read(told, &mut tid) == Ok(4) {
        let tid = i32::from_ne_bytes(tid);
        let errno = seize(tid).err().and_then(|error| error.raw_os_error()).unwrap_or(0);
        let is_told = rustix::io::write(tell, &errno.to_ne_bytes()).is_ok();
        if errno == 0 && is_told {
            follow(tid);
        }
    }
    // SAFETY: ends this process, of which nothing needs to be tidied.
    unsafe { libc::_exit(0) }
}

fn seize(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SEIZE, tid, libc::PTRACE_O_TRACESYSGOOD)?;
    ptrace(libc::PTRACE_INTERRUPT, tid, 0)
}

/// Lets the thread go on from stop to stop until it ends.
fn follow(tid: i32) {
    let mut status = 0;
    // SAFETY: the kernel writes a number where there is one.
    while unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL) } == tid && libc::WIFSTOPPED(status) {
        let stop = libc::WSTOPSIG(status);
        // The stop at a call, and those by ptrace itself (an event in the upper bits), hand over no signal.
        let is_ours = stop == libc::SIGTRAP | 0x80 || status >> 16 != 0;
        let signal = if is_ours { 0 } else { stop };
        if ptrace(libc::PTRACE_SYSCALL, tid, signal).is_err() {
            return;
        }
    }
}

fn ptrace(request: libc::c_uint, tid: i32, data: i32) -> io::Result<()> {
    // SAFETY: none of the requests that are made here reads or writes this process' memory.
    let outcome = unsafe { libc::ptrace(request, tid, 0_usize, libc::c_long::from(data)) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
