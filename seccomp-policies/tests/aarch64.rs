//! Policies for aarch64: what their programs say, by the interpreter everywhere and by an aarch64 kernel where there
//! is one.

mod support;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Program, interpret};
use seccomp_policies::call::Call;
use seccomp_policies::compile::{Error, Weights, bitmask, optimize, probes, reference, verify, widen};
use seccomp_policies::language::{Policy, check_sources};
use seccomp_policies::prove::prove;
use seccomp_policies::syscalls::{Arch, by_name};
use support::aarch64::{Answers, Case, Judge};
use support::arbitrary::{EXIT_GROUP, calls, policies};
use support::roles;
use support::tracing::not_judged;

/// A backend and its name.
type Backend = (&'static str, fn(&Policy) -> Result<Program, Error>);

/// The backends that compile a policy whole.
const WHOLE: [Backend; 2] =
    [("reference", reference), ("optimizing", |policy| optimize(policy, &Weights::default()))];

/// `exit_group` of aarch64.
const EXIT_GROUP_NUMBER: u32 = 94;

/// The same policy for aarch64: its calls exist on neither target, but the one that ends the process.
fn for_aarch64(mut policy: Policy) -> Policy {
    policy.arch = Arch::Aarch64;
    for rule in &mut policy.rules {
        if rule.call.number == EXIT_GROUP.number {
            rule.call = by_name(Arch::Aarch64, "exit_group").expect("a call of aarch64");
        }
    }
    policy
}

fn on_aarch64(calls: Vec<Call>) -> Vec<Call> {
    let arch = Arch::Aarch64.audit_value();
    calls.into_iter().map(|call| Call { arch, ..call }).collect()
}

/// The program, or `None` where the policy's conditions do not fit in one.
fn if_it_fits(program: Result<Program, Error>) -> Option<Program> {
    match program {
        Ok(program) => Some(program),
        Err(Error::TooManyAlternatives { .. } | Error::TooLong { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_backends_program_for_aarch64_means_what_its_policy_means(policy in policies(), calls in calls()) {
        let policy = for_aarch64(policy);
        let calls: Vec<_> = on_aarch64(calls).into_iter().chain(probes(&policy)).collect();
        for program in WHOLE.into_iter().filter_map(|(_, compile)| if_it_fits(compile(&policy))) {
            prop_assert_eq!(verify(program.instructions(), &policy, &calls), Ok(()));
            prop_assert_eq!(prove(program.instructions(), &policy), Ok(()));
        }
        let program = bitmask(&policy).expect("a few numbers fit in a program");
        prop_assert_eq!(verify(program.instructions(), &widen(&policy), &calls), Ok(()));
    }
}

/// What a call returns where the kernel does as the policy says; none of the calls that are tried exists.
fn expected_result(policy: &Policy, call: &Call) -> i64 {
    match policy.decide(call) {
        Action::Allow => -i64::from(libc::ENOSYS),
        Action::Errno(number) => -i64::from(number),
        other => panic!("{other} ends the child that would try {call:x?}"),
    }
}

/// Made-up policies and calls that do no harm, the same in every run, with the program of each backend.
fn cases() -> Vec<(Policy, Case)> {
    let mut runner = TestRunner::deterministic();
    let made_up = (0..20).flat_map(|_| {
        let strategy = (policies(), calls());
        let (policy, calls) = strategy.new_tree(&mut runner).expect("a value").current();
        let policy = for_aarch64(policy);
        let mut calls: Vec<_> = on_aarch64(calls).into_iter().chain(probes(&policy)).collect();
        calls.retain(|call| call.arch == policy.arch.audit_value() && call.number != EXIT_GROUP_NUMBER);
        calls.truncate(200);
        let whole = WHOLE.into_iter().filter_map(|(_, compile)| if_it_fits(compile(&policy)));
        let whole: Vec<_> = whole.map(|program| (policy.clone(), program)).collect();
        let numbers = (widen(&policy), bitmask(&policy).expect("a few numbers fit in a program"));
        whole
            .into_iter()
            .chain([numbers])
            .map(move |(meaning, program)| (meaning, Case { program, calls: calls.clone() }))
    });
    made_up.collect()
}

#[test]
fn a_kernel_for_aarch64_does_what_a_policy_says() {
    const WHAT: &str = "programs for aarch64";
    let judge = Judge::find();
    let (policies, cases): (Vec<_>, Vec<_>) = cases().into_iter().unzip();
    let answers = match (&judge, judge.ask(&cases)) {
        (_, Ok(answers)) => answers,
        (Judge::UserEmulation, Err(why)) => return not_judged(WHAT, &why),
        (Judge::Machine(kernel), Err(why)) => panic!("{kernel} was to judge, but {why}"),
    };
    if matches!(judge, Judge::UserEmulation) && answers.iter().all(|answer| answer.installed != 0) {
        // QEMU 7.2 knows the call's name alone, and filters of its guest would have to judge numbers that its host
        // does not have.
        let error =
            std::io::Error::from_raw_os_error(i32::try_from(-answers[0].installed).expect("an error number"));
        return not_judged(WHAT, &format!("qemu-aarch64 answers seccomp(2) with {error}"));
    }
    for ((policy, case), Answers { installed, results }) in policies.iter().zip(&cases).zip(answers) {
        assert_eq!(installed, 0, "the kernel takes the program");
        for (call, result) in case.calls.iter().zip(results) {
            assert_eq!(result, expected_result(policy, call), "{call:x?}");
        }
    }
}

#[test]
fn every_policy_of_the_project_means_the_same_for_aarch64_as_its_programs() {
    for role in roles::filtered() {
        let policy = roles::policy(&role, Arch::Aarch64);
        let calls = probes(&policy);
        for (backend, compile) in WHOLE {
            let program = compile(&policy).unwrap();
            assert_eq!(verify(program.instructions(), &policy, &calls), Ok(()), "{backend} {role}");
            assert_eq!(prove(program.instructions(), &policy), Ok(()), "{backend} {role}");
        }
        assert_eq!(
            verify(bitmask(&policy).unwrap().instructions(), &widen(&policy), &calls),
            Ok(()),
            "{role}"
        );
    }
}

#[test]
fn one_rule_compares_what_each_target_has_in_its_place() {
    let rules = "\
role r
tier filter
otherwise trap
clone: child_tidptr == 8 && (clone_flags & CLONE_THREAD) != 0 -- the fifth register here, the fourth there
openat: flags == O_DIRECTORY -- another bit
";
    for (backend, compile) in WHOLE {
        let compiled = |arch| {
            let policy = check_sources("r.policy", &[("r.policy", rules)], arch).expect("it holds").policy;
            compile(&policy).expect("it fits")
        };
        let answer = |arch: Arch, call: &str, arguments| {
            let number = by_name(arch, call).expect("a call of both").number;
            let call = Call { number, arch: arch.audit_value(), instruction_pointer: 0, arguments };
            Action::from_return_value(interpret(compiled(arch).instructions(), &call).expect("valid").value)
        };
        let thread = 0x1_0000;
        let [fourth, fifth] = [[thread, 0, 0, 8, 0, 0], [thread, 0, 0, 0, 8, 0]];
        let (yes, no) = (Some(Action::Allow), Some(Action::Trap));
        let clone = |arch| [fourth, fifth].map(|arguments| answer(arch, "clone", arguments));
        assert_eq!((clone(Arch::X86_64), clone(Arch::Aarch64)), ([yes, no], [no, yes]), "{backend}");
        let [high, low] = [0o200_000, 0o40_000].map(|flags| [3, 0, flags, 0, 0, 0]);
        let openat = |arch| [high, low].map(|arguments| answer(arch, "openat", arguments));
        assert_eq!((openat(Arch::X86_64), openat(Arch::Aarch64)), ([yes, no], [no, yes]), "{backend}");
    }
}
