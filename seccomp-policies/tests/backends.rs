//! Each backend's programs against the meaning of the policy, by the interpreter and by the running kernel.

mod support;

use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Program, interpret};
use seccomp_policies::call::Call;
use seccomp_policies::compile::{
    Error, Weights, bitmask, optimize, probes, reference, verify, widen, with_otherwise,
};
use seccomp_policies::language::{Condition, Policy, Relation, Tier, Width};
use seccomp_policies::syscalls::Arch;
use support::arbitrary::{
    EXIT_GROUP, NUMBERS, calls, is_harmless, policies, policies_of_any_otherwise, policies_of_numbers,
    policy, rule, test, unused_call,
};
use support::kernel::{getpid_of_i386, raw_call, results_under, signal_under};
use support::program::reference_if_it_fits;

fn optimized(policy: &Policy) -> Result<Program, Error> {
    optimize(policy, &Weights::default())
}

/// What a call returns where the kernel does as the policy says; none of the calls that are tried exists.
fn expected_result(policy: &Policy, call: &Call) -> i64 {
    match policy.decide(call) {
        Action::Allow => -i64::from(libc::ENOSYS),
        Action::Errno(number) => -i64::from(number),
        other => panic!("{other} ends the child that would try {call:x?}"),
    }
}

fn assert_kernel_agrees(program: &Program, policy: &Policy, mut calls: Vec<Call>) {
    calls.retain(is_harmless);
    let results = results_under(program.instructions(), &calls);
    for (call, result) in calls.iter().zip(results) {
        assert_eq!(result, expected_result(policy, call), "{call:x?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reference_program_means_what_its_policy_means(policy in policies(), calls in calls()) {
        if let Some(program) = reference_if_it_fits(&policy) {
            prop_assert_eq!(verify(program.instructions(), &policy, &calls), Ok(()));
            prop_assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
        }
    }

    #[test]
    fn an_optimized_program_means_what_its_policy_means(policy in policies(), calls in calls()) {
        for weights in [Weights::Uniform, Weights::CacheAware(None)] {
            let program = optimize(&policy, &weights).expect("a few rules fit in a program");
            prop_assert_eq!(verify(program.instructions(), &policy, &calls), Ok(()));
            prop_assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
        }
    }

    #[test]
    fn an_optimized_program_of_many_numbers_is_right_for_each_of_them(policy in policies_of_numbers()) {
        let program = optimized(&policy).expect("a few hundred numbers fit in a program");
        prop_assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
    }

    #[test]
    fn a_bitmask_program_means_what_is_left_without_conditions(policy in policies(), calls in calls()) {
        let program = bitmask(&policy).expect("a few numbers fit in a program");
        let widened = widen(&policy);
        prop_assert_eq!(verify(program.instructions(), &widened, &calls), Ok(()));
        prop_assert_eq!(verify(program.instructions(), &widened, &probes(&policy)), Ok(()));
    }

    #[test]
    fn a_bitmask_program_of_many_numbers_is_right_for_each_of_them(policy in policies_of_numbers()) {
        let program = bitmask(&policy).expect("a few hundred numbers fit in a program");
        prop_assert_eq!(verify(program.instructions(), &widen(&policy), &probes(&policy)), Ok(()));
        let distinct: std::collections::BTreeSet<_> = policy.rules.iter().map(|rule| rule.call.number).collect();
        prop_assert!(program.len() <= 10 + 2 * distinct.len(), "{} instructions", program.len());
    }

    #[test]
    fn every_backend_means_what_a_policy_means_whatever_its_otherwise(
        policy in policies_of_any_otherwise(),
        calls in calls(),
    ) {
        let calls: Vec<Call> = calls.into_iter().chain(probes(&policy)).collect();
        if let Some(program) = reference_if_it_fits(&policy) {
            prop_assert_eq!(verify(program.instructions(), &policy, &calls), Ok(()));
        }
        prop_assert_eq!(verify(optimized(&policy).unwrap().instructions(), &policy, &calls), Ok(()));
        prop_assert_eq!(verify(bitmask(&policy).unwrap().instructions(), &widen(&policy), &calls), Ok(()));
    }

    #[test]
    fn what_a_policy_allows_its_bitmask_allows_too(policy in policies(), calls in calls()) {
        let program = bitmask(&policy).expect("a few numbers fit in a program");
        for call in calls.iter().chain(&probes(&policy)) {
            if policy.decide(call) == Action::Allow {
                let answer = interpret(program.instructions(), call).expect("valid").value;
                prop_assert_eq!(answer, Action::Allow.to_return_value());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_kernel_does_what_a_policy_says_under_its_reference_program(policy in policies(), calls in calls()) {
        if let Some(program) = reference_if_it_fits(&policy) {
            let all = calls.into_iter().chain(probes(&policy)).collect();
            assert_kernel_agrees(&program, &policy, all);
        }
    }

    #[test]
    fn the_kernel_does_what_a_policy_says_under_its_optimized_program(
        policy in prop_oneof![policies(), policies_of_numbers()],
        calls in calls(),
    ) {
        let program = optimized(&policy).expect("a few rules fit in a program");
        let all = calls.into_iter().chain(probes(&policy)).collect();
        assert_kernel_agrees(&program, &policy, all);
    }

    #[test]
    fn the_kernel_does_what_is_left_without_conditions_under_a_bitmask_program(
        policy in prop_oneof![policies(), policies_of_numbers()],
        calls in calls(),
    ) {
        let program = bitmask(&policy).expect("a few hundred numbers fit in a program");
        let all = calls.into_iter().chain(probes(&policy)).collect();
        assert_kernel_agrees(&program, &widen(&policy), all);
    }
}

#[test]
fn a_policy_without_errno_rules_compiles_to_exactly_seccompilers_program() {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, TargetArch,
    };
    let pinned = Condition::All(vec![
        test(0, Width::Bits32, Relation::Equal(3)),
        test(1, Width::Bits64, Relation::Masked { mask: 0xff, value: 0x80 }),
    ]);
    let ours = policy(
        Action::Trap,
        vec![
            rule(unused_call(1), Condition::Always, Action::Allow),
            rule(unused_call(0), pinned, Action::Allow),
        ],
    );
    let conditions = vec![
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 3).unwrap(),
        SeccompCondition::new(1, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(0xff), 0x80).unwrap(),
    ];
    let rules = [(600, vec![SeccompRule::new(conditions).unwrap()]), (601, vec![])].into();
    let theirs: BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, TargetArch::x86_64)
            .unwrap()
            .try_into()
            .unwrap();
    assert_eq!(reference(&ours).unwrap().instructions(), theirs);
}

#[test]
fn the_first_matching_rule_decides_whatever_the_outcomes() {
    let small = || test(0, Width::Bits32, Relation::Less(10));
    let even = || test(0, Width::Bits32, Relation::Masked { mask: 1, value: 0 });
    let rules = vec![
        rule(unused_call(0), Condition::All(vec![small(), even()]), Action::Errno(13)),
        rule(unused_call(0), small(), Action::Allow),
        rule(unused_call(0), even(), Action::Errno(13)),
        rule(unused_call(0), Condition::Always, Action::Errno(2)),
    ];
    let policy = policy(Action::Trap, rules);
    let program = reference(&policy).unwrap();
    let answers = [4, 5, 40, 41].map(|argument| {
        let call = Call {
            number: 600,
            arch: Arch::X86_64.audit_value(),
            instruction_pointer: 0,
            arguments: [argument, 0, 0, 0, 0, 0],
        };
        Action::from_return_value(interpret(program.instructions(), &call).unwrap().value)
    });
    let errno = |number| Some(Action::Errno(number));
    assert_eq!(answers, [errno(13), Some(Action::Allow), errno(13), errno(2)]);
}

#[test]
fn an_errno_rule_with_the_policys_own_otherwise_compiles() {
    let condition = test(2, Width::Bits64, Relation::GreaterOrEqual(1 << 40));
    let policy = policy(Action::Errno(1), vec![rule(unused_call(3), condition, Action::Errno(1))]);
    for compile in [reference, optimized] {
        let program = compile(&policy).unwrap();
        assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
    }
}

#[test]
fn a_condition_that_never_holds_does_not_let_its_call_through() {
    let never = Condition::Any(Vec::new());
    let policy = policy(Action::Errno(1), vec![rule(unused_call(0), never, Action::Allow)]);
    for compile in [reference, optimized] {
        let program = compile(&policy).unwrap();
        assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
    }
}

#[test]
fn rules_for_different_calls_share_a_program_however_their_outcomes_alternate() {
    let alternating = |outcome: fn(u32) -> Action| {
        let rules =
            (0..20).map(|index| rule(unused_call(index), Condition::Always, outcome(index))).collect();
        reference(&policy(Action::Trap, rules)).unwrap().len()
    };
    let one_outcome = alternating(|_| Action::Allow);
    let two_outcomes = alternating(|index| if index % 2 == 0 { Action::Allow } else { Action::Errno(1) });
    // A second load of the number, and a second end.
    assert_eq!(two_outcomes, one_outcome + 2);
}

#[test]
fn otherwise_is_the_only_difference_between_variants() {
    let rules = vec![
        rule(unused_call(0), test(0, Width::Bits32, Relation::Equal(3)), Action::Allow),
        rule(unused_call(1), Condition::Always, Action::Errno(2)),
    ];
    let policy = policy(Action::Trap, rules);
    for compile in [reference, bitmask, optimized] {
        let trap = compile(&policy).unwrap();
        for otherwise in [Action::KillProcess, Action::Errno(1), Action::Log] {
            let variant = with_otherwise(&policy, otherwise);
            let program = compile(&variant).unwrap();
            let replaced: Vec<_> = trap
                .instructions()
                .iter()
                .cloned()
                .map(|mut instruction| {
                    if instruction.k == libc::SECCOMP_RET_TRAP {
                        instruction.k = otherwise.to_return_value();
                    }
                    instruction
                })
                .collect();
            assert_eq!(program.instructions(), replaced);
        }
    }
}

#[test]
fn a_search_over_scattered_numbers_is_not_a_chain() {
    let rules: Vec<_> =
        (0..150).step_by(3).map(|index| rule(unused_call(index), Condition::Always, Action::Allow)).collect();
    let policy = policy(Action::Trap, rules);
    let program = bitmask(&policy).unwrap();
    let longest = probes(&policy)
        .iter()
        .map(|call| interpret(program.instructions(), call).unwrap().executed)
        .max()
        .unwrap();
    // Four instructions before and one after; 50 numbers in groups of three come to 17 groups.
    assert!(longest <= 4 + 5 + 3 + 1, "{longest} instructions for one call");
    assert!(program.len() < 80, "{} instructions", program.len());
}

#[test]
fn stripes_of_numbers_are_told_apart_by_a_bit() {
    // 608 to 639, every second one: a single test of bit 0 between two of a range.
    let rules: Vec<_> =
        (8..40).step_by(2).map(|index| rule(unused_call(index), Condition::Always, Action::Allow)).collect();
    let policy = policy(Action::Trap, rules);
    let program = bitmask(&policy).unwrap();
    assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
    assert!(program.len() <= 9, "{} instructions", program.len());
}

#[test]
fn a_search_whose_jumps_are_too_far_takes_steps() {
    let outcome = |index: u32| match index % 4 {
        0 => Action::Allow,
        _ => Action::Errno(u16::try_from(1 + index * 7 % 90).expect("below 91")),
    };
    let rules: Vec<_> = (0..NUMBERS)
        .filter(|index| index % 5 != 4)
        .map(|index| rule(unused_call(index), Condition::Always, outcome(index)))
        .collect();
    let policy = policy(Action::Trap, rules);
    let program = bitmask(&policy).unwrap();
    assert!(program.len() > 256, "{} instructions are no test of far jumps", program.len());
    assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
}

#[test]
fn a_call_through_another_architectures_entry_ends_the_process() {
    let everything = Action::Log;
    for compile in [reference, bitmask, optimized] {
        let program = compile(&policy(everything, Vec::new())).unwrap();
        assert_eq!(signal_under(program.instructions(), getpid_of_i386), Some(libc::SIGSYS));
        assert_eq!(signal_under(program.instructions(), || ()), None, "the child ends by itself otherwise");
    }
}

#[test]
fn the_kernel_does_with_a_refused_call_what_the_choice_says() {
    let only_exit = policy(Action::Trap, vec![rule(&EXIT_GROUP, Condition::Always, Action::Allow)]);
    for compile in [reference, bitmask, optimized] {
        let program = |otherwise| compile(&with_otherwise(&only_exit, otherwise)).unwrap();
        for ending in [Action::Trap, Action::KillProcess] {
            let signal = signal_under(program(ending).instructions(), make_unused_call);
            assert_eq!(signal, Some(libc::SIGSYS), "{ending:?}");
        }
        let result = |otherwise| results_under(program(otherwise).instructions(), &[UNUSED]);
        assert_eq!(result(Action::Errno(13)), [-13]);
        assert_eq!(result(Action::Log), [-i64::from(libc::ENOSYS)], "it is carried out");
    }
}

/// A call that no kernel has, so that it may be carried out.
const UNUSED: Call =
    Call { number: 600, arch: Arch::X86_64.audit_value(), instruction_pointer: 0, arguments: [0; 6] };

fn make_unused_call() {
    raw_call(&UNUSED);
}

#[test]
fn the_strict_tier_has_no_program() {
    let strict = Policy { tier: Tier::Strict, ..policy(Action::KillProcess, Vec::new()) };
    for compile in [reference, bitmask, optimized] {
        assert!(matches!(compile(&strict), Err(Error::Strict { role }) if role == "test"));
    }
}

#[test]
fn a_program_that_is_too_long_says_by_how_much() {
    let value = |value| test(0, Width::Bits64, Relation::Equal(value));
    let any = Condition::Any((0..100).map(|index| value(2 * index)).collect());
    let rules: Vec<_> = (0..10).map(|index| rule(unused_call(index), any.clone(), Action::Allow)).collect();
    let error = reference(&policy(Action::Trap, rules)).expect_err("it cannot fit").to_string();
    // Prologue 4, ten calls of 100 alternatives at 7 instructions and two more each, one at the end.
    assert!(error.contains("comes to 7025 instructions, 2930 more than the 4095"), "{error}");
}

#[test]
fn a_condition_that_explodes_names_its_line_and_is_not_multiplied_out() {
    let value = |value| test(0, Width::Bits64, Relation::Equal(value));
    let either = Condition::Any((0..10).map(|index| value(2 * index)).collect());
    let explosive = Condition::All(vec![either; 12]);
    let policy = policy(Action::Trap, vec![rule(unused_call(0), explosive, Action::Allow)]);
    let error = reference(&policy).expect_err("it cannot fit").to_string();
    assert!(error.starts_with("test.policy:1: the condition on `unused` comes to 1000000000000"), "{error}");
}

#[test]
fn aarch64_programs_check_for_their_own_architecture() {
    let rules = vec![rule(unused_call(0), test(0, Width::Bits32, Relation::Equal(3)), Action::Allow)];
    let policy = Policy { arch: Arch::Aarch64, ..policy(Action::Trap, rules) };
    for (program, meaning) in [
        (reference(&policy).unwrap(), policy.clone()),
        (optimized(&policy).unwrap(), policy.clone()),
        (bitmask(&policy).unwrap(), widen(&policy)),
    ] {
        assert_eq!(verify(program.instructions(), &meaning, &probes(&policy)), Ok(()));
    }
}

#[test]
fn a_call_refused_with_errno_0_reports_success_to_its_caller() {
    let refused = policy(
        Action::Allow,
        vec![
            rule(unused_call(0), Condition::Always, Action::Errno(0)),
            rule(unused_call(1), test(0, Width::Bits32, Relation::Equal(7)), Action::Errno(0)),
        ],
    );
    let call = |index: u32, argument| Call {
        number: unused_call(index).number,
        arch: Arch::X86_64.audit_value(),
        instruction_pointer: 0,
        arguments: [argument, 0, 0, 0, 0, 0],
    };
    let missing = -i64::from(libc::ENOSYS);
    for program in [reference(&refused).unwrap(), optimized(&refused).unwrap()] {
        let results =
            results_under(program.instructions(), &[call(0, 0), call(1, 7), call(1, 8), call(2, 0)]);
        assert_eq!(results, [0, 0, missing, missing]);
    }
}
