//! What policies and programs decide: equal, different, at most, stacked.

use libc::{BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGE, BPF_RET};
use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Instruction, interpret};
use seccomp_policies::call::Call;
use seccomp_policies::compile::{Weights, bitmask, optimize, probes, reference, widen, with_otherwise};
use seccomp_policies::language::{Condition, Policy, Relation, Width, check_sources};
use seccomp_policies::prove::{Answer, Decisions, Permission};
use seccomp_policies::syscalls::Arch;

use crate::support::arbitrary::{
    calls, policies, policies_of_any_otherwise, policies_of_numbers, policy, rule, test, unused_call,
};
use crate::support::program::{load as load_word, op, reference_if_it_fits, ret, when};
use crate::support::roles;

fn decisions(program: &[Instruction]) -> Decisions {
    Decisions::of_program(program).expect("programs of policies compare words with constants")
}

fn assert_equal(policy: &Policy, program: &[Instruction]) {
    if let Some(difference) = Decisions::of_policy(policy).difference(&decisions(program)) {
        panic!("{}: {difference}", policy.role);
    }
}

/// A policy of these lines on top of `otherwise trap`.
fn of_text(rules: &str) -> Policy {
    if rules.is_empty() {
        return policy(Action::Trap, Vec::new());
    }
    let text = format!("role r\ntier filter\notherwise trap\n{rules}\n");
    let checked = check_sources("r.policy", &[("r.policy", &text)], Arch::X86_64);
    checked.unwrap_or_else(|errors| panic!("{errors:?}")).policy
}

/// How the two differ, as text; `equal` where they do not.
fn compared(one: &str, other: &str) -> String {
    let difference = Decisions::of_policy(&of_text(one)).difference(&Decisions::of_policy(&of_text(other)));
    difference.map_or("equal".into(), |difference| difference.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_policys_decisions_are_what_its_text_says_of_each_call(
        policy in prop_oneof![policies(), policies_of_numbers(), policies_of_any_otherwise()],
        calls in calls(),
    ) {
        let decisions = Decisions::of_policy(&policy);
        for call in calls.iter().chain(&probes(&policy)) {
            prop_assert_eq!(decisions.answer(call), policy.decide(call).into(), "{:x?}", call);
        }
    }

    #[test]
    fn every_backends_program_is_equal_to_its_policy(
        policy in prop_oneof![policies(), policies_of_numbers(), policies_of_any_otherwise()],
    ) {
        let meaning = Decisions::of_policy(&policy);
        if let Some(program) = reference_if_it_fits(&policy) {
            prop_assert_eq!(meaning.difference(&decisions(program.instructions())), None);
        }
        let optimized = optimize(&policy, &Weights::default()).expect("it fits");
        prop_assert_eq!(meaning.difference(&decisions(optimized.instructions())), None);
        let numbers = bitmask(&policy).expect("a few hundred numbers fit in a program");
        let widened = Decisions::of_policy(&widen(&policy));
        prop_assert_eq!(widened.difference(&decisions(numbers.instructions())), None);
    }

    #[test]
    fn two_policies_differ_exactly_where_their_texts_do(
        (one, other) in (policies(), policies()),
        calls in calls(),
    ) {
        let (left, right) = (Decisions::of_policy(&one), Decisions::of_policy(&other));
        let difference = left.difference(&right);
        for call in calls.iter().chain(&probes(&one)).chain(&probes(&other)) {
            let differs = one.decide(call) != other.decide(call);
            let said = difference.as_ref().is_some_and(|difference| difference.calls.contains(call));
            prop_assert_eq!(said, differs, "{:x?}", call);
        }
        if let Some(difference) = difference {
            prop_assert_eq!(difference.left, one.decide(&difference.example).into());
            prop_assert_eq!(difference.right, other.decide(&difference.example).into());
            prop_assert_ne!(difference.left, difference.right);
        }
    }

    #[test]
    fn a_stack_of_programs_does_with_each_call_what_the_most_restrictive_says(
        stack in prop::collection::vec(policies(), 0..4),
        calls in calls(),
    ) {
        let each: Vec<_> = stack.iter().map(Decisions::of_policy).collect();
        let combined = Decisions::combine(&each);
        for call in &calls {
            // The kernel's own loop: from the last installed to the first, the lower action wins.
            let start = Answer::from(Action::Allow);
            let expected = each.iter().rev().fold(start, |winner, decisions| {
                let answer = decisions.answer(call);
                let action = |answer: Answer| (answer.return_value() & 0xffff_0000).cast_signed();
                if action(answer) < action(winner) { answer } else { winner }
            });
            prop_assert_eq!(combined.answer(call), expected, "{:x?}", call);
        }
    }
}

#[test]
fn every_role_is_equal_to_the_programs_that_are_compiled_for_it() {
    for role in roles::filtered() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let policy = roles::policy(&role, arch);
            assert_equal(&policy, reference(&policy).expect("it fits").instructions());
            let optimized = optimize(&policy, &Weights::default()).expect("it fits");
            assert_equal(&policy, optimized.instructions());
            assert_equal(&widen(&policy), bitmask(&policy).expect("it fits").instructions());
        }
    }
}

#[test]
fn a_difference_is_written_as_a_person_would() {
    let texts = [
        compared("ioctl: fd == 3 && cmd == KVM_RUN -- a", "ioctl: fd in {3, 4} && cmd == KVM_RUN -- a"),
        compared("read: -- a", "write: -- a"),
        compared("getpid: -- a", "getpid: errno EPERM -- a"),
        compared(
            "openat: dfd == AT_FDCWD && flags == O_RDONLY|O_CLOEXEC -- a",
            "mmap: prot == PROT_EXEC -- a",
        ),
        compared("write: fd == 1 && count == 8 -- a", "write: fd == 1 && count == 9 -- a"),
        compared("read: fd < 4 -- a", "read: fd in {0, 1, 2, 3} -- a"),
    ];
    insta::assert_snapshot!(texts.join("\n"), @"
    ioctl(fd=4, cmd=KVM_RUN): trap here, allow there
    read(...): allow here, trap there
    getpid(): allow here, errno 1 there
    mmap(prot=PROT_EXEC): trap here, allow there
    write(fd=1, count=8): allow here, trap there
    equal
    ");
}

#[test]
fn a_counterexample_names_what_is_unusual_about_the_call() {
    let native = [load_word(4), when(BPF_JEQ, 0xc000_003e, 1, 0), ret(libc::SECCOMP_RET_KILL_PROCESS)];
    let program = |more: &[Instruction]| {
        let mut all = native.to_vec();
        all.extend_from_slice(more);
        decisions(&all)
    };
    let everything = program(&[ret(libc::SECCOMP_RET_ALLOW)]);
    let against_everything =
        |program: Decisions| everything.difference(&program).expect("they differ").to_string();
    let trap = || ret(libc::SECCOMP_RET_TRAP);
    let allow = || ret(libc::SECCOMP_RET_ALLOW);
    let texts = [
        // Another architecture's number, which is refused.
        against_everything(decisions(&[
            load_word(4),
            when(BPF_JEQ, 0xc000_003e, 4, 0),
            when(BPF_JEQ, 0x4000_0003, 0, 2),
            load_word(0),
            when(BPF_JEQ, 59, 1, 0),
            ret(libc::SECCOMP_RET_KILL_PROCESS),
            allow(),
        ])),
        // A number beyond the table, and one of the x32 ABI.
        against_everything(program(&[load_word(0), when(BPF_JGE, 2000, 0, 1), trap(), allow()])),
        against_everything(program(&[load_word(0), when(BPF_JEQ, 0x4000_0003, 0, 1), trap(), allow()])),
        // The half of a descriptor's register that the kernel does not read.
        against_everything(program(&[
            load_word(0),
            when(BPF_JEQ, 3, 0, 3),
            load_word(20),
            when(BPF_JEQ, 7, 0, 1),
            trap(),
            allow(),
        ])),
        // A register beyond the call's arguments, and the instruction pointer.
        against_everything(program(&[
            load_word(0),
            when(BPF_JEQ, 3, 0, 3),
            load_word(24),
            when(BPF_JEQ, 7, 0, 1),
            trap(),
            allow(),
        ])),
        against_everything(program(&[load_word(12), when(BPF_JEQ, 0x7fff, 0, 1), trap(), allow()])),
        // A value that the kernel does not know.
        against_everything(program(&[
            load_word(0),
            op(BPF_ALU | BPF_AND, 3),
            when(BPF_JEQ, 3, 0, 1),
            ret(0x1234_0000),
            allow(),
        ])),
    ];
    insta::assert_snapshot!(texts.join("\n"), @"
    call 59 of i386: kill here, allow there
    call 2000: allow here, trap there
    close(...) by the x32 ABI: allow here, trap there
    close(fd=0x700000000): allow here, trap there
    close(register 1=0x7): allow here, trap there
    read(...) at 0x7fff00000000: allow here, trap there
    close(...): allow here, kill there
    ");
}

#[test]
fn at_most_is_about_what_is_let_through_alone() {
    let of = |rules: &str| Decisions::of_policy(&of_text(rules));
    let narrow = of("read: fd == 3 -- a\nwrite: errno EPERM -- a");
    let wide = of("read: fd <= 3 -- a");
    assert_eq!(narrow.at_most(&wide), Ok(()));
    let further = wide.at_most(&narrow).expect_err("it reads from others");
    insta::assert_snapshot!(further, @"read(fd=0): allow here, trap there");
    // Refused in another way, or logged and let through: no more than that.
    assert_eq!(of("read: log -- a").at_most(&of("read: -- a")), Ok(()));
    assert_eq!(of("read: -- a").at_most(&of("read: log -- a")), Ok(()));
    assert_eq!(of("read: kill -- a").at_most(&of("")), Ok(()));
}

#[test]
fn what_a_supervisor_decides_is_more_than_refused_and_less_than_allowed() {
    let answering = |value| decisions(&[ret(value)]);
    let (refused, asked, allowed) = (
        answering(libc::SECCOMP_RET_TRAP),
        answering(libc::SECCOMP_RET_USER_NOTIF),
        answering(libc::SECCOMP_RET_ALLOW),
    );
    assert_eq!(refused.at_most(&asked), Ok(()));
    assert_eq!(asked.at_most(&allowed), Ok(()));
    assert_eq!(
        asked.at_most(&refused).expect_err("it asks").left,
        Answer::from_return_value(libc::SECCOMP_RET_USER_NOTIF)
    );
    assert!(allowed.at_most(&asked).is_err());
    assert!(asked.permitted(Permission::Delegated).is_everything());
    assert!(asked.allowed().is_empty());
}

#[test]
fn the_latest_of_programs_with_the_same_action_gives_the_data() {
    let answering = |value| decisions(&[ret(value)]);
    let [first, second] = [1, 2].map(|error| answering(libc::SECCOMP_RET_ERRNO | error));
    let any = Call { number: 0, arch: 0, instruction_pointer: 0, arguments: [0; 6] };
    let errno = |number| Answer::from(Action::Errno(number));
    assert_eq!(Decisions::combine(&[first.clone(), second.clone()]).answer(&any), errno(2));
    assert_eq!(Decisions::combine(&[second, first.clone()]).answer(&any), errno(1));
    assert_eq!(
        Decisions::combine(&[first, answering(libc::SECCOMP_RET_TRAP)]).answer(&any),
        Action::Trap.into()
    );
    assert_eq!(Decisions::combine(&[]).answer(&any), Action::Allow.into());
}

#[test]
fn the_calls_that_are_allowed_are_counted_exactly() {
    let count = |rules: &str| Decisions::of_policy(&of_text(rules)).allowed().count().to_string();
    // Five registers and the instruction pointer are free, and the upper half of the descriptor's.
    assert_eq!(count("read: fd in {3, 4, 5} -- a"), "3 * 2^416");
    assert_eq!(count("getpid: -- a"), "2^448");
    assert_eq!(count(""), "0");
    assert_eq!(count("read: -- a\nwrite: -- a\ngetpid: -- a"), "3 * 2^448");
}

#[test]
fn an_unknown_answer_is_equal_to_the_end_of_the_process() {
    let unknown = decisions(&[ret(0x1234_5678)]);
    assert_eq!(unknown, decisions(&[ret(libc::SECCOMP_RET_KILL_PROCESS)]));
    assert_ne!(unknown, decisions(&[ret(libc::SECCOMP_RET_KILL_THREAD)]));
}

#[test]
fn numbers_of_a_set_are_listed_as_ranges() {
    let rules = [1, 2, 3, 7].map(|index| rule(unused_call(index), Condition::Always, Action::Allow));
    let pinned = rule(unused_call(9), test(0, Width::Bits32, Relation::Equal(1)), Action::Allow);
    let policy = policy(Action::Trap, rules.into_iter().chain([pinned]).collect());
    let allowed = Decisions::of_policy(&policy).allowed();
    let arch = Arch::X86_64.audit_value();
    assert_eq!(allowed.numbers(arch), Some(vec![601..=603, 607..=607, 609..=609]));
    assert_eq!(allowed.numbers(0), Some(vec![]));
    // Every odd number.
    let odd = decisions(&[
        load_word(0),
        op(BPF_ALU | BPF_AND, 1),
        op(BPF_ALU | libc::BPF_OR, 0x7fff_0000),
        op(BPF_RET | libc::BPF_A, 0),
    ]);
    assert_eq!(odd.allowed().numbers(arch), Some(vec![0..=u32::MAX]), "the data of `allow` is not looked at");
    let odd = decisions(&[load_word(0), when(libc::BPF_JSET, 1, 0, 1), ret(libc::SECCOMP_RET_ALLOW), ret(0)]);
    assert_eq!(odd.allowed().numbers(arch), None);
}

#[test]
fn a_variant_differs_in_what_no_rule_speaks_of() {
    let policy = of_text("read: fd == 3 -- a");
    let killing = with_otherwise(&policy, Action::KillProcess);
    let (trap, kill) = (Decisions::of_policy(&policy), Decisions::of_policy(&killing));
    let difference = trap.difference(&kill).expect("they differ");
    assert_eq!(difference.calls, trap.with_effect(Action::Trap.into()));
    let program = reference(&killing).expect("it fits");
    let answer = interpret(program.instructions(), &difference.example).expect("valid").value;
    assert_eq!(Answer::from_return_value(answer), difference.right);
}
