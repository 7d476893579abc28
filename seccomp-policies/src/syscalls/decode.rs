//! A call as a person expects to read it: `openat(AT_FDCWD, 0x7f12a0, O_RDONLY)`.

use std::fmt::Write as _;

use super::{Arch, Argument, Syscall, X32_BIT, by_number};
use crate::call::Call;
use crate::constants;
use crate::language::Width;

/// The call's name and its arguments: constants by name, flags or-ed, descriptors and counts in decimal, addresses in
/// hexadecimal. A number without a call is `syscall_471(...)` with six whole registers; a call of the x32 ABI says so.
pub fn call(arch: Arch, call: &Call) -> String {
    if call.arch != arch.audit_value() {
        return format!("{} of another architecture ({:#x})", unknown(call.number, call), call.arch);
    }
    // -1 has the bit as well, and is no call.
    let x32 = arch == Arch::X86_64 && call.number & X32_BIT != 0 && call.number != u32::MAX;
    let number = if x32 { call.number & !X32_BIT } else { call.number };
    let mut text = match by_number(arch, number) {
        Some(syscall) => known(arch, syscall, call),
        None => unknown(number, call),
    };
    if x32 {
        text.push_str(" by the x32 ABI");
    }
    text
}

/// The value of an argument of a call, cut to what the kernel reads.
pub fn argument(arch: Arch, syscall: &Syscall, argument: &Argument, register: u64) -> String {
    let value = register & argument.width.mask();
    let signed = signed(argument, value);
    let families = constants::families(syscall, argument);
    let named = families.iter().find_map(|family| {
        let text = family.text(arch, value.cast_signed());
        text.or_else(|| family.text(arch, signed))
    });
    named.unwrap_or_else(|| {
        if families.is_empty() { plain(argument, value, signed) } else { nameless(argument, value) }
    })
}

fn known(arch: Arch, syscall: &'static Syscall, call: &Call) -> String {
    let mut text = format!("{}(", syscall.name);
    for (index, (shown, register)) in
        shown_arguments(arch, syscall, call).iter().zip(call.arguments).enumerate()
    {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(&argument(arch, syscall, shown, register));
    }
    text.push(')');
    text
}

/// The arguments that mean something: `mode` of an open that creates nothing is left out.
fn shown_arguments(arch: Arch, syscall: &'static Syscall, call: &Call) -> &'static [Argument] {
    let all = syscall.arguments;
    let (Some((flags, _)), "open" | "openat") = (syscall.argument("flags"), syscall.name) else { return all };
    let creating = ["O_CREAT", "O_TMPFILE"].into_iter().filter_map(|name| constants::value(arch, name));
    let flags = call.arguments[usize::from(flags)];
    let creates = creating.into_iter().any(|bits| flags & bits.cast_unsigned() == bits.cast_unsigned());
    if creates { all } else { &all[..all.len() - 1] }
}

fn unknown(number: u32, call: &Call) -> String {
    let mut text = format!("syscall_{number}(");
    for (index, register) in call.arguments.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{register:#x}");
    }
    text.push(')');
    text
}

fn signed(argument: &Argument, value: u64) -> i64 {
    match argument.width {
        Width::Bits32 => (value << 32).cast_signed() >> 32,
        Width::Bits64 => value.cast_signed(),
    }
}

/// A number where a constant is usual.
fn nameless(argument: &Argument, value: u64) -> String {
    if argument.is_descriptor() { value.to_string() } else { format!("{value:#x}") }
}

/// A number in the base that its C type suggests.
fn plain(argument: &Argument, value: u64, signed: i64) -> String {
    let is_length = argument.name.ends_with("len") || argument.name.ends_with("size");
    match argument.c_type {
        _ if argument.is_descriptor() => signed.to_string(),
        "unsigned_long" if is_length => value.to_string(),
        "umode_t" => format!("0{value:o}"),
        "size_t" | "unsigned_int" | "unsigned" | "u32" | "uid_t" | "gid_t" | "uint32_t" => value.to_string(),
        "int" | "pid_t" | "long" | "loff_t" | "off_t" | "clockid_t" | "const_clockid_t" | "timer_t" => {
            signed.to_string()
        }
        _ => format!("{value:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u32, arguments: [u64; 6]) -> String {
        let x86_64 = Call { number, arch: Arch::X86_64.audit_value(), instruction_pointer: 0, arguments };
        call(Arch::X86_64, &x86_64)
    }

    #[test]
    fn flags_and_special_values_are_written_by_name() {
        let at_cwd = 0xffff_ff9c;
        assert_eq!(text(257, [at_cwd, 0x7f12_0000, 0, 9, 0, 0]), "openat(AT_FDCWD, 0x7f120000, O_RDONLY)");
        assert_eq!(
            text(257, [3, 0x10, 0o2_000_101, 0o644, 0, 0]),
            "openat(3, 0x10, O_WRONLY|O_CREAT|O_CLOEXEC, 0644)"
        );
        assert_eq!(text(16, [3, 0xae80, 0, 0, 0, 0]), "ioctl(3, KVM_RUN, 0x0)");
        assert_eq!(
            text(202, [0x1000, 137, 7, 0, 0, 0xffff_ffff]),
            "futex(0x1000, FUTEX_WAIT_BITSET_PRIVATE, 7, 0x0, 0x0, FUTEX_BITSET_MATCH_ANY)"
        );
        assert_eq!(
            text(9, [0, 4096, 3, 0x22, u64::MAX, 0]),
            "mmap(0x0, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x0)"
        );
        assert_eq!(text(62, [1, 31, 0, 0, 0, 0]), "kill(1, SIGSYS)");
    }

    #[test]
    fn the_half_of_a_register_that_the_kernel_ignores_is_not_shown() {
        assert_eq!(text(3, [0xdead_beef_0000_0005, 0, 0, 0, 0, 0]), "close(5)");
    }

    #[test]
    fn bits_without_a_name_are_left_as_a_number() {
        assert_eq!(text(10, [0x1000, 4096, 0x8001, 0, 0, 0]), "mprotect(0x1000, 4096, PROT_READ|0x8000)");
        assert_eq!(text(16, [0, 0x1234, 5, 0, 0, 0]), "ioctl(0, 0x1234, 0x5)");
    }

    #[test]
    fn a_number_without_a_call_shows_all_its_registers() {
        assert_eq!(text(471, [1, 2, 3, 4, 5, 0xabc]), "syscall_471(0x1, 0x2, 0x3, 0x4, 0x5, 0xabc)");
    }

    #[test]
    fn a_call_of_the_x32_abi_says_so() {
        assert_eq!(text(0x4000_0003, [5, 0, 0, 0, 0, 0]), "close(5) by the x32 ABI");
        assert_eq!(text(u32::MAX, [0; 6]), "syscall_4294967295(0x0, 0x0, 0x0, 0x0, 0x0, 0x0)");
    }

    #[test]
    fn a_call_of_another_architecture_is_not_read_by_this_ones_table() {
        let i386 = Call { number: 3, arch: 0x4000_0003, instruction_pointer: 0, arguments: [0; 6] };
        assert_eq!(
            call(Arch::X86_64, &i386),
            "syscall_3(0x0, 0x0, 0x0, 0x0, 0x0, 0x0) of another architecture (0x40000003)"
        );
    }
}
