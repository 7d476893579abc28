//! The exit codes of a run. One place for all of them; `docs/design.md`, section 5, shows the same table.

use super::Cause;
use crate::devices::exit_port;
use crate::machine::exit::End;

/// The guest ended the run: reset or power-off.
pub const GUEST_ENDED: u8 = 0;
/// Something failed, outside the guest or in KVM.
pub const ERROR: u8 = 1;
/// Triple fault or shutdown.
pub const SHUTDOWN: u8 = 3;
/// The guest's kernel panicked, and told so.
pub const GUEST_PANIC: u8 = 4;
/// A thread was refused a call.
pub const VIOLATION: u8 = 148;
/// Ended by signal N: this and N. The shell's own convention.
const SIGNAL_BASE: u8 = 128;

/// The exit code of a run that ended by `cause`.
pub fn of(cause: &Cause) -> u8 {
    match cause {
        Cause::Reset { .. } | Cause::PowerOff => GUEST_ENDED,
        Cause::GuestPanic => GUEST_PANIC,
        Cause::ExitPort(value) => exit_port::exit_code(*value),
        Cause::Guest { end: End::Shutdown, .. } => SHUTDOWN,
        Cause::Guest { .. } | Cause::Panic { .. } | Cause::Sigsys { .. } | Cause::Output { .. } => ERROR,
        Cause::Violation(_) | Cause::ConsoleEnded { .. } => VIOLATION,
        Cause::Signal(signal) => by_signal(*signal),
        Cause::Left => by_signal(libc::SIGINT),
    }
}

/// The exit code of a process that a signal ended.
pub fn by_signal(signal: i32) -> u8 {
    SIGNAL_BASE + u8::try_from(signal).unwrap_or(0) % SIGNAL_BASE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_the_code_of_the_table() {
        assert_eq!(of(&Cause::Reset { panic_shown: true }), 0);
        assert_eq!(of(&Cause::PowerOff), 0);
        assert_eq!(of(&Cause::GuestPanic), 4);
        assert_eq!(of(&Cause::ExitPort(255)), 79);
        assert_eq!(of(&Cause::Guest { vcpu: 0, end: End::Shutdown, registers: None }), 3);
        assert_eq!(of(&Cause::Output { errno: 28 }), 1);
        assert_eq!(of(&Cause::ConsoleEnded { thread: String::new() }), 148);
        assert_eq!(of(&Cause::Signal(15)), 143);
        assert_eq!(of(&Cause::Left), 130);
    }
}
