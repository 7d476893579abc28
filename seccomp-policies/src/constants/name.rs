//! Numbers of an argument back to names, where it is certain which constants are meant.
//!
//! Stricter than the decoder, which shows what a value is likely to be: a text that is made of these names is read
//! back as the same number, and no name stands where the kernel takes the number for something else.

use std::cmp::Reverse;

use super::families;
use super::family::{Constant, Family, Kind};
use crate::syscalls::{Arch, Argument, Syscall};

/// Constants that only make sense as masks: no value of their argument has all of their bits as one choice.
const MASKS: [&str; 3] = ["O_ACCMODE", "MAP_TYPE", "FUTEX_PRIVATE_FLAG"];

/// The value of an argument as a policy writes it by name, `PROT_READ|PROT_WRITE`; bits without a name follow in
/// hexadecimal. `None` where no name is certain. `value` is of the argument's width.
pub fn name_of(arch: Arch, call: &Syscall, argument: &Argument, value: u64) -> Option<String> {
    name_under_mask(arch, call, argument, argument.width.mask(), value)
}

/// The same for the right side of `(argument & mask) == value`. A field of several bits, such as the access mode of
/// `open`, is named only where the mask holds the whole of it.
pub fn name_under_mask(
    arch: Arch,
    call: &Syscall,
    argument: &Argument,
    mask: u64,
    value: u64,
) -> Option<String> {
    named(arch, call, argument, |names| names.value(mask, value))
}

/// A mask over an argument by the names of the flags in it. `None` where no name is certain.
pub fn name_of_mask(arch: Arch, call: &Syscall, argument: &Argument, mask: u64) -> Option<String> {
    named(arch, call, argument, |names| names.mask(mask))
}

fn named(
    arch: Arch,
    call: &Syscall,
    argument: &Argument,
    text: impl Fn(&Names) -> Option<String>,
) -> Option<String> {
    if is_uncertain(call, argument) {
        return None;
    }
    families(call, argument)
        .iter()
        .find_map(|family| text(&Names { family, arch, call, all: argument.width.mask() }))
}

/// Arguments whose numbers mean different things by another argument of the call.
fn is_uncertain(call: &Syscall, argument: &Argument) -> bool {
    matches!((call.name, argument.name), ("setsockopt" | "getsockopt", "optname") | ("futex", "val3"))
}

/// The names of a family in an argument of a call.
struct Names<'a> {
    family: &'a Family,
    arch: Arch,
    call: &'a Syscall,
    /// All bits that are compared.
    all: u64,
}

impl Names<'_> {
    /// Constants that the call knows, with their numbers as the argument holds them.
    fn known(&self) -> impl Iterator<Item = (Constant, u64)> {
        let number = |constant: Constant| Some(constant.value(self.arch)?.cast_unsigned() & self.all);
        let constants = self.family.constants().filter(|constant| takes(self.call.name, constant.name));
        constants.filter_map(move |constant| Some((constant, number(constant)?)))
    }

    fn value(&self, mask: u64, value: u64) -> Option<String> {
        let Kind::Flags { .. } = self.family.kind else {
            return if mask == self.all { self.one(value) } else { None };
        };
        let field = self.field();
        let mut names = Vec::new();
        let mut left = value;
        // Where there is no field, nothing set may have a name too: PROT_NONE.
        if (field != 0 && mask & field == field) || (field == 0 && mask == self.all && value == 0) {
            let choice = |constant: &Constant, number| {
                number & !field == 0 && number == value & field && !MASKS.contains(&constant.name)
            };
            if let Some((constant, number)) =
                self.known().find(|(constant, number)| choice(constant, *number))
            {
                names.push(constant.name.to_owned());
                left &= !number;
            }
        }
        self.flags(left, names)
    }

    fn mask(&self, mask: u64) -> Option<String> {
        let Kind::Flags { .. } = self.family.kind else { return None };
        let field = mask & self.field();
        let mut names = Vec::new();
        let mut left = mask;
        let of_field: Vec<_> = self.known().filter(|(_, number)| field != 0 && *number == field).collect();
        let whole = of_field.iter().find(|(constant, _)| MASKS.contains(&constant.name));
        if let Some((constant, number)) = whole.or(of_field.first()) {
            names.push(constant.name.to_owned());
            left &= !number;
        }
        self.flags(left, names)
    }

    /// The constant that is this number.
    fn one(&self, value: u64) -> Option<String> {
        self.known().find(|(_, number)| *number == value).map(|(constant, _)| constant.name.to_owned())
    }

    /// The bits that hold one choice of several in this call.
    fn field(&self) -> u64 {
        let Kind::Flags { field } = self.family.kind else { return 0 };
        match self.call.name {
            // They share the flags of `open` and `socket`, not the access mode and the type; and no signal is sent at
            // the end of what the last two make.
            "dup3" | "pipe2" | "inotify_init1" | "userfaultfd" | "accept4" | "unshare" | "setns" => 0,
            _ => field.cast_unsigned(),
        }
    }

    /// Adds the flags outside the field, those of several bits first, since they contain others, and what is left.
    fn flags(&self, value: u64, mut names: Vec<String>) -> Option<String> {
        let field = self.field();
        let mut left = value;
        let mut flags: Vec<_> = self.known().filter(|(_, number)| number & !field != 0).collect();
        flags.sort_by_key(|(_, number)| Reverse(number.count_ones()));
        for (constant, number) in flags {
            if left & number == number {
                names.push(constant.name.to_owned());
                left &= !number;
            }
        }
        if names.is_empty() {
            return None;
        }
        if left != 0 {
            names.push(format!("{left:#x}"));
        }
        Some(names.join("|"))
    }
}

/// Whether a constant of a family that several calls share means anything to this one.
fn takes(call: &str, constant: &str) -> bool {
    match constant {
        "AT_REMOVEDIR" => call == "unlinkat",
        "AT_EACCESS" => call == "faccessat2",
        "AT_SYMLINK_FOLLOW" => matches!(call, "linkat" | "name_to_handle_at"),
        "CLONE_NEWTIME" => matches!(call, "unshare" | "setns"),
        "SIGCHLD" => !matches!(call, "unshare" | "setns"),
        "TFD_TIMER_ABSTIME" | "TFD_TIMER_CANCEL_ON_SET" => call == "timerfd_settime",
        "TIMER_ABSTIME" => call != "timerfd_settime",
        "O_RDONLY" | "O_WRONLY" | "O_RDWR" | "O_ACCMODE" => {
            matches!(call, "open" | "openat" | "open_by_handle_at")
        }
        "SOCK_STREAM" | "SOCK_DGRAM" | "SOCK_RAW" | "SOCK_RDM" | "SOCK_SEQPACKET" => call != "accept4",
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constants;
    use crate::language::Width;
    use crate::syscalls::{all, by_name};

    const X86_64: Arch = Arch::X86_64;

    fn call(name: &str) -> &'static Syscall {
        by_name(X86_64, name).unwrap()
    }

    fn value(name: &str, argument: &str, value: u64) -> String {
        let call = call(name);
        name_of(X86_64, call, call.argument(argument).unwrap().1, value).unwrap_or_default()
    }

    fn mask(name: &str, argument: &str, mask: u64) -> String {
        let call = call(name);
        name_of_mask(X86_64, call, call.argument(argument).unwrap().1, mask).unwrap_or_default()
    }

    #[test]
    fn requests_operations_options_and_families_have_names() {
        assert_eq!(value("ioctl", "cmd", 0xae80), "KVM_RUN");
        assert_eq!(value("ioctl", "cmd", 0x5413), "TIOCGWINSZ");
        assert_eq!(value("futex", "op", 128), "FUTEX_WAIT_PRIVATE");
        assert_eq!(value("futex", "op", 0x189), "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME");
        assert_eq!(value("prctl", "option", 38), "PR_SET_NO_NEW_PRIVS");
        assert_eq!(value("socket", "family", 1), "AF_UNIX");
        assert_eq!(value("openat", "dfd", 0xffff_ff9c), "AT_FDCWD");
        assert_eq!(value("mmap", "prot", 0), "PROT_NONE");
    }

    #[test]
    fn numbers_that_another_argument_gives_a_meaning_have_none() {
        assert_eq!(value("setsockopt", "optname", 2), "");
        assert_eq!(value("futex", "val3", 0xffff_ffff), "");
        assert_eq!(value("ioctl", "arg", 0xae80), "");
        assert_eq!(value("read", "count", 1), "");
    }

    #[test]
    fn calls_that_share_flags_do_not_share_what_only_one_of_them_takes() {
        assert_eq!(value("unlinkat", "flag", 0x200), "AT_REMOVEDIR");
        assert_eq!(value("faccessat2", "flags", 0x200), "AT_EACCESS");
        assert_eq!(value("linkat", "flags", 0x200), "");
        assert_eq!(value("clone", "clone_flags", 17), "SIGCHLD");
        assert_eq!(value("unshare", "unshare_flags", 17), "");
        assert_eq!(value("setns", "flags", 0x80), "CLONE_NEWTIME");
        assert_eq!(value("clone", "clone_flags", 0x80), "");
        assert_eq!(value("openat", "flags", 0), "O_RDONLY");
        assert_eq!(value("pipe2", "flags", 0), "");
        assert_eq!(value("accept4", "flags", 0x80000), "SOCK_CLOEXEC");
        assert_eq!(value("accept4", "flags", 1), "");
    }

    #[test]
    fn a_field_is_named_only_where_the_mask_holds_all_of_it() {
        let open = call("open");
        let flags = open.argument("flags").unwrap().1;
        let under = |mask, value| name_under_mask(X86_64, open, flags, mask, value).unwrap_or_default();
        assert_eq!(under(3, 0), "O_RDONLY");
        assert_eq!(under(0o100, 0), "");
        assert_eq!(under(0o103, 0o101), "O_WRONLY|O_CREAT");
        assert_eq!(mask("open", "flags", 3), "O_ACCMODE");
        assert_eq!(mask("futex", "op", 128), "FUTEX_PRIVATE_FLAG");
        assert_eq!(mask("mmap", "flags", 0x20), "MAP_ANONYMOUS");
        assert_eq!(mask("clone", "clone_flags", 0xff), "");
    }

    #[test]
    fn a_negative_constant_is_named_in_the_width_that_is_compared() {
        let openat = call("openat");
        let wide = Argument { width: Width::Bits64, ..*openat.argument("dfd").unwrap().1 };
        assert_eq!(name_of(X86_64, openat, &wide, (-100_i64).cast_unsigned()).as_deref(), Some("AT_FDCWD"));
        assert_eq!(name_of(X86_64, openat, &wide, 0xffff_ff9c), None);
    }

    #[test]
    fn every_name_is_the_number_that_it_stands_for() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            for call in all(arch) {
                for argument in call.arguments {
                    let numbers = families(call, argument).iter().flat_map(|family| family.constants());
                    for number in numbers.filter_map(|constant| constant.value(arch)) {
                        let value = number.cast_unsigned() & argument.width.mask();
                        let names =
                            [name_of(arch, call, argument, value), name_of_mask(arch, call, argument, value)];
                        for name in names.into_iter().flatten() {
                            assert_eq!(read(arch, &name) & argument.width.mask(), value, "{name}");
                        }
                    }
                }
            }
        }
    }

    /// The number that a policy's names stand for.
    fn read(arch: Arch, names: &str) -> u64 {
        let number = |name: &str| match name.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => constants::value(arch, name).unwrap().cast_unsigned(),
        };
        names.split('|').map(number).fold(0, |all, bits| all | bits)
    }
}
