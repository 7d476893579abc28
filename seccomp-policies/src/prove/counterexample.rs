//! Where two decisions differ, and a call that shows it.

use std::collections::BTreeSet;
use std::fmt;

use super::layout::Field;
use super::{Answer, Calls, Decisions, Space};
use crate::call::Call;
use crate::language::Width;
use crate::syscalls::{self, Arch, Argument, Syscall, X32_BIT, decode};

/// Calls of which two decisions make different things, with one of them as an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The calls on which they differ.
    pub calls: Calls,
    /// One of the calls: of an architecture that has a table here, with a number that is in it, where there is one.
    pub example: Call,
    /// What the one says of it.
    pub left: Answer,
    /// What the other says of it.
    pub right: Answer,
}

impl Difference {
    /// `None` where there are no such calls.
    pub(super) fn new(left: &Decisions, right: &Decisions, calls: Calls) -> Option<Self> {
        let example = plain(&calls)?;
        let answer = |decisions: &Decisions| decisions.answer(&example).effect();
        Some(Self { left: answer(left), right: answer(right), example, calls })
    }

    /// The example as a person would write it, with the arguments that make it different.
    pub fn text(&self) -> String {
        text(&self.example, &self.calls)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} here, {} there", self.text(), self.left, self.right)
    }
}

/// Of the calls, one that people know: by an entry with a table, its number below the table's end, then the lowest.
pub(super) fn plain(calls: &Calls) -> Option<Call> {
    let space = Space::new();
    let known = [Arch::X86_64, Arch::Aarch64].into_iter().find_map(|arch| {
        let of_arch = calls.intersection(&space.of_arch(arch.audit_value()));
        let first = of_arch.first()?;
        let in_table = |call: &Call| syscalls::by_number(arch, call.number).is_some();
        if in_table(&first) {
            return Some(first);
        }
        let named = syscalls::all(arch)
            .iter()
            .find(|syscall| of_arch.contains_number(arch.audit_value(), syscall.number));
        match named {
            Some(syscall) => of_arch.intersection(&space.numbered(syscall.number)).first(),
            None => Some(first),
        }
    });
    known.or_else(|| calls.first())
}

/// A call as a person would write it: `ioctl(fd=4, cmd=KVM_RUN)`.
///
/// Only what decides whether a call is among `calls` is written; where an argument's upper half decides that the kernel
/// does not read, the whole register is.
pub(super) fn text(call: &Call, calls: &Calls) -> String {
    let registers = calls.registers_of(call.arch, call.number);
    let text = match native(call) {
        Some((arch, syscall)) => {
            let arguments = known(arch, syscall, call, calls, &registers);
            let x32 = if call.number & X32_BIT != 0 { " by the x32 ABI" } else { "" };
            format!("{arguments}{x32}")
        }
        None => format!("{}{}", unknown(call), of_registers(call, &registers)),
    };
    if calls.depends_on(Field::InstructionPointer) {
        return format!("{text} at {:#x}", call.instruction_pointer);
    }
    text
}

fn native(call: &Call) -> Option<(Arch, &'static Syscall)> {
    let arch = [Arch::X86_64, Arch::Aarch64].into_iter().find(|arch| arch.audit_value() == call.arch)?;
    let number = if arch == Arch::X86_64 { call.number & !X32_BIT } else { call.number };
    Some((arch, syscalls::by_number(arch, number)?))
}

/// A call of a table.
fn known(
    arch: Arch,
    syscall: &'static Syscall,
    call: &Call,
    calls: &Calls,
    registers: &BTreeSet<u8>,
) -> String {
    let of_call = calls.of_call(call.arch, call.number);
    let arguments: Vec<_> = registers
        .iter()
        .map(|&register| {
            let value = call.arguments[usize::from(register)];
            match syscall.arguments.get(usize::from(register)) {
                Some(argument) => named(arch, syscall, argument, value, of_call.reads_upper_half(register)),
                None => format!("register {register}={value:#x}"),
            }
        })
        .collect();
    match (arguments.as_slice(), syscall.arguments) {
        ([], []) => format!("{}()", syscall.name),
        ([], _) => format!("{}(...)", syscall.name),
        _ => format!("{}({})", syscall.name, arguments.join(", ")),
    }
}

fn named(arch: Arch, syscall: &Syscall, argument: &Argument, register: u64, whole: bool) -> String {
    if whole && argument.width == Width::Bits32 && register > u64::from(u32::MAX) {
        return format!("{}={register:#x}", argument.name);
    }
    format!("{}={}", argument.name, decode::argument(arch, syscall, argument, register))
}

/// A call without a table: its number, and whose.
fn unknown(call: &Call) -> String {
    let number = call.number;
    let number = if number > 0xffff { format!("{number:#x}") } else { number.to_string() };
    match arch_name(call.arch) {
        Some("x86_64") => format!("call {number}"),
        Some(name) => format!("call {number} of {name}"),
        None => format!("call {number} of architecture {:#x}", call.arch),
    }
}

fn of_registers(call: &Call, registers: &BTreeSet<u8>) -> String {
    if registers.is_empty() {
        return String::new();
    }
    let values: Vec<_> = registers
        .iter()
        .map(|register| format!("register {register}={:#x}", call.arguments[usize::from(*register)]))
        .collect();
    format!("({})", values.join(", "))
}

/// The architecture of an `AUDIT_ARCH_*` value, Linux `include/uapi/linux/audit.h`; of those that the kernels of
/// today have.
fn arch_name(arch: u32) -> Option<&'static str> {
    Some(match arch {
        0xc000_003e => "x86_64",
        0x4000_0003 => "i386",
        0xc000_00b7 => "aarch64",
        0x4000_0028 => "arm",
        0xc000_00f3 => "riscv64",
        0xc000_0102 => "loongarch64",
        0xc000_0015 => "ppc64le",
        0x8000_0015 => "ppc64",
        0x8000_0016 => "s390x",
        0x0000_0016 => "s390",
        _ => return None,
    })
}
