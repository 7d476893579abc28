//! What a program of libseccomp's is to decide.
#![forbid(unsafe_code)]

use seccomp_policies::action::Action;
use seccomp_policies::bpf::Comparison;
use seccomp_policies::bpf::write::{NUMBER, branch, load, ret};
use seccomp_policies::language::Policy;
use seccomp_policies::prove::Decisions;

/// First number of the x32 ABI: `__X32_SYSCALL_BIT`, Linux `arch/x86/include/uapi/asm/unistd.h`.
const X32: u32 = 0x4000_0000;

/// The number of a call that a tracer has taken back, which libseccomp does not count as one of x32.
const TAKEN_BACK: u32 = u32::MAX;

/// What libseccomp's program is to decide: what the policy does, but that it answers numbers of the x32 ABI as calls of
/// another architecture, which end the process; there is no asking it for anything else on `x86_64`.
pub fn meaning(policy: &Policy) -> Decisions {
    let answer = |action: Action| ret(action.to_return_value());
    let x32_ends = [
        load(NUMBER),
        branch(Comparison::GreaterOrEqual, X32, 0, 2),
        branch(Comparison::Equal, TAKEN_BACK, 1, 0),
        answer(Action::KillProcess),
        answer(Action::Allow),
    ];
    // Of stacked programs the stricter answer holds: none is stricter than the end, none less so than leave.
    let x32_ends = Decisions::of_program(&x32_ends).expect("five plain instructions");
    Decisions::combine(&[Decisions::of_policy(policy), x32_ends])
}

#[cfg(test)]
mod tests {
    use seccomp_policies::call::Call;
    use seccomp_policies::syscalls::Arch;

    use super::*;
    use crate::libseccomp::tests::checked;

    #[test]
    fn the_meaning_differs_from_the_policys_in_calls_of_x32_alone() {
        let policy = checked("read: -- input");
        let (policy, meant) = (Decisions::of_policy(&policy), meaning(&policy));
        let call = |number| Call {
            number,
            arch: Arch::X86_64.audit_value(),
            instruction_pointer: 0,
            arguments: [0; 6],
        };
        let changed = |number| policy.answer(&call(number)) != meant.answer(&call(number));
        let ends = |number| meant.answer(&call(number)) == Action::KillProcess.into();
        assert!([0, 1, 0x3fff_ffff, u32::MAX].iter().all(|&number| !changed(number) && !ends(number)));
        assert!(
            [0x4000_0000, 0x4000_0001, u32::MAX - 1].iter().all(|&number| changed(number) && ends(number))
        );
    }
}
