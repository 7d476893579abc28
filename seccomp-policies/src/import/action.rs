//! Actions that are in other languages and not in this one, and what they come to.

use std::ops::Range;

use super::Findings;
use crate::action::Action;
use crate::language::Diagnostic;

/// The highest error number that a call returns; the kernel cuts a greater one down: `MAX_ERRNO`, Linux
/// `include/linux/err.h` and `kernel/seccomp.c`.
const MAX_ERRNO: u16 = 4095;
/// What a call fails with where `SECCOMP_RET_TRACE` finds no tracer, and `SECCOMP_RET_USER_NOTIF` no listener: Linux
/// `kernel/seccomp.c`.
const ENOSYS: u16 = 38;
/// What stands for a refusal that the language does not have.
const EPERM: u16 = 1;

/// An error number that a call fails with.
pub(crate) fn errno(findings: &mut Findings, source: usize, span: Range<usize>, number: u16) -> Action {
    if number == 0 {
        let title = "a policy cannot refuse a call as if it had succeeded";
        findings.loss(
            Diagnostic::error(title, source, span, "errno 0")
                .help("where losses are taken, the call fails with EPERM"),
        );
        return Action::Errno(EPERM);
    }
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
