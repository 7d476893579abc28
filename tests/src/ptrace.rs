//! A thread held still by `ptrace`, as a debugger or an auditor holds it.

use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use seccomp_policies::bpf::Instruction;

use crate::procfs::Thread;

/// `PTRACE_SECCOMP_GET_FILTER`, Linux `include/uapi/linux/ptrace.h`.
const GET_FILTER: libc::c_uint = 0x420c;

/// A stopped thread of another process; goes on when this is dropped. Belongs to the thread that stopped it.
#[derive(Debug)]
pub struct Stopped {
    tid: i32,
    /// The process's first thread, whose end belongs to whoever started the process.
    is_first: bool,
    not_send: PhantomData<*const ()>,
}

impl Stopped {
    /// Attaches to the thread and stops it.
    ///
    /// # Errors
    /// The kernel's: no such thread, or no permission; and one where the thread ended instead of stopping.
    pub fn attach(thread: &Thread) -> io::Result<Self> {
        let tid = thread.tid;
        // SAFETY: PTRACE_SEIZE takes no address.
        checked(unsafe { request(libc::PTRACE_SEIZE, tid, ptr::null_mut(), ptr::null_mut()) })?;
        let stopped = Self { tid, is_first: tid == thread.pid, not_send: PhantomData };
        // SAFETY: PTRACE_INTERRUPT takes no address.
        checked(unsafe { request(libc::PTRACE_INTERRUPT, tid, ptr::null_mut(), ptr::null_mut()) })?;
        stopped.wait()?;
        Ok(stopped)
    }

    /// Waits for the stop, and for nothing else: the end of a process is for its parent to hear of.
    fn wait(&self) -> io::Result<()> {
        let tid = self.tid.cast_unsigned();
        let mut information = MaybeUninit::<libc::siginfo_t>::uninit();
        // SAFETY: `information` is written by the kernel and outlives the call.
        let waited = unsafe {
            libc::waitid(libc::P_PID, tid, information.as_mut_ptr(), libc::WSTOPPED | libc::__WALL)
        };
        if waited < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The thread's filter of this index, 0 for the newest, as the kernel has it. Only root may ask.
    ///
    /// # Errors
    /// The kernel's: `ENOENT` where there is no such filter, `EINVAL` where the thread is not in filter mode.
    pub fn filter(&self, index: usize) -> io::Result<Vec<Instruction>> {
        let at = ptr::without_provenance_mut(index);
        // SAFETY: without a buffer the kernel writes nothing and tells the program's length.
        let length = checked(unsafe { request(GET_FILTER, self.tid, at, ptr::null_mut()) })?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut program = vec![Instruction { code: 0, jt: 0, jf: 0, k: 0 }; length];
        // SAFETY: the buffer holds as many instructions as the kernel has just said that it will write; a filter
        // never changes, and the thread, being stopped, gets no other.
        checked(unsafe { request(GET_FILTER, self.tid, at, program.as_mut_ptr().cast()) })?;
        Ok(program)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // SAFETY: PTRACE_DETACH takes no address; its data is the signal to deliver, none.
        let detached = unsafe { request(libc::PTRACE_DETACH, self.tid, ptr::null_mut(), ptr::null_mut()) };
        if detached < 0 && !self.is_first {
            // It has ended. A traced thread stays until its tracer has heard of that, and its process with it.
            // SAFETY: no status is asked for.
            unsafe { libc::waitpid(self.tid, ptr::null_mut(), libc::__WALL) };
        }
    }
}

/// # Safety
/// `data` must be what the operation reads or writes, or null.
unsafe fn request(
    operation: libc::c_uint,
    tid: i32,
    address: *mut c_void,
    data: *mut c_void,
) -> libc::c_long {
    // SAFETY: the caller's promise; `address` is an index for the operations used here, never followed.
    unsafe { libc::ptrace(operation, tid, address, data) }
}

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
