//! For this project's tests alone (cargo feature `provoke`): tells a fenced thread to make a call, or to panic, in
//! the very place where it lives, under the very program that a release installs.

use std::str::FromStr;
use std::sync::OnceLock;

use seccomp_policies::syscalls::{self, Arch};

/// What a thread is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Make this call.
    Call {
        /// Its number.
        number: i64,
        /// Its arguments; absent ones are 0.
        arguments: [i64; 6],
    },
    /// Panic, with a message that has to be formatted.
    Panic,
}

/// Who is told to do what, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provocation {
    thread: String,
    deed: Deed,
    /// A vCPU thread waits for so many exits; the others do it at once.
    after_exits: u64,
}

static PROVOCATION: OnceLock<Provocation> = OnceLock::new();

impl FromStr for Provocation {
    type Err = String;

    /// `THREAD:CALL[:ARG,ARG…][@EXITS]`; CALL is a name, a number or `panic`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (text, after_exits) = match text.rsplit_once('@') {
            Some((text, exits)) => {
                (text, exits.parse().map_err(|_| format!("{exits} is no count of exits"))?)
            }
            None => (text, 0),
        };
        let mut parts = text.splitn(3, ':');
        let (Some(thread), Some(call)) = (parts.next(), parts.next()) else {
            return Err("a provocation is THREAD:CALL[:ARG,ARG…][@EXITS]".into());
        };
        let deed = match call {
            "panic" => Deed::Panic,
            call => Deed::Call { number: number(call)?, arguments: arguments(parts.next().unwrap_or(""))? },
        };
        Ok(Self { thread: thread.to_owned(), deed, after_exits })
    }
}

fn number(call: &str) -> Result<i64, String> {
    let by_name = syscalls::by_name(Arch::X86_64, call).map(|known| i64::from(known.number));
    by_name.map_or_else(|| integer(call), Ok)
}

fn integer(text: &str) -> Result<i64, String> {
    let parsed =
        text.strip_prefix("0x").map_or_else(|| text.parse(), |digits| i64::from_str_radix(digits, 16));
    parsed.map_err(|_| format!("{text} is neither a call nor a number"))
}

fn arguments(text: &str) -> Result<[i64; 6], String> {
    let mut arguments = [0; 6];
    let given = text.split(',').filter(|argument| !argument.is_empty());
    for (cell, argument) in arguments.iter_mut().zip(given) {
        *cell = integer(argument)?;
    }
    Ok(arguments)
}

/// Sets what will be done in this run.
pub fn set(provocation: Provocation) {
    let _ = PROVOCATION.set(provocation);
}

/// Does it, if it is for the thread of this name now.
pub fn act(thread: &str, exits: u64) {
    let Some(provocation) = PROVOCATION.get() else { return };
    if provocation.thread != thread || provocation.after_exits != exits {
        return;
    }
    match provocation.deed {
        Deed::Panic => panic!("provoked after {exits} exits"),
        Deed::Call { number, arguments: [rdi, rsi, rdx, r10, r8, r9] } => {
            // SAFETY: the test that asks for the call answers for its arguments; it is made to be refused.
            unsafe { libc::syscall(number, rdi, rsi, rdx, r10, r8, r9) };
        }
    }
}
