//! A thread that is stopped for a moment, so that the kernel shows its filters.
//!
//! It is seized (`PTRACE_SEIZE`), which stops nothing and changes nothing that it can see, then interrupted, and let go as it
//! was found. Should this program end meanwhile, even by SIGKILL, the kernel lets it go (ptrace(2)).

use std::io;
use std::ptr;
use std::time::{Duration, Instant};

use libc::{c_int, c_long, c_void, pid_t};
use seccomp_policies::bpf::Instruction;

/// `PTRACE_SECCOMP_GET_FILTER`, Linux `include/uapi/linux/ptrace.h`.
const SECCOMP_GET_FILTER: libc::c_uint = 0x420c;

/// How long a thread is waited for that does not stop: one that sleeps uninterruptibly in the kernel.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why a thread's filters cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has ended.
    #[error("it has ended meanwhile")]
    Ended,
    /// Another process traces it, and there can be but one.
    #[error("process {tracer} traces it already, and a thread has one tracer; detach that one")]
    Traced {
        /// The tracer.
        tracer: i32,
    },
    /// Not for this user.
    #[error(
        "ptrace is refused: run as root, or give this program CAP_SYS_PTRACE and CAP_SYS_ADMIN; /proc/sys/kernel/yama/ptrace_scope \
         may have to be lower, too"
    )]
    Refused,
    /// Stopping is allowed, reading filters is not.
    #[error(
        "the kernel shows filters to nobody without CAP_SYS_ADMIN, and to nobody who is under a filter himself, as in a container: \
         run as root outside of it"
    )]
    Unprivileged,
    /// The kernel was built without this.
    #[error("this kernel shows no filters: it is built without CONFIG_CHECKPOINT_RESTORE")]
    NoInterface,
    /// A program that has no instructions of the kind that is shown.
    #[error("filter {index} was not made from classic BPF, and the kernel shows no other")]
    NotClassic {
        /// Its place, from the one installed first.
        index: usize,
    },
    /// It does not stop.
    #[error("it did not stop within {} ms: it sleeps uninterruptibly in the kernel; try again", PATIENCE.as_millis())]
    Busy,
    /// Something else.
    #[error("{call} failed: {error}")]
    Failed {
        /// What was asked.
        call: &'static str,
        /// The system's reason.
        error: String,
    },
}

/// A thread that stands still until this is dropped.
#[derive(Debug)]
pub struct Tracee {
    tid: pid_t,
    stopped: Instant,
    /// A signal that it was about to get, which it gets when it goes on.
    signal: c_int,
}

/// One call of ptrace(2); what it returned.
fn ptrace(request: libc::c_uint, tid: pid_t, address: usize, data: *mut c_void) -> io::Result<c_long> {
    // SAFETY: the requests of this module write at most to `data`, which is null or an array that is as long as the kernel was
    // asked before; the tracee is another process's thread.
    let result = unsafe { libc::ptrace(request, tid, ptr::without_provenance_mut::<c_void>(address), data) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn failed(call: &'static str, error: &io::Error) -> Error {
    Error::Failed { call, error: error.to_string() }
}

impl Tracee {
    /// Stops a thread. `tracer`: who traces it, as far as that is known.
    ///
    /// # Errors
    /// Why it goes on running, and is nobody's tracee by this.
    pub fn stop(tid: i32, tracer: i32) -> Result<Self, Error> {
        if tracer != 0 {
            return Err(Error::Traced { tracer });
        }
        ptrace(libc::PTRACE_SEIZE, tid, 0, ptr::null_mut()).map_err(|error| match error.raw_os_error() {
            Some(libc::ESRCH) => Error::Ended,
            Some(libc::EPERM) => Error::Refused,
            _ => failed("PTRACE_SEIZE", &error),
        })?;
        let stopped = Instant::now();
        ptrace(libc::PTRACE_INTERRUPT, tid, 0, ptr::null_mut())
            .map_err(|error| failed("PTRACE_INTERRUPT", &error))?;
        let signal = wait_until_stopped(tid, stopped + PATIENCE)?;
        Ok(Self { tid, stopped, signal })
    }

    /// The programs that hold the thread, in the order in which they were installed.
    ///
    /// # Errors
    /// Why the kernel does not show them.
    pub fn programs(&self) -> Result<Vec<Vec<Instruction>>, Error> {
        let mut programs = Vec::new();
        loop {
            let index = programs.len();
            match self.program(index) {
                Ok(program) => programs.push(program),
                // There are no more.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(programs),
                Err(error) => {
                    return Err(match error.raw_os_error() {
                        Some(libc::EACCES) => Error::Unprivileged,
                        Some(libc::EIO) => Error::NoInterface,
                        // A thread in another mode has no programs.
                        Some(libc::EINVAL) if index == 0 => return Ok(programs),
                        Some(libc::EMEDIUMTYPE) => Error::NotClassic { index },
                        Some(libc::ESRCH) => Error::Ended,
                        _ => failed("PTRACE_SECCOMP_GET_FILTER", &error),
                    });
                }
            }
        }
    }

    fn program(&self, index: usize) -> io::Result<Vec<Instruction>> {
        let length = ptrace(SECCOMP_GET_FILTER, self.tid, index, ptr::null_mut())?;
        let nothing = Instruction { code: 0, jt: 0, jf: 0, k: 0 };
        let mut program = vec![nothing; usize::try_from(length).unwrap_or_default()];
        ptrace(SECCOMP_GET_FILTER, self.tid, index, program.as_mut_ptr().cast())?;
        Ok(program)
    }

    /// Lets the thread go on; how long it stood still, at most.
    pub fn release(self) -> Duration {
        let stopped = self.stopped;
        drop(self);
        stopped.elapsed()
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        let signal = ptr::without_provenance_mut(usize::try_from(self.signal).unwrap_or_default());
        // Refused only where the thread is gone.
        let _ = ptrace(libc::PTRACE_DETACH, self.tid, 0, signal);
    }
}

/// Waits; the signal that it is to be given when it goes on.
fn wait_until_stopped(tid: pid_t, deadline: Instant) -> Result<c_int, Error> {
    loop {
        let mut status = 0;
        // SAFETY: writes the status and nothing else.
        let waited = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
        match waited {
            0 if Instant::now() < deadline => std::thread::sleep(Duration::from_micros(20)),
            0 => return Err(Error::Busy),
            _ if waited < 0 => {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::ECHILD) => return Err(Error::Ended),
                    _ => return Err(failed("waitpid", &error)),
                }
            }
            _ if !libc::WIFSTOPPED(status) => return Err(Error::Ended),
            // Stopped as asked, by `PTRACE_EVENT_STOP`, which stands above the signal; or on its way to a signal of its own.
            _ => return Ok(if status >> 16 == 0 { libc::WSTOPSIG(status) } else { 0 }),
        }
    }
}

/// Whether two threads have one table of descriptors; `None` where the kernel does not say.
pub fn share_descriptors(one: i32, other: i32) -> Option<bool> {
    /// `KCMP_FILES`, Linux `include/uapi/linux/kcmp.h`.
    const KCMP_FILES: c_long = 2;
    // SAFETY: compares two tables by their addresses and touches nothing.
    let result = unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_FILES, 0, 0) };
    (result >= 0).then_some(result == 0)
}
