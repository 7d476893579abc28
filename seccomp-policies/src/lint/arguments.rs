//! Arguments that a rule leaves open and that decide what the call does.

use super::allowed::Allowed;
use super::{Finding, Lint};
use crate::language::check::coverage::untested_descriptor;

/// Calls that do different things by an argument: call, argument, what it selects.
const SELECTORS: &[(&str, &str, &str)] = &[
    ("ioctl", "cmd", "every driver has requests of its own; TIOCSTI types into the terminal"),
    ("fcntl", "cmd", "it duplicates descriptors, sends signals, takes locks and leases"),
    ("prctl", "option", "it changes capabilities, seccomp, dumpability and the memory map"),
    ("arch_prctl", "option", "it changes segment bases and processor features"),
    ("clone", "clone_flags", "it makes threads, processes and namespaces"),
    ("socket", "family", "rare protocol families are where the kernel's defects are found"),
    ("socketpair", "family", "rare protocol families are where the kernel's defects are found"),
    ("setsockopt", "optname", "options reach far into the protocols"),
    ("mmap", "prot", "it makes memory readable, writable and executable"),
    ("mprotect", "prot", "it makes memory readable, writable and executable"),
    ("futex", "op", "requeueing and priority inheritance had many defects, and few need them"),
    ("madvise", "behavior", "it poisons pages, drops contents, and steers the page cache"),
    ("prlimit64", "resource", "it changes limits, of other processes too"),
    ("fallocate", "mode", "it punches holes and moves contents"),
];

pub(super) fn open_descriptors(allowed: &Allowed) -> Vec<Finding> {
    let named = allowed.parts.iter().filter(|part| allowed.has_tests && !part.is_unnamed());
    let open = named.filter_map(|part| {
        let argument = untested_descriptor(&allowed.space, part.call, &part.calls)?;
        let title = format!("`{}` leaves the descriptor `{}` open", part.call.name, argument.name);
        let help = format!("if the thread uses few, name them: `{} == @slot`", argument.name);
        Some(part.finding(Lint::OpenDescriptor, title, "any descriptor of the thread", help))
    });
    open.collect()
}

pub(super) fn unpinned(allowed: &Allowed) -> Vec<Finding> {
    let named = allowed.parts.iter().filter(|part| allowed.has_tests && !part.is_unnamed());
    let open = named.filter_map(|part| {
        let (call, argument, what) = SELECTORS.iter().find(|(call, ..)| *call == part.call.name)?;
        let (register, _) = part.call.argument(argument)?;
        if part.calls.looks_at(register) {
            return None;
        }
        let title = format!("`{call}` leaves `{argument}` open, which selects what it does");
        let help = format!("{what}; allow the values that are needed: `{argument} in {{...}}`");
        Some(part.finding(Lint::UnpinnedArgument, title, "any of them", help))
    });
    open.collect()
}
