//! The kernel's action cache: the calls that a program allows without being run for them.
//!
//! When a program is installed the kernel goes through it once for every call number, knowing the number and the
//! architecture alone, and keeps a bit for each number that is allowed on the way. A call whose bit is set is carried
//! out without running the program. Any other answer, an error number too, is found by the program each time.
//!
//! Source: `seccomp_is_const_allow` and `seccomp_cache_prepare_bitmap`, Linux `kernel/seccomp.c`, since 5.11. What the
//! kernel adds of its own is no part of this: since 6.12 it lets `uretprobe` through whatever the program says.

use std::collections::BTreeSet;

use super::write::{ARCH, NUMBER};
use super::{Arithmetic, Instruction, Operand, Operation, Register, Source};
use crate::action::Action;
use crate::syscalls::{self, Arch};

/// The numbers that the kernel's cache answers under this program, ascending.
///
/// The kernel asks for each number below its own count of calls (`SECCOMP_ARCH_NATIVE_NR`); here that is the count of
/// this crate's table, so numbers of the x32 ABI are not among them. An older kernel has fewer calls and its cache fewer
/// bits.
pub fn cached_calls(program: &[Instruction], arch: Arch) -> BTreeSet<u32> {
    let count = syscalls::all(arch).iter().map(|call| call.number + 1).max().unwrap_or(0);
    (0..count).filter(|number| is_cached(program, arch, *number)).collect()
}

/// Whether the program's path for a number looks at nothing but number and architecture, and ends in allow: the
/// kernel's cache answers the call, if the kernel has one of this number.
pub fn is_cached(program: &[Instruction], arch: Arch, number: u32) -> bool {
    let mut a: u32 = 0;
    let mut at: usize = 0;
    while let Some(operation) = program.get(at).and_then(Operation::decode) {
        at += 1;
        let skipped = match operation {
            Operation::Load(Register::A, Source::Data(NUMBER)) => {
                a = number;
                0
            }
            Operation::Load(Register::A, Source::Data(ARCH)) => {
                a = arch.audit_value();
                0
            }
            Operation::Arithmetic(Arithmetic::And, Operand::K(mask)) => {
                a &= mask;
                0
            }
            Operation::Jump(distance) => distance,
            Operation::Branch { comparison, operand: Operand::K(constant), then, otherwise } => {
                u32::from(if comparison.holds(a, constant) { then } else { otherwise })
            }
            Operation::ReturnConstant(value) => return value == Action::Allow.to_return_value(),
            _ => return false,
        };
        at = at.saturating_add(skipped as usize);
    }
    false
}

#[cfg(test)]
mod tests {
    use libc::{BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_MEM, BPF_OR, BPF_ST, BPF_X};

    use super::*;
    use crate::bpf::Comparison;
    use crate::bpf::write::{and, branch, instruction, jump, load, ret, statement};

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    /// Whether `read` is answered by the cache when these come before an ALLOW.
    fn is_cached_behind(before: &[Instruction]) -> bool {
        is_cached(&[before, &[ret(ALLOW)]].concat(), Arch::X86_64, 0)
    }

    #[test]
    fn number_architecture_constants_and_jumps_leave_a_call_to_the_cache() {
        assert!(is_cached_behind(&[]));
        assert!(is_cached_behind(&[load(NUMBER), load(ARCH)]));
        assert!(is_cached_behind(&[load(NUMBER), and(0xff)]));
        assert!(is_cached_behind(&[jump(1), load(16)]));
    }

    #[test]
    fn any_other_instruction_on_the_way_keeps_a_call_from_the_cache() {
        assert!(!is_cached_behind(&[load(16)]), "an argument");
        assert!(!is_cached_behind(&[load(8)]), "the instruction pointer");
        assert!(!is_cached_behind(&[statement(BPF_ALU | BPF_OR | BPF_K, 0)]));
        assert!(!is_cached_behind(&[statement(BPF_ALU | BPF_AND | BPF_X, 0)]));
        assert!(!is_cached_behind(&[instruction(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 0)]));
        assert!(!is_cached_behind(&[statement(BPF_ST, 0), statement(BPF_LD | BPF_MEM, 0)]));
    }

    #[test]
    fn a_call_is_cached_by_its_own_path_alone() {
        let program = [load(NUMBER), branch(Comparison::Equal, 1, 0, 1), load(16), ret(ALLOW)];
        let first: Vec<u32> = cached_calls(&program, Arch::X86_64).into_iter().take(3).collect();
        assert_eq!(first, [0, 2, 3]);
    }

    #[test]
    fn an_answer_other_than_allow_is_never_cached() {
        for value in [libc::SECCOMP_RET_LOG, libc::SECCOMP_RET_ERRNO | 1, ALLOW | 1] {
            assert!(!is_cached(&[ret(value)], Arch::X86_64, 0), "{value:#x}");
        }
    }

    #[test]
    fn numbers_that_the_kernel_has_no_call_for_have_no_bit() {
        let cached = cached_calls(&[ret(ALLOW)], Arch::X86_64);
        assert!(cached.contains(&0));
        assert!(cached.last().is_some_and(|last| *last < 1024), "the x32 ABI is far above");
    }
}
