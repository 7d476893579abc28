//! Which tracepoint a call has, and which of its fields a filter can compare.

use super::predicate::Field;
use crate::syscalls::{Arch, Syscall};

/// The event of every call, whatever its number. Linux `include/trace/events/syscalls.h`.
pub(super) const EVERY_CALL: &str = "raw_syscalls:sys_enter";

/// Calls whose event has another name: events are named for the function that carries the call out.
///
/// Source: the entry points in Linux `arch/x86/entry/syscalls/syscall_64.tbl` and `scripts/syscall.tbl`; arm64 has
/// a `personality` of its own in `arch/arm64/kernel/sys.c`.
const NAMED_OTHERWISE: [(&[Arch], &str, &str); 8] = [
    (&[Arch::X86_64], "stat", "newstat"),
    (&[Arch::X86_64], "lstat", "newlstat"),
    (&[Arch::X86_64, Arch::Aarch64], "fstat", "newfstat"),
    (&[Arch::X86_64, Arch::Aarch64], "sendfile", "sendfile64"),
    (&[Arch::X86_64, Arch::Aarch64], "uname", "newuname"),
    (&[Arch::X86_64, Arch::Aarch64], "umount2", "umount"),
    (&[Arch::Aarch64], "fadvise64", "fadvise64_64"),
    (&[Arch::Aarch64], "personality", "arm64_personality"),
];

/// Numbers that are kept for calls that Linux does not have any more, or never had: without a function there is no
/// event. Source: the rows without an entry point, or with `sys_ni_syscall`, of the same tables.
const WITHOUT_EVENT: [&str; 17] = [
    "uselib",
    "_sysctl",
    "create_module",
    "get_kernel_syms",
    "query_module",
    "nfsservctl",
    "getpmsg",
    "putpmsg",
    "afs_syscall",
    "tuxcall",
    "security",
    "set_thread_area",
    "get_thread_area",
    "lookup_dcookie",
    "epoll_ctl_old",
    "epoll_wait_old",
    "vserver",
];

/// The event of a call, as perf and trace-cmd write it (`syscalls:sys_enter_newfstat`); `None` where there is none.
pub fn of(arch: Arch, call: &Syscall) -> Option<String> {
    if WITHOUT_EVENT.contains(&call.name) {
        return None;
    }
    let other = NAMED_OTHERWISE.iter().find(|(archs, name, _)| archs.contains(&arch) && *name == call.name);
    let function = other.map_or(call.name, |(_, _, function)| function);
    Some(format!("syscalls:sys_enter_{function}"))
}

/// An argument register as a field.
pub(super) fn field(call: &Syscall, register: u8) -> Field {
    const NAMELESS: [&str; 6] = ["args[0]", "args[1]", "args[2]", "args[3]", "args[4]", "args[5]"];
    match call.arguments.get(usize::from(register)) {
        Some(argument) => {
            Field::Argument { register, name: argument.name, is_descriptor: argument.is_descriptor() }
        }
        None => Field::Argument { register, name: NAMELESS[usize::from(register)], is_descriptor: false },
    }
}

/// Why a register cannot be compared in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsayable {
    /// The event has no field for it: the call has fewer arguments.
    NoField,
    /// A field of these C types is text to the parser, which then refuses to compare it with a number:
    /// `filter_assign_type`, Linux `kernel/trace/trace_events_filter.c`.
    Text,
}

/// Whether the kernel can compare a register of the call with a number.
pub(super) fn sayable(call: &Syscall, register: u8) -> Result<(), Unsayable> {
    match call.arguments.get(usize::from(register)).map(|argument| argument.c_type) {
        None => Err(Unsayable::NoField),
        Some("char*" | "const_char*") => Err(Unsayable::Text),
        Some(_) => Ok(()),
    }
}
