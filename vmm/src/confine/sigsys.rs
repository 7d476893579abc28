//! What a thread does when the kernel refuses one of its calls: it says what it asked for, and parks.
//!
//! Everything here runs in a signal handler, between any two instructions of the thread. It takes no lock,
//! allocates nothing, and makes three calls at most, each of which every filter role allows: one write, then
//! futex for ever, or `exit_group` in main.

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;

use seccomp_policies::call::Call;

use super::bell::Slot;
use super::record::{Farewell, Phase, Record};
use super::{futex, signals};

thread_local! {
    // Const and without a destructor, so that a signal handler may read it.
    static RECORD: Cell<Option<&'static Record>> = const { Cell::new(None) };
}

/// `si_code` of a SIGSYS that seccomp caused: `SYS_SECCOMP`, Linux `include/uapi/asm-generic/siginfo.h`.
const SYS_SECCOMP: libc::c_int = 1;

/// What main does last when it is itself refused a call, or panics. Set once by main, before it has a table of its
/// own.
static LAST_WORDS: OnceLock<LastWords> = OnceLock::new();

/// Says why main cannot go on, from its record, and ends the process. Runs in a signal handler.
pub type LastWords = fn(&'static Record, Phase) -> !;

/// The part of `siginfo_t` that libc does not name, for SIGSYS: Linux `include/uapi/asm-generic/siginfo.h`.
#[repr(C)]
struct SigsysInfo {
    number: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    padding: libc::c_int,
    call_address: u64,
    syscall: libc::c_int,
    arch: libc::c_uint,
}

/// Installs the SIGSYS handler for the whole process.
///
/// # Errors
/// The kernel's, of `sigaction`.
pub fn handle() -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int, *const SigsysInfo, *const libc::ucontext_t) = refused;
    signals::handle(libc::SIGSYS, handler as usize, libc::SA_SIGINFO)
}

/// Sets what main does last.
pub fn set_last_words(last_words: LastWords) {
    // A second set would be the same function.
    let _ = LAST_WORDS.set(last_words);
}

/// From now on the calling thread's violations and panics go to this record.
pub(super) fn attend(record: &'static Record) {
    RECORD.set(Some(record));
}

/// The calling thread's record, once it has one.
pub(super) fn record() -> Option<&'static Record> {
    RECORD.get()
}

extern "C" fn refused(_signal: libc::c_int, info: *const SigsysInfo, context: *const libc::ucontext_t) {
    let Some(record) = record() else {
        // No thread without a record has a filter, so somebody sent this signal.
        // SAFETY: ends the process; takes an integer.
        unsafe { libc::_exit(128 + libc::SIGSYS) }
    };
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t that lives until the handler returns, and for SIGSYS
    // its layout is that of `SigsysInfo`.
    let info = unsafe { &*info };
    if info.code != SYS_SECCOMP {
        end(record, Phase::Signalled);
    }
    // SAFETY: with SA_SIGINFO the kernel passes the interrupted context, which lives until the handler returns.
    let context = unsafe { &*context };
    record.store_call(&call_of(info, context));
    end(record, Phase::Violated);
}

#[expect(clippy::cast_sign_loss, reason = "registers and call numbers are bit patterns")]
fn call_of(info: &SigsysInfo, context: &libc::ucontext_t) -> Call {
    let register = |index: libc::c_int| context.uc_mcontext.gregs[index as usize] as u64;
    Call {
        number: info.syscall as u32,
        arch: info.arch,
        instruction_pointer: info.call_address,
        // The order of arguments in registers: Linux arch/x86/entry/entry_64.S.
        arguments: [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9]
            .map(register),
    }
}

/// Tells main, or speaks for it, and never returns.
pub(super) fn end(record: &'static Record, phase: Phase) -> ! {
    match record.farewell() {
        Farewell::RingMain(bell) => {
            record.set_phase(phase);
            Slot::placed(bell).ring();
            futex::park()
        }
        Farewell::EndThread => {
            record.set_phase_quietly(phase);
            loop {
                // SAFETY: ends the calling thread; takes an integer. Strict mode allows it.
                unsafe { libc::syscall(libc::SYS_exit, 1) };
            }
        }
        Farewell::EndProcess => {
            record.set_phase_quietly(phase);
            LAST_WORDS.get().map_or_else(|| futex::park(), |last_words| last_words(record, phase))
        }
    }
}
