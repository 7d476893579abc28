//! What an argument is, as far as that says how its values are to be generalized.

use crate::constants::{self, Kind as FamilyKind};
use crate::syscalls::{Argument, Syscall};

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file descriptor.
    Descriptor,
    /// An address, of which it matters whether there is one.
    Address,
    /// An address or a number: the operation decides.
    Word,
    /// One of several values that each mean something of their own.
    Choice,
    /// Bits that each mean something of their own.
    Flags,
    /// A process, a thread, a user, or another number that the kernel gave out.
    Identity,
    /// A size, a count, an offset or a time.
    Number,
    /// Nothing that a policy should hold anybody to.
    Open,
}

/// Arguments of the C type `unsigned long` that are addresses. The kernel has no type for them.
const ADDRESSES: [&str; 9] =
    ["addr", "start", "brk", "newsp", "tls", "new_addr", "header", "dataptr", "ctx_id"];

/// Integers that select what a call does, beside those whose constants are known.
const CHOICES: [&str; 17] = [
    "cmd",
    "op",
    "option",
    "which",
    "how",
    "level",
    "optname",
    "type",
    "protocol",
    "advice",
    "behavior",
    "policy",
    "resource",
    "request",
    "opcode",
    "family",
    "personality",
];

/// Types of numbers that the kernel gives out.
const IDENTITIES: [&str; 8] =
    ["pid_t", "uid_t", "gid_t", "key_t", "timer_t", "qid_t", "key_serial_t", "aio_context_t"];

impl Kind {
    /// What the argument in a register of a call is.
    pub(super) fn of(call: &Syscall, register: u8) -> Self {
        let Some(argument) = call.arguments.get(usize::from(register)) else { return Self::Open };
        let Argument { name, c_type, .. } = *argument;
        if argument.is_descriptor() {
            return Self::Descriptor;
        }
        // Whether a wait has a limit is a matter of the moment, but for that of a futex, which is another kind of wait then.
        if c_type.contains("timespec") && call.name != "futex" {
            return Self::Open;
        }
        if argument.is_pointer() || ADDRESSES.contains(&name) {
            return Self::Address;
        }
        match (call.name, name) {
            // Flags of an operation are part of it. What memory may be used for is never mixed: to write and to execute are
            // two things. The signature is the same in every program of an architecture.
            ("futex", "op") | (_, "prot") | ("rseq", "sig") => return Self::Choice,
            ("exit" | "exit_group", _) | ("futex" | "futex_wait", "val") => return Self::Open,
            ("ioctl" | "fcntl", "arg") | ("prctl" | "arch_prctl", "arg2" | "arg3" | "arg4" | "arg5") => {
                return Self::Word;
            }
            _ => {}
        }
        match constants::families(call, argument) {
            [first, ..] if first.kind == FamilyKind::Values => Self::Choice,
            [_, ..] => Self::Flags,
            [] if IDENTITIES.contains(&c_type)
                || matches!(name, "pid" | "who" | "semid" | "shmid" | "wd") =>
            {
                Self::Identity
            }
            [] if CHOICES.contains(&name) => Self::Choice,
            [] if name.ends_with("flags") || matches!(name, "flag" | "mode" | "mask" | "events") => {
                Self::Flags
            }
            [] => Self::Number,
        }
    }

    /// Of each register of a call.
    pub(super) fn of_all(call: &Syscall) -> [Self; 6] {
        [0, 1, 2, 3, 4, 5].map(|register| Self::of(call, register))
    }
}

/// `FUTEX_*` operations without their flags, Linux `include/uapi/linux/futex.h`.
const FUTEX_OPERATION: u64 = 0x7f;

/// `O_CREAT` and the bit of `O_TMPFILE` that is its own, Linux `include/uapi/asm-generic/fcntl.h`.
const CREATES: u64 = 0o100 | 0o20_000_000;

/// Whether the kernel looks at a register of a call, whose other arguments may tell it not to.
pub(super) fn is_read(call: &Syscall, register: u8, arguments: &[u64; 6]) -> bool {
    let name = call.argument_at(register).name;
    let value =
        |argument: &str| call.argument(argument).map_or(0, |(index, _)| arguments[usize::from(index)]);
    match (call.name, name) {
        ("open" | "openat", "mode") => value("flags") & CREATES != 0,
        // The operations by number: WAIT 0, WAKE 1, LOCK_PI 6, UNLOCK_PI 7, WAIT_BITSET 9, WAKE_BITSET 10.
        ("futex", "utime") => !matches!(value("op") & FUTEX_OPERATION, 1 | 7 | 10),
        ("futex", "uaddr2") => !matches!(value("op") & FUTEX_OPERATION, 0 | 1 | 6 | 7 | 9 | 10),
        ("futex", "val3") => !matches!(value("op") & FUTEX_OPERATION, 0 | 1 | 3 | 6 | 7),
        // F_GETFD, F_GETFL, F_GETOWN, F_GETSIG, F_GETLEASE, F_GETPIPE_SZ, F_GET_SEALS.
        ("fcntl", "arg") => !matches!(value("cmd"), 1 | 3 | 9 | 11 | 1025 | 1032 | 1034),
        // PR_GET_DUMPABLE and PR_GET_NAME's kin read fewer than five; none that is common reads the last two but 53 on.
        ("prctl", "arg3" | "arg4" | "arg5") => value("option") >= 35,
        // MREMAP_FIXED and MREMAP_DONTUNMAP.
        ("mremap", "new_addr") => value("flags") & 6 != 0,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::{Arch, by_name};

    fn kinds(name: &str) -> Vec<Kind> {
        let call = by_name(Arch::X86_64, name).unwrap();
        Kind::of_all(call)[..call.arguments.len()].to_vec()
    }

    #[test]
    fn arguments_are_known_by_their_names_types_and_constants() {
        use Kind::{Address, Choice, Descriptor, Flags, Identity, Number, Open, Word};
        assert_eq!(kinds("openat"), [Descriptor, Address, Flags, Flags]);
        assert_eq!(kinds("read"), [Descriptor, Address, Number]);
        assert_eq!(kinds("ioctl"), [Descriptor, Choice, Word]);
        assert_eq!(kinds("futex"), [Address, Choice, Open, Address, Address, Choice]);
        assert_eq!(kinds("mmap"), [Address, Number, Choice, Flags, Descriptor, Number]);
        assert_eq!(kinds("tgkill"), [Identity, Identity, Choice]);
        assert_eq!(kinds("exit_group"), [Open]);
        assert_eq!(kinds("ppoll"), [Address, Number, Open, Address, Number]);
        assert_eq!(Kind::of(by_name(Arch::X86_64, "getpid").unwrap(), 3), Open);
    }

    #[test]
    fn what_an_operation_leaves_unread_is_known() {
        let read = |name: &str, argument: &str, arguments: [u64; 6]| {
            let call = by_name(Arch::X86_64, name).unwrap();
            is_read(call, call.argument(argument).unwrap().0, &arguments)
        };
        assert!(!read("openat", "mode", [0, 0, 0o2_000_000, 0, 0, 0]));
        assert!(read("openat", "mode", [0, 0, 0o101, 0, 0, 0]));
        assert!(!read("futex", "utime", [0, 129, 0, 0, 0, 0]));
        assert!(read("futex", "utime", [0, 128, 0, 0, 0, 0]));
        assert!(!read("futex", "val3", [0, 128, 0, 0, 0, 0]));
        assert!(read("futex", "val3", [0, 137, 0, 0, 0, 0]));
        assert!(!read("fcntl", "arg", [0, 3, 0, 0, 0, 0]));
        assert!(read("fcntl", "arg", [0, 4, 0, 0, 0, 0]));
    }
}
