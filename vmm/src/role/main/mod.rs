//! The main thread: builds the machine's life around it, then waits, fenced, for its end.

mod last_words;
mod monitor;
mod settle;

use std::os::fd::RawFd;

use seccomp_policies::embed::Embedded;

use super::policies;
use super::policies::main::{POLICY, slot};
use crate::confine::sigsys;
use crate::confine::table::Placement;
use crate::confine::{self, Farewell, Role, Slotted, Unfenced};

pub use monitor::Monitor;

/// The role.
#[derive(Debug)]
pub struct Main;

impl Role for Main {
    const POLICY: &'static Embedded = &POLICY;
}

fn policy_of(role: &str) -> &'static Embedded {
    // Every record's role comes from one of these policies.
    policies::ALL.iter().copied().find(|policy| policy.role == role).unwrap_or(&POLICY)
}

/// What main keeps: numbers in its first table.
#[derive(Debug)]
pub struct Descriptors {
    /// The bell that every other thread can ring.
    pub bell: RawFd,
    /// The signals that end a run.
    pub signals: RawFd,
    /// Readable when the console thread has ended, where the kernel has such a descriptor.
    pub console_exit: Option<RawFd>,
    /// The file of `--report`.
    pub report: Option<RawFd>,
    /// The KVM machine.
    pub vm: RawFd,
    /// The vCPUs; nothing else owns these numbers.
    pub vcpus: Vec<RawFd>,
}

/// Main in a table that holds its slots.
#[derive(Debug)]
pub struct Placed {
    slotted: Slotted<Main>,
    vcpus: usize,
    console_exit: bool,
    report: bool,
}

/// Gives main its own table. `as_json`: how main says that it cannot go on itself.
///
/// # Errors
/// See [`confine::fence::Error`].
pub fn take_slots(
    unfenced: Unfenced<Main>,
    descriptors: &Descriptors,
    as_json: bool,
) -> Result<Placed, confine::fence::Error> {
    last_words::set_format(as_json);
    sigsys::set_last_words(last_words::speak);
    let standard = [
        Placement { from: libc::STDIN_FILENO, slot: slot::TERMINAL },
        Placement { from: libc::STDOUT_FILENO, slot: slot::STDOUT },
        Placement { from: libc::STDERR_FILENO, slot: slot::STDERR },
        Placement { from: descriptors.bell, slot: slot::BELL },
        Placement { from: descriptors.signals, slot: slot::SIGNALS },
        Placement { from: descriptors.vm, slot: slot::VM },
    ];
    let place = |from: Option<RawFd>, slot| from.map(|from| Placement { from, slot });
    let vcpus = descriptors.vcpus.iter().zip(slot::VCPUS).map(|(&from, slot)| Placement { from, slot });
    let placements: Vec<Placement> = standard
        .into_iter()
        .chain(place(descriptors.console_exit, slot::CONSOLE_EXIT))
        .chain(place(descriptors.report, slot::REPORT))
        .chain(vcpus)
        .collect();
    // SAFETY: `start` forgets the owners of these numbers right after this call and uses none of them any more.
    let slotted = unsafe { unfenced.own_table(&placements, Farewell::EndProcess) }?;
    Ok(Placed {
        slotted,
        vcpus: descriptors.vcpus.len(),
        console_exit: descriptors.console_exit.is_some(),
        report: descriptors.report.is_some(),
    })
}
