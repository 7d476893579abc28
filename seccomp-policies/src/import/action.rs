//! Actions that are in other languages and not in this one, and what they come to.

use std::ops::Range;

use super::Findings;
use crate::action::Action;
use crate::language::Diagnostic;
use crate::syscalls::Arch;

/// The highest error number that a call returns; the kernel cuts a greater one down: `MAX_ERRNO`, Linux
/// `include/linux/err.h` and `kernel/seccomp.c`.
const MAX_ERRNO: u16 = 4095;
/// What a call fails with where `SECCOMP_RET_TRACE` finds no tracer, and `SECCOMP_RET_USER_NOTIF` no listener: Linux
/// `kernel/seccomp.c`.
const ENOSYS: u16 = 38;

/// An error number that a call fails with; 0 is a refusal that reports success, in a policy as in the kernel.
pub(crate) fn errno(findings: &mut Findings, source: usize, span: Range<usize>, number: u16) -> Action {
    if number > MAX_ERRNO {
        let title = format!("the kernel returns error {MAX_ERRNO} for {number}");
        findings.note(Diagnostic::error(title, source, span, "beyond the last error number"));
    }
    Action::Errno(number.min(MAX_ERRNO))
}

/// A call that another process is asked about: `to` is a tracer or a listener.
pub(crate) fn handed(findings: &mut Findings, source: usize, span: Range<usize>, to: &str) -> Action {
    let title = format!("a policy cannot hand calls to a {to}");
    findings
        .loss(Diagnostic::error(title, source, span, "this action").help(format!(
            "where losses are taken, the call fails with ENOSYS, as it does where no {to} is"
        )));
    Action::Errno(ENOSYS)
}

/// Says what becomes of calls of the x32 ABI where `otherwise`, said at this place, allows: programs of other compilers
/// carry them out.
pub(crate) fn x32(
    findings: &mut Findings,
    source: usize,
    span: Range<usize>,
    (arch, otherwise): (Arch, Action),
) {
    if (arch, otherwise) == (Arch::X86_64, Action::Allow) {
        let title = "a call of the x32 ABI ends the process here";
        findings
            .note(Diagnostic::error(title, source, span, "the program that reads this lets it through").help(
            "its number is none that a rule names, so that it would get past each of them; the kernel may be \
             built without that ABI",
        ));
    }
}
