//! What the kernel does with a call after the filter has judged it.

use std::fmt;

/// A verdict of a filter: the upper half of the value that a BPF program returns, with its data.
///
/// Values: `SECCOMP_RET_*`, Linux `include/uapi/linux/seccomp.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The call is carried out.
    Allow,
    /// The call is not carried out and returns this error number, 1 to 4095; with 0 it reports success.
    Errno(u16),
    /// The call is not carried out; the thread gets SIGSYS.
    Trap,
    /// The call is carried out and logged by the kernel (rate-limited).
    Log,
    /// The thread ends; the others go on without it.
    KillThread,
    /// The process ends with SIGSYS; no handler runs.
    KillProcess,
}

impl Action {
    /// The value that a BPF program returns for this action.
    pub const fn to_return_value(self) -> u32 {
        match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Errno(number) => libc::SECCOMP_RET_ERRNO | number as u32,
            Self::Trap => libc::SECCOMP_RET_TRAP,
            Self::Log => libc::SECCOMP_RET_LOG,
            Self::KillThread => libc::SECCOMP_RET_KILL_THREAD,
            Self::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }

    /// The action behind a program's return value; `None` for one that this crate never compiles
    /// (trace, user notification).
    pub const fn from_return_value(value: u32) -> Option<Self> {
        match value & libc::SECCOMP_RET_ACTION_FULL {
            libc::SECCOMP_RET_ALLOW => Some(Self::Allow),
            libc::SECCOMP_RET_ERRNO => Some(Self::Errno((value & libc::SECCOMP_RET_DATA) as u16)),
            libc::SECCOMP_RET_TRAP => Some(Self::Trap),
            libc::SECCOMP_RET_LOG => Some(Self::Log),
            libc::SECCOMP_RET_KILL_THREAD => Some(Self::KillThread),
            libc::SECCOMP_RET_KILL_PROCESS => Some(Self::KillProcess),
            _ => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Errno(number) => write!(f, "errno {number}"),
            Self::Trap => f.write_str("trap"),
            Self::Log => f.write_str("log"),
            Self::KillThread => f.write_str("kill_thread"),
            Self::KillProcess => f.write_str("kill"),
        }
    }
}
