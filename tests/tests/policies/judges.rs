//! A role's policy and the judges that must agree about it.

use ringfence::role::policies::ALL;
use ringfence_tests::kernel::{self, Answers, Entry, Hold};
use seccomp_policies::action::Action;
use seccomp_policies::bpf::interpret;
use seccomp_policies::call::Call;
use seccomp_policies::embed::{Embedded, OnViolation, Variants};
use seccomp_policies::language::{self, Policy, Tier};
use seccomp_policies::syscalls::Arch;

/// Allowed calls that the kernel is not asked about, since they do not come back; with the reason.
pub(crate) const NOT_MADE: &[(&str, &str)] = &[
    ("exit_group", "ends the child"),
    ("rt_sigreturn", "takes the child's registers from its stack, where no signal has put any"),
];

/// Calls by which a probe of the kernel's own returns from its code in a process. The kernel lets them past seccomp
/// in every mode (Linux `kernel/seccomp.c`, `seccomp_uprobe_exception`: the first since 6.14, the second since 6.18);
/// made from any other place than a probe's, they fail with `ENXIO` or end the process, and do nothing else.
pub(crate) const UNSEEN: &[(u32, &str)] = &[(335, "uretprobe"), (336, "uprobe")];

/// What the kernel returns for a refused call under the programs that these tests install.
const REFUSED: i64 = -(libc::EPERM as i64);

/// Every argument that no rule looks at: no descriptor, no address, no process.
pub(crate) const HARMLESS: u64 = u64::MAX;

/// The policies whose tier is `filter`: all but strict mode's.
pub(crate) fn filtered() -> impl Iterator<Item = &'static Embedded> {
    ALL.iter().copied().filter(|policy| policy.tier() == Tier::Filter)
}

/// The checked text of a policy, with this choice in the place of its `otherwise`.
pub(crate) fn checked(embedded: &Embedded, on_violation: OnViolation) -> Policy {
    let (root, _) = embedded.sources[0];
    let checked = language::check_sources(root, embedded.sources, Arch::X86_64)
        .unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(false)));
    let otherwise = on_violation.otherwise(checked.policy.otherwise);
    Policy { otherwise, ..checked.policy }
}

/// The programs of a filter policy for a tier.
pub(crate) fn programs(embedded: &Embedded, tier: Tier) -> &Variants {
    embedded.variants(tier).expect("a filter role has programs")
}

pub(crate) fn call(number: u32, arguments: [u64; 6]) -> Call {
    Call { number, arch: Arch::X86_64.audit_value(), instruction_pointer: 0, arguments }
}

/// Whether the kernel can be asked: it looks at the call, and refuses it or comes back.
fn comes_back(policy: &Policy, call: &Call) -> bool {
    if is_unseen(call.number) {
        return false;
    }
    let rule = policy.matching_rule(call).map(|index| &policy.rules[index]);
    rule.is_none_or(|rule| NOT_MADE.iter().all(|&(name, _)| name != rule.call.name))
}

/// Whether the kernel keeps a call from seccomp.
pub(crate) fn is_unseen(number: u32) -> bool {
    UNSEEN.iter().any(|&(unseen, _)| unseen == number)
}

/// The interpreter gives each variant's program the meaning that the text has.
pub(crate) fn assert_interpreter_agrees(embedded: &Embedded, calls: &[Call]) {
    for on_violation in OnViolation::ALL {
        let policy = checked(embedded, on_violation);
        let program = programs(embedded, Tier::Filter).get(on_violation);
        for call in calls {
            let evaluation = interpret(program, call).expect("a proved program runs to its end");
            let action = Action::from_return_value(evaluation.value);
            assert_eq!(action, Some(policy.decide(call)), "{}, {on_violation:?}: {call:x?}", embedded.role);
        }
    }
}

/// What the kernel answers to each call under the `errno` variant, in one child.
pub(crate) fn kernels_answers(embedded: &Embedded, tier: Tier, calls: &[Call]) -> Vec<i64> {
    let program = programs(embedded, tier).get(OnViolation::Errno);
    match kernel::answers(Hold::Program(program), Entry::Native, calls) {
        Answers::Returned(answers) => answers,
        Answers::Ended(index, status) => {
            panic!("{}: the child ended ({status}) at {:x?}", embedded.role, calls.get(index))
        }
    }
}

/// The kernel refuses exactly what the text does not allow.
pub(crate) fn assert_kernel_agrees(embedded: &Embedded, calls: &[Call]) {
    let policy = checked(embedded, OnViolation::Errno);
    let calls: Vec<Call> = calls.iter().filter(|call| comes_back(&policy, call)).copied().collect();
    let answers = kernels_answers(embedded, Tier::Filter, &calls);
    for (call, answer) in calls.iter().zip(answers) {
        let expected = policy.decide(call);
        let agrees = match expected {
            Action::Errno(number) => answer == -i64::from(number),
            _ => answer != REFUSED,
        };
        assert!(agrees, "{}: {call:x?} returned {answer}, expected {expected}", embedded.role);
    }
}

/// Whether an answer is a refusal.
pub(crate) fn is_refusal(answer: i64) -> bool {
    answer == REFUSED
}
