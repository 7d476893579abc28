//! Signals: blocked in every thread, taken by main from a descriptor, and one that kicks a vCPU out of the guest.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::OnceLock;

/// Interrupts `KVM_RUN`. Named in main's policy. A signal that is ignored by default: the rule cannot say to whom it
/// is sent, so a main that an attacker has taken over could send it to any process of the user, without effect.
pub const KICK: libc::c_int = libc::SIGURG;

/// Signals that end a run in good order, unless whoever started the program has it ignore them.
const ENDING: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initializes the set behind the pointer.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialized by sigemptyset.
    let mut set = unsafe { set.assume_init() };
    for &signal in signals {
        // SAFETY: `set` is an initialized set; a bad number would be refused, not written.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) {
    // SAFETY: `set` is an initialized set; no old set is asked for. It cannot fail with a valid `how`.
    unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) };
}

/// Blocks all signals but SIGSYS in this thread and in those that it starts.
///
/// A fault (SIGSEGV, SIGBUS) that is blocked ends the process at once, without the handler of the standard
/// library, whose calls no role's policy allows.
pub fn block_all() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: sigfillset initializes the set behind the pointer.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: initialized by sigfillset.
    let mut all = unsafe { all.assume_init() };
    // SAFETY: `all` is an initialized set.
    unsafe { libc::sigdelset(&raw mut all, libc::SIGSYS) };
    change_mask(libc::SIG_SETMASK, &all);
}

/// Lets the kick reach this thread.
pub fn unblock_kick() {
    change_mask(libc::SIG_UNBLOCK, &set_of(&[KICK]));
}

extern "C" fn kicked(_signal: libc::c_int) {}

/// Installs the handler of [`KICK`], which does nothing: that it runs makes `KVM_RUN` return with EINTR.
///
/// # Errors
/// The kernel's, of `sigaction`.
pub fn handle_kick() -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int) = kicked;
    handle(KICK, handler as usize, 0)
}

/// Installs a handler, with every signal blocked while it runs.
pub(super) fn handle(signal: libc::c_int, handler: libc::sighandler_t, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid sigaction: the default action, an empty mask, no flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: `sa_mask` is a set that sigfillset initializes.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    // SAFETY: `action` is complete, and the handler lives as long as the program.
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether this process inherited that the signal is ignored, as `nohup` and a shell's background jobs have it.
fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: no new action is given; the present one is written behind the pointer.
    if unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: sigaction has succeeded, so it has written the whole value.
    unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// A descriptor from which main reads the signals that end a run. They must be blocked already.
///
/// Ignored ones are left out: the kernel keeps a signal that is blocked, ignored or not, for such a descriptor.
///
/// # Errors
/// The kernel's, of `signalfd`.
pub fn ending_signals() -> io::Result<OwnedFd> {
    let asked: Vec<_> = ENDING.into_iter().filter(|&signal| !is_ignored(signal)).collect();
    let set = set_of(&asked);
    // SAFETY: `set` is an initialized set; -1 asks for a new descriptor.
    let number = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Bytes of `struct signalfd_siginfo`, Linux `include/uapi/linux/signalfd.h`.
pub const SIGNALFD_SIGINFO_BYTES: usize = 128;

/// The signal's number in a `struct signalfd_siginfo`: its first member, `ssi_signo`.
pub fn number_in(siginfo: &[u8; SIGNALFD_SIGINFO_BYTES]) -> i32 {
    i32::from_ne_bytes([siginfo[0], siginfo[1], siginfo[2], siginfo[3]])
}

/// The usual name of a signal that ends a run.
pub fn name(signal: i32) -> &'static str {
    match signal {
        libc::SIGINT => "SIGINT",
        libc::SIGTERM => "SIGTERM",
        libc::SIGHUP => "SIGHUP",
        libc::SIGQUIT => "SIGQUIT",
        _ => "a signal",
    }
}

/// This process, for the calls that name it: asked for once, since no role has a rule for getpid.
static PROCESS: OnceLock<i32> = OnceLock::new();

/// Prepares [`kick`] and [`is_gone`], before the thread that uses them is fenced.
pub fn know_process() {
    PROCESS.get_or_init(|| rustix::process::getpid().as_raw_nonzero().get());
}

fn tgkill(tid: i32, signal: libc::c_int) -> io::Result<()> {
    // No process has the number 0, so without `know_process` the call fails.
    let process = PROCESS.get().copied().unwrap_or(0);
    // SAFETY: takes integers and touches no memory.
    match unsafe { libc::syscall(libc::SYS_tgkill, process, tid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends the kick to a thread of this process.
pub fn kick(tid: i32) {
    // The only error is that the thread is gone, and then there is nobody to kick.
    let _ = tgkill(tid, KICK);
}

/// Whether a thread of this process has ended. Signal 0 asks and sends nothing.
pub fn is_gone(tid: i32) -> bool {
    tgkill(tid, 0).is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH))
}
