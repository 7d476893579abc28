//! What is said at the end of a run: why it ended, and what each thread was allowed and used. Typed values here;
//! one file for each format.
#![forbid(unsafe_code)]

pub mod exit_code;
pub mod json;
mod outlets;
pub mod text;
mod violation;

pub use outlets::Outlets;
pub use violation::{Kind, Kinds, Violation};

use crate::machine::exit::End;
use crate::machine::registers::Position;

/// Why a run ended.
#[derive(Debug)]
pub enum Cause {
    /// The guest pulled the reset line.
    Reset {
        /// The console had shown the words of a Linux kernel panic.
        panic_shown: bool,
    },
    /// The guest switched the machine off.
    PowerOff,
    /// The guest told of the panic of its kernel (pvpanic).
    GuestPanic,
    /// The guest wrote this byte to the exit port.
    ExitPort(u8),
    /// KVM came back from the guest with something from which there is no going on.
    Guest {
        /// Index of the vCPU.
        vcpu: usize,
        /// What KVM said.
        end: End,
        /// Where the vCPU was, if KVM told.
        registers: Option<Position>,
    },
    /// A thread was refused a call.
    Violation(Box<Violation>),
    /// A thread panicked.
    Panic {
        /// Its name.
        thread: String,
        /// Its role.
        role: &'static str,
        /// Message and place.
        message: String,
    },
    /// A thread got a SIGSYS that no filter caused.
    Sigsys {
        /// Its name.
        thread: String,
        /// Its role.
        role: &'static str,
    },
    /// The kernel ended the console thread.
    ConsoleEnded {
        /// Its name.
        thread: String,
    },
    /// Standard output took no more.
    Output {
        /// The error number of the write.
        errno: i32,
    },
    /// A signal asked for the end.
    Signal(i32),
    /// The user typed the escape sequence.
    Left,
}

impl Cause {
    /// The thread that was refused a call.
    pub fn violator(&self) -> Option<&str> {
        match self {
            Self::Violation(violation) => Some(&violation.thread),
            Self::ConsoleEnded { thread } => Some(thread),
            _ => None,
        }
    }
}

/// Which calls a thread made.
#[derive(Debug)]
pub enum Used {
    /// Each call it made, with how often.
    Counted(Vec<(&'static str, u64)>),
    /// [`Ended::not_counted`] says why.
    NotCounted,
}

/// One thread in the confinement table.
#[derive(Debug)]
pub struct ThreadLine {
    /// Name, as /proc shows it.
    pub thread: String,
    /// Role.
    pub role: &'static str,
    /// What held it: `filter`, `bitmask`, `strict` or `none`.
    pub tier: &'static str,
    /// Length of its program in BPF instructions; none in strict mode.
    pub instructions: Option<usize>,
    /// Descriptors in its own table.
    pub descriptors: Option<usize>,
    /// Calls that it made.
    pub used: Used,
    /// Distinct calls that its policy allows.
    pub allowed: usize,
    /// Calls that it was refused, or with `--observe` would have been; `None` where refusals are not told (`--on-violation
    /// errno` and `log`, `--tier none`).
    pub violations: Option<u64>,
}

/// What event filters saw of a run that nothing held.
#[derive(Debug)]
pub struct Observed {
    /// Calls that would have been refused.
    pub kinds: Kinds,
    /// How many of them were counted by the kernel and came too fast to be told.
    pub untold: u64,
}

/// A peculiarity of the host that the machine was built for.
#[derive(Debug)]
pub struct QuirkNote {
    /// Its name, as `--quirk` takes it.
    pub name: &'static str,
    /// What the kernel was told because of it, beyond what the user gave.
    pub added: Option<String>,
}

/// A run at its end.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub cause: Cause,
    /// Every thread.
    pub threads: Vec<ThreadLine>,
    /// Calls that would have been refused; none without `--observe`.
    pub observed: Option<Observed>,
    /// Why calls were not counted.
    pub not_counted: Option<String>,
    /// Bytes of the guest's output that could not be written.
    pub unwritten: u64,
    /// The error number of the write that failed.
    pub output_error: Option<i32>,
    /// What this host's KVM needed.
    pub quirk: Option<QuirkNote>,
    /// Exits to user space of each vCPU.
    pub exits: Vec<u64>,
    /// Allocations by threads that must not allocate: 0 unless one of them panicked.
    pub reserve_allocations: usize,
    /// Where this is said.
    pub outlets: Outlets,
}
