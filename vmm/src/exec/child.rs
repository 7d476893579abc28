//! The child that becomes the program.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use seccomp_policies::bpf::Instruction;

use super::listener::Listener;
use super::{Error, Program, system};

/// Between looks for the listener, in nanoseconds. The child's last step before it is there is one call.
const LOOK_AGAIN_NS: i64 = 200_000;

/// What the child says in memory that it shares, since its filter may refuse every other way.
#[repr(C)]
struct Shared {
    /// The listener's number, in the table of descriptors that it shares as well; -1 before.
    listener: AtomicI32,
    /// Why the kernel did not take the filter; 0 if it did.
    filter_error: AtomicI32,
    /// Why the program did not start; 0 if it did, or has not yet.
    execute_error: AtomicI32,
}

/// A child under its filter that starts, or has started, its program.
pub(super) struct Child {
    pub(super) pid: i32,
    /// Becomes readable when the child has ended.
    pub(super) handle: OwnedFd,
    pub(super) listener: Listener,
    /// The arguments of the call that starts the program.
    pub(super) starting: [u64; 3],
    shared: &'static Shared,
}

impl Child {
    /// Why the program did not start, if it did not.
    pub(super) fn execute_error(&self) -> Option<io::Error> {
        let number = self.shared.execute_error.load(Ordering::Acquire);
        (number != 0).then(|| io::Error::from_raw_os_error(number))
    }
}

/// Pointers to C strings, and a null behind them: what `execve` takes.
struct Pointers(Vec<*const libc::c_char>);

impl Pointers {
    fn of(strings: &[CString]) -> Self {
        Self(strings.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect())
    }
}

/// Everything that the child needs, made before it is born: it may not allocate.
struct Plan<'a> {
    path: &'a CStr,
    arguments: Pointers,
    environment: Pointers,
    filter: libc::sock_fprog,
    mask: &'a libc::sigset_t,
}

/// Starts the child. `mask`: the blocked signals that the program gets.
///
/// The child shares this process's table of descriptors until its program starts, which is how the listener gets here
/// without a call that its filter might refuse.
pub(super) fn start(
    program: &Program,
    filter: &[Instruction],
    mask: &libc::sigset_t,
) -> Result<Child, Error> {
    let shared = shared().map_err(system("mmap"))?;
    let length = libc::c_ushort::try_from(filter.len()).expect("a program has at most 4096 instructions");
    let plan = Plan {
        path: &program.path,
        arguments: Pointers::of(&program.arguments),
        environment: Pointers::of(&program.environment),
        filter: libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut().cast() },
        mask,
    };
    let starting = [
        plan.path.as_ptr().addr() as u64,
        plan.arguments.0.as_ptr().addr() as u64,
        plan.environment.0.as_ptr().addr() as u64,
    ];
    let mut handle: libc::c_int = -1;
    let flags = libc::CLONE_FILES | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: without CLONE_VM the child has a copy of this memory, its stack included, as after fork; the kernel
    // writes the handle's number to `handle`. This process has one thread, so no lock is held in the copy.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut handle, 0, 0) };
    match pid {
        0 => become_program(&plan, shared),
        -1 => return Err(system("clone")(io::Error::last_os_error())),
        _ => {}
    }
    // SAFETY: made by clone just now, and nobody else owns it.
    let handle = unsafe { OwnedFd::from_raw_fd(handle) };
    let pid = i32::try_from(pid).expect("a process number fits");
    let number = wait_for_listener(&handle, shared)?;
    // SAFETY: the child has made it in the shared table, and does not touch it: its own copy of the table begins with
    // the program, and has the listener closed.
    let listener = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(Child { pid, handle, listener: Listener::new(listener), starting, shared })
}

/// A page that both processes have until the program starts. It is never unmapped; there is one.
fn shared() -> io::Result<&'static Shared> {
    let length = size_of::<Shared>();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, at no given address.
    let page = unsafe {
        libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)
    };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is large enough, page-aligned, zero, and stays; both processes touch it by atomics alone.
    let shared = unsafe { &*page.cast::<Shared>() };
    shared.listener.store(-1, Ordering::Relaxed);
    Ok(shared)
}

/// In the child: takes the filter and starts the program. Between the two it makes no call.
fn become_program(plan: &Plan, shared: &Shared) -> ! {
    // SAFETY: the mask is an initialized set; no old one is asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, plan.mask, ptr::null_mut()) };
    // Rust ignores it in every program; others expect its default.
    // SAFETY: sets a default action.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // If whoever answers its refused calls is killed, it goes too.
    // SAFETY: takes a number.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    // SAFETY: the program and its instructions live in this copy of the memory.
    let listener = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const plan.filter) };
    let Ok(listener @ 0..) = RawFd::try_from(listener) else {
        shared.filter_error.store(errno(), Ordering::Release);
        // SAFETY: ends the process.
        unsafe { libc::_exit(1) }
    };
    shared.listener.store(listener, Ordering::Release);
    let (arguments, environment) = (plan.arguments.0.as_ptr(), plan.environment.0.as_ptr());
    // SAFETY: a path and two null-terminated arrays of C strings, all alive.
    unsafe { libc::syscall(libc::SYS_execve, plan.path.as_ptr(), arguments, environment) };
    shared.execute_error.store(errno(), Ordering::Release);
    loop {
        // SAFETY: ends the process. The filter may refuse it; the parent ends the process then.
        unsafe { libc::syscall(libc::SYS_exit_group, 1) };
    }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// Waits until the child has its filter, or has ended without.
fn wait_for_listener(handle: &OwnedFd, shared: &Shared) -> Result<RawFd, Error> {
    let pause = Timespec { tv_sec: 0, tv_nsec: LOOK_AGAIN_NS };
    loop {
        let number = shared.listener.load(Ordering::Acquire);
        if number >= 0 {
            return Ok(number);
        }
        let mut ended = [PollFd::new(handle, PollFlags::IN)];
        if matches!(poll(&mut ended, Some(&pause)), Ok(1)) && shared.listener.load(Ordering::Acquire) < 0 {
            let error = shared.filter_error.load(Ordering::Acquire);
            return Err(match error {
                0 => system("the child ended")(io::Error::from_raw_os_error(libc::ECHILD)),
                number => Error::Filter(io::Error::from_raw_os_error(number)),
            });
        }
    }
}
