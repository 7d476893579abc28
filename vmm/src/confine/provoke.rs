//! For this project's tests alone (cargo feature `provoke`): tells a fenced thread to make a call, or to panic, in
//! the very place where it lives, under the very program that a release installs.

use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use seccomp_policies::bpf::Instruction;
use seccomp_policies::compile::{Weights, optimize};
use seccomp_policies::embed::Embedded;
use seccomp_policies::syscalls::{self, Arch};
use seccomp_policies::{language, learn};

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
    /// Make every call there may be, with this first argument and all bits set in the others, and panic with the numbers of
    /// those that were let through.
    Every {
        /// The first argument.
        first: i64,
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

    /// `THREAD:CALL[:ARG,ARG…][@EXITS]`; CALL is a name, a number, `every` or `panic`.
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
            "every" => Deed::Every { first: integer(parts.next().unwrap_or("-1"))? },
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

/// The programs of learned policies, by role.
static LEARNED: OnceLock<Vec<(String, &'static [Instruction])>> = OnceLock::new();

/// Has each role of which the folder has a policy held by that one, and not by the build's. It must allow no more: no build
/// confines less than a release.
///
/// # Errors
/// What is wrong, in words.
pub fn hold_by_learned(folder: &Path, of_build: &[&Embedded]) -> Result<(), String> {
    let arch = Arch::X86_64;
    let mut learned = Vec::new();
    for embedded in of_build {
        let path = folder.join(format!("{}.policy", embedded.role));
        if !path.exists() {
            continue;
        }
        let read = language::load(&path, arch).map_err(|findings| findings.to_string())?;
        let present = language::check_sources(embedded.sources[0].0, embedded.sources, arch);
        let present = present.map_err(|findings| findings.to_string())?;
        let (wider, _) = learn::compare(&read.policy, &present.policy);
        if !wider.is_empty() {
            return Err(format!("{} allows more than the build: {wider:?}", path.display()));
        }
        let weights = Weights::CacheAware(read.profile.as_ref());
        let program = optimize(&read.policy, &weights).map_err(|error| error.to_string())?;
        learned.push((embedded.role.to_owned(), &*program.instructions().to_vec().leak()));
    }
    LEARNED.set(learned).map_err(|_| "it can be said once".to_owned())
}

/// The program of a role's learned policy, if it has one.
pub fn learned(role: &str) -> Option<&'static [Instruction]> {
    LEARNED.get()?.iter().find(|(known, _)| known == role).map(|(_, program)| *program)
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
        Deed::Every { first } => panic!("let through:{}", LetThrough::of_every_call(first)),
        Deed::Panic => panic!("provoked after {exits} exits"),
        Deed::Call { number, arguments: [rdi, rsi, rdx, r10, r8, r9] } => {
            // SAFETY: the test that asks for the call answers for its arguments; it is made to be refused.
            unsafe { libc::syscall(number, rdi, rsi, rdx, r10, r8, r9) };
        }
    }
}

/// How many numbers are tried; the last in use at the time of writing is 470 (`listns`, Linux 6.19).
pub const NUMBERS: usize = 481;

/// Calls that are not tried: three that end the thread or do not come back, and two that the kernel keeps from seccomp and
/// answers by a signal (`uretprobe` and `uprobe`, Linux `kernel/seccomp.c`).
pub const NOT_TRIED: [i64; 5] = [libc::SYS_exit, libc::SYS_exit_group, libc::SYS_rt_sigreturn, 335, 336];

/// The numbers of calls that were not refused, under `--on-violation errno`.
struct LetThrough([bool; NUMBERS]);

impl LetThrough {
    fn of_every_call(first: i64) -> Self {
        let is_let_through = |number: i64| {
            if NOT_TRIED.contains(&number) {
                return false;
            }
            // SAFETY: the test that asks for it chooses `first`; all bits set are no address, descriptor, length or clock.
            let answer = unsafe { libc::syscall(number, first, -1i64, -1i64, -1i64, -1i64, -1i64) };
            answer != -1 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EPERM)
        };
        let mut numbers = 0_i64..;
        Self(std::array::from_fn(|_| numbers.next().is_some_and(is_let_through)))
    }
}

impl std::fmt::Display for LetThrough {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers = (0..).zip(self.0).filter(|(_, is_let_through)| *is_let_through);
        numbers.map(|(number, _)| number).try_for_each(|number: i64| write!(formatter, " {number}"))
    }
}
