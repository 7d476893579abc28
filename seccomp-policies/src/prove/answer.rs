//! What a program answers, as far as the kernel makes a difference.

use std::fmt;

use crate::action::Action;

/// The largest error number of a system call: `MAX_ERRNO`, Linux `include/linux/err.h`.
const MAX_ERRNO: u32 = 4095;

/// A program's return value, without what the kernel does not look at.
///
/// Data counts where `__seccomp_filter` (Linux `kernel/seccomp.c`) uses it: the error number, at most 4095, and what
/// a tracer or a SIGSYS handler is told. An action that the kernel does not know stays as it is, because it has a
/// place in the order of stacked programs; what becomes of the call is [`Answer::effect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Answer(u32);

impl Answer {
    /// What a return value comes to.
    pub const fn from_return_value(value: u32) -> Self {
        let action = value & libc::SECCOMP_RET_ACTION_FULL;
        let data = value & libc::SECCOMP_RET_DATA;
        Self(match action {
            libc::SECCOMP_RET_ERRNO if data > MAX_ERRNO => action | MAX_ERRNO,
            libc::SECCOMP_RET_ERRNO | libc::SECCOMP_RET_TRAP | libc::SECCOMP_RET_TRACE => value,
            _ => action,
        })
    }

    /// Whether the kernel looks at the data of return values with this action, its upper half.
    pub(super) const fn has_data(action: u32) -> bool {
        matches!(action, libc::SECCOMP_RET_ERRNO | libc::SECCOMP_RET_TRAP | libc::SECCOMP_RET_TRACE)
    }

    /// The return value, with no bit set that the kernel does not look at.
    pub const fn return_value(self) -> u32 {
        self.0
    }

    /// The action, where it is one that policies have.
    pub const fn action(self) -> Option<Action> {
        Action::from_return_value(self.0)
    }

    /// What becomes of the call: an action that the kernel does not know ends the process.
    #[must_use]
    pub const fn effect(self) -> Self {
        let known = matches!(
            self.0 & libc::SECCOMP_RET_ACTION_FULL,
            libc::SECCOMP_RET_KILL_PROCESS
                | libc::SECCOMP_RET_KILL_THREAD
                | libc::SECCOMP_RET_TRAP
                | libc::SECCOMP_RET_ERRNO
                | libc::SECCOMP_RET_USER_NOTIF
                | libc::SECCOMP_RET_TRACE
                | libc::SECCOMP_RET_LOG
                | libc::SECCOMP_RET_ALLOW
        );
        if known { self } else { Self(libc::SECCOMP_RET_KILL_PROCESS) }
    }

    /// Whether the call is carried out.
    pub const fn permission(self) -> Permission {
        match self.0 & libc::SECCOMP_RET_ACTION_FULL {
            libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG => Permission::Granted,
            libc::SECCOMP_RET_TRACE | libc::SECCOMP_RET_USER_NOTIF => Permission::Delegated,
            _ => Permission::Refused,
        }
    }

    /// The place in the order of stacked programs, where the lowest wins: the kernel compares actions as signed numbers
    /// (`seccomp_run_filters`, Linux `kernel/seccomp.c`).
    pub(super) const fn precedence(self) -> i32 {
        (self.0 & libc::SECCOMP_RET_ACTION_FULL).cast_signed()
    }
}

impl From<Action> for Answer {
    fn from(action: Action) -> Self {
        Self::from_return_value(action.to_return_value())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.0 & libc::SECCOMP_RET_DATA;
        match (self.action(), self.0 & libc::SECCOMP_RET_ACTION_FULL) {
            (Some(Action::Trap), _) if data != 0 => write!(f, "trap {data}"),
            (Some(action), _) => action.fmt(f),
            (None, libc::SECCOMP_RET_TRACE) => write!(f, "trace {data}"),
            (None, libc::SECCOMP_RET_USER_NOTIF) => f.write_str("user_notif"),
            (None, action) => write!(f, "kill, by the unknown action {action:#x}"),
        }
    }
}

/// How far an answer lets a call go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// The kernel does not carry the call out.
    Refused,
    /// A tracer or a supervisor decides.
    Delegated,
    /// The kernel carries the call out.
    Granted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_counts_where_the_kernel_looks_at_it() {
        let same = |one, other| Answer::from_return_value(one) == Answer::from_return_value(other);
        assert!(same(libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_ALLOW | 7));
        assert!(same(libc::SECCOMP_RET_KILL_PROCESS, libc::SECCOMP_RET_KILL_PROCESS | 7));
        assert!(!same(libc::SECCOMP_RET_TRAP, libc::SECCOMP_RET_TRAP | 7));
        assert!(!same(libc::SECCOMP_RET_ERRNO | 1, libc::SECCOMP_RET_ERRNO | 2));
        assert!(same(libc::SECCOMP_RET_ERRNO | 4095, libc::SECCOMP_RET_ERRNO | 0xffff));
    }

    #[test]
    fn an_unknown_action_ends_the_process_and_keeps_its_place_among_stacked_programs() {
        let unknown = Answer::from_return_value(0x1234_5678);
        assert_eq!(unknown.effect(), Action::KillProcess.into());
        assert!(unknown.precedence() > Answer::from(Action::Errno(1)).precedence());
        assert!(unknown.precedence() < Answer::from(Action::Allow).precedence());
        assert_eq!(unknown.to_string(), "kill, by the unknown action 0x12340000");
    }
}
