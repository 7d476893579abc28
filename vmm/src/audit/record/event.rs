//! What threads do, one thing after the other, whoever saw it.
#![forbid(unsafe_code)]

/// Something that a thread did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its process.
    pub(super) pid: i32,
    /// The thread.
    pub(super) tid: i32,
    /// What it was.
    pub(super) what: What,
}

/// What a thread did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It calls the kernel.
    Enter {
        /// The number.
        number: i64,
        /// The argument registers.
        arguments: [u64; 6],
    },
    /// Of another architecture's calls (32-bit).
    Foreign,
    /// It comes back from the kernel.
    Exit {
        /// The call's number, where it is seen; below zero where the registers are not those of the call any more, as after
        /// `sigreturn`.
        number: Option<i64>,
        /// What the call returned.
        value: i64,
    },
    /// It gave birth to a thread, or to a process.
    Birth {
        /// The new thread's process.
        pid: i32,
        /// The new thread.
        tid: i32,
    },
    /// It has a name now. `executed`: because it began another program.
    Name {
        /// The name.
        name: String,
        /// Whether by `execve`.
        executed: bool,
    },
    /// It has come to its end.
    End,
}
