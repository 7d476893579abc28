//! The tables: `x86_64.tsv` and `aarch64.tsv` beside this file, read when somebody first asks.
//!
//! As text they cost a program that never asks nothing. As static structures, full of pointers, they were 6000
//! relocations and 125 KiB of memory at every start of a position-independent binary.

use std::sync::LazyLock;

use super::{Arch, Argument, Syscall};
use crate::language::Width;

/// The rows of an architecture, ascending in the number, without the comments.
fn rows(arch: Arch) -> impl Iterator<Item = &'static str> {
    let text = match arch {
        Arch::X86_64 => include_str!("x86_64.tsv"),
        Arch::Aarch64 => include_str!("aarch64.tsv"),
    };
    text.lines().filter(|line| !line.starts_with('#'))
}

static X86_64: LazyLock<Vec<Syscall>> = LazyLock::new(|| read(Arch::X86_64));
static AARCH64: LazyLock<Vec<Syscall>> = LazyLock::new(|| read(Arch::Aarch64));

fn read(arch: Arch) -> Vec<Syscall> {
    // A test reads both tables, so a row that cannot be read does not get as far as a user.
    rows(arch).map(|row| syscall(row).unwrap_or_else(|| panic!("{arch}: not a row: {row}"))).collect()
}

fn syscall(row: &'static str) -> Option<Syscall> {
    let mut columns = row.split('\t');
    let number = columns.next()?.parse().ok()?;
    let name = columns.next()?;
    let arguments: Option<Vec<Argument>> =
        columns.next().unwrap_or_default().split_whitespace().map(argument).collect();
    // As lasting as the table, which is never dropped.
    Some(Syscall { number, name, arguments: arguments?.leak() })
}

fn argument(text: &'static str) -> Option<Argument> {
    let mut parts = text.splitn(3, ':');
    let (name, width, c_type) = (parts.next()?, parts.next()?, parts.next()?);
    let width = match width {
        "32" => Width::Bits32,
        "64" => Width::Bits64,
        _ => return None,
    };
    Some(Argument { name, width, c_type })
}

/// Every call of an architecture, ascending in the number.
pub fn all(arch: Arch) -> &'static [Syscall] {
    match arch {
        Arch::X86_64 => &X86_64,
        Arch::Aarch64 => &AARCH64,
    }
}

/// The name of the call of this number. Takes no lock and allocates nothing, for use in a signal handler.
pub fn name_of(arch: Arch, number: u32) -> Option<&'static str> {
    rows(arch).find_map(|row| {
        let (known, rest) = row.split_once('\t')?;
        (known.parse() == Ok(number)).then(|| rest.split('\t').next())?
    })
}

/// The call of this name, which may carry the kernel's prefix `sys_`.
pub fn by_name(arch: Arch, name: &str) -> Option<&'static Syscall> {
    let name = name.strip_prefix("sys_").unwrap_or(name);
    all(arch).iter().find(|call| call.name == name)
}

/// The call of this number, without the x32 bit.
pub fn by_number(arch: Arch, number: u32) -> Option<&'static Syscall> {
    let table = all(arch);
    table.binary_search_by_key(&number, |call| call.number).ok().map(|index| &table[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_by_its_name_with_or_without_the_kernels_prefix() {
        assert_eq!(by_name(Arch::X86_64, "sys_ioctl"), by_name(Arch::X86_64, "ioctl"));
        assert_eq!(by_name(Arch::X86_64, "ioctl").unwrap().number, 16);
        assert_eq!(by_name(Arch::Aarch64, "ioctl").unwrap().number, 29);
        assert_eq!(by_name(Arch::X86_64, "iotcl"), None);
    }

    #[test]
    fn numbers_ascend() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            assert!(all(arch).is_sorted_by(|low, high| low.number < high.number), "{arch}");
            assert!(all(arch).len() > 300, "{arch}");
        }
    }

    #[test]
    fn a_name_stands_for_one_call_of_an_architecture() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            assert_eq!(name_of(arch, 100_000), None);
            for call in all(arch) {
                assert_eq!(name_of(arch, call.number), Some(call.name));
                assert_eq!(by_name(arch, call.name), Some(call));
                assert_eq!(by_number(arch, call.number), Some(call));
            }
        }
    }

    #[test]
    fn numbers_agree_with_those_of_libc() {
        for (name, number) in [
            ("read", libc::SYS_read),
            ("rt_sigreturn", libc::SYS_rt_sigreturn),
            ("restart_syscall", libc::SYS_restart_syscall),
            ("close_range", libc::SYS_close_range),
            ("futex_waitv", libc::SYS_futex_waitv),
            ("mseal", libc::SYS_mseal),
        ] {
            assert_eq!(i64::from(by_name(HOST, name).unwrap().number), number, "{name}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    const HOST: Arch = Arch::X86_64;
    #[cfg(target_arch = "aarch64")]
    const HOST: Arch = Arch::Aarch64;

    #[test]
    fn calls_that_the_generic_table_dropped_are_missing_on_aarch64() {
        for name in ["open", "stat", "poll", "fork", "epoll_wait", "arch_prctl"] {
            assert!(by_name(Arch::X86_64, name).is_some(), "{name}");
            assert_eq!(by_name(Arch::Aarch64, name), None, "{name}");
        }
    }

    #[test]
    fn clone_takes_its_last_two_arguments_in_the_architectures_order() {
        let last = |arch| by_name(arch, "clone").unwrap().arguments[4].name;
        assert_eq!((last(Arch::X86_64), last(Arch::Aarch64)), ("tls", "child_tidptr"));
    }

    #[test]
    fn an_fd_is_read_in_32_bits_and_a_size_in_64() {
        let write = by_name(Arch::X86_64, "write").unwrap();
        assert_eq!(write.argument("fd").unwrap().1.width, Width::Bits32);
        assert_eq!(write.argument("count").unwrap().1.width, Width::Bits64);
        assert_eq!(write.argument("cmd"), None);
    }

    #[test]
    fn every_descriptor_is_read_in_32_bits() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            for call in all(arch) {
                for (_, argument) in call.descriptors() {
                    assert_eq!(argument.width, Width::Bits32, "{} of {} on {arch}", argument.name, call.name);
                }
            }
        }
    }
}
