//! How long the longest path through a program may be, counted without the compiler.

use std::collections::BTreeSet;

use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Operation, Program, Source};
use seccomp_policies::language::Policy;
use seccomp_policies::prove::Decisions;
use seccomp_policies::syscalls::X32_BIT;

/// Offset of `args` in `struct seccomp_data`, Linux `include/uapi/linux/seccomp.h`.
const FIRST_ARGUMENT: u32 = 16;

/// The longest path that there may be where `deepest` instructions decide after the number is known: three before the
/// search, and a test for each bit that numbers the intervals.
pub fn most(policy: &Policy, deepest: usize) -> usize {
    let decisions = Decisions::of_policy(policy);
    let arch = policy.arch.audit_value();
    let at = |number| decisions.iter().map(|(_, calls)| calls.of_call(arch, number)).collect::<Vec<_>>();
    let numbers = policy.rules.iter().map(|rule| rule.call.number);
    let mut starts: BTreeSet<u32> = numbers.flat_map(|number| [number, number + 1]).collect();
    if policy.otherwise == Action::Allow {
        starts.extend([X32_BIT, u32::MAX]);
    }
    let intervals = 1 + starts.into_iter().filter(|start| *start > 0 && at(*start) != at(start - 1)).count();
    3 + intervals.next_power_of_two().trailing_zeros() as usize + deepest
}

/// Instructions on the longest path from where a program first looks at an argument, the return included.
pub fn deepest_argument_part(program: &Program) -> usize {
    let instructions = program.instructions();
    let mut longest = vec![1; instructions.len()];
    let mut deepest = 1;
    for at in (0..instructions.len()).rev() {
        let behind = |distance: usize| longest[at + 1 + distance];
        longest[at] = 1 + match Operation::decode(&instructions[at]).expect("a valid program") {
            Operation::ReturnConstant(_) => 0,
            Operation::Jump(distance) => behind(distance as usize),
            Operation::Branch { then, otherwise, .. } => behind(then.into()).max(behind(otherwise.into())),
            Operation::Load(_, Source::Data(offset)) if offset >= FIRST_ARGUMENT => {
                deepest = deepest.max(1 + behind(0));
                behind(0)
            }
            _ => behind(0),
        };
    }
    deepest
}
