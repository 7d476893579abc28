//! What the optimizing backend promises: instructions counted, and the calls that the kernel's action cache answers.

mod support;

use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Program, disassemble, interpret, is_cached};
use seccomp_policies::call::Call;
use seccomp_policies::compile::{Error, Measure, Weights, bitmask, measure, optimize, probes, verify};
use seccomp_policies::language::{self, Condition, Policy, Relation, Width};
use seccomp_policies::profile::Profile;
use seccomp_policies::syscalls::{Arch, by_name};
use support::arbitrary::{NUMBERS, policies, policies_of_numbers, policy, rule, test, unused_call};
use support::cache::assert_cached_are_those_always_allowed;
use support::longest_path::{deepest_argument_part, most};

fn optimized(policy: &Policy) -> Program {
    optimize(policy, &Weights::default()).expect("it fits in a program")
}

fn checked(text: &str) -> Policy {
    language::check_sources("test.policy", &[("test.policy", text)], Arch::X86_64)
        .unwrap_or_else(|findings| panic!("{findings}"))
        .policy
}

/// A vCPU thread's policy in its simplest form.
const VCPU: &str = "\
role vcpu
tier filter
otherwise trap
fd vcpu = 3                 -- the KVM vCPU this thread runs
fd bells = 4..6             -- eventfds, each with one reader
ioctl: fd == @vcpu && cmd == KVM_RUN                 -- enter the guest
write: fd in @bells && count == 8                    -- say that there is work
futex: op == FUTEX_WAIT_BITSET_PRIVATE || op == FUTEX_WAKE_PRIVATE   -- pause gate
rt_sigreturn:                                        -- return from the kick signal
";

/// What a vCPU thread does all day.
const VCPU_PROFILE: &str = "\
workload a guest that prints
kernel 6.18
date 2026-11-24
ioctl 100000
write 5000
futex 100
";

fn profile() -> Profile {
    Profile::from_text("vcpu.profile", VCPU_PROFILE).unwrap_or_else(|findings| panic!("{findings}"))
}

fn call(name: &str, arguments: [u64; 6]) -> Call {
    let number = by_name(Arch::X86_64, name).expect("the kernel has it").number;
    Call { number, arch: Arch::X86_64.audit_value(), instruction_pointer: 0, arguments }
}

/// `ioctl(3, KVM_RUN, 0)`
fn kvm_run() -> Call {
    call("ioctl", [3, 0xae80, 0, 0, 0, 0])
}

#[test]
fn the_vcpu_policy_is_searched_for_nothing_that_its_calls_do_not_need() {
    let program = optimize(&checked(VCPU), &Weights::CacheAware(Some(&profile()))).unwrap();
    let listing: Vec<String> =
        disassemble(program.instructions(), Arch::X86_64).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(listing.join("\n"), @r"
     0  A = arch
     1  if A == 0xc000003e goto 3                ; x86_64
     2  return KILL_PROCESS
     3  A = nr
     4  if A != 16 goto 9                        ; ioctl
     5  A = args[0].low                          ; fd
     6  if A != 0x3 goto 23
     7  A = args[1].low                          ; cmd
     8  if A == 0xae80 goto 22 else 23           ; KVM_RUN
     9  if A == 1 goto 15                        ; write
    10  if A == 202 goto 12                      ; futex
    11  if A == 15 goto 22 else 23               ; rt_sigreturn
    12  A = args[1].low                          ; op
    13  if A == 0x81 goto 22                     ; FUTEX_WAKE_PRIVATE
    14  if A == 0x89 goto 22 else 23             ; FUTEX_WAIT_BITSET_PRIVATE
    15  A = args[0].low                          ; fd
    16  if A < 0x4 goto 23
    17  if A >= 0x7 goto 23
    18  A = args[2].low                          ; count
    19  if A != 0x8 goto 23
    20  A = args[2].high                         ; count
    21  if A >= 0x1 goto 23
    22  return ALLOW
    23  return TRAP
    ");
    assert_eq!((program.len(), program.longest_path()), (24, 13));
}

#[test]
fn kvm_run_takes_nine_instructions_with_its_profile_whatever_else_the_policy_holds() {
    let profile = profile();
    let mut texts = vec![VCPU.to_owned()];
    let ioctls =
        ["TCGETS", "TIOCGWINSZ", "KVM_GET_REGS", "KVM_SET_REGS", "KVM_GET_SREGS", "KVM_IRQ_LINE", "FIONBIO"];
    let more = ioctls.map(|name| format!("ioctl: cmd == {name} -- more\n")).concat();
    texts.push(format!("{VCPU}{more}"));
    let calls =
        ["read", "close", "mmap", "brk", "poll", "pread64", "getpid", "clone", "openat", "exit_group"];
    let others = calls.map(|name| format!("{name}: -- more\n")).concat();
    texts.push(format!("{VCPU}{more}{others}"));
    let slots: Vec<String> =
        (10..40).map(|fd| format!("fstat: fd == {fd} -- more\nioctl: fd == {fd} -- more\n")).collect();
    let slots = slots.concat();
    texts.push(format!("{VCPU}{slots}{others}"));
    for text in texts {
        let policy = checked(&text);
        for weights in [Weights::Profile(&profile), Weights::CacheAware(Some(&profile))] {
            let program = optimize(&policy, &weights).unwrap();
            assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
            let run = interpret(program.instructions(), &kvm_run()).unwrap();
            assert_eq!((run.value, run.executed), (Action::Allow.to_return_value(), 9), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_action_cache_answers_the_calls_that_are_always_allowed_and_no_other(
        policy in prop_oneof![policies(), policies_of_numbers()],
    ) {
        for weights in [Weights::Uniform, Weights::CacheAware(None)] {
            let program = optimize(&policy, &weights).unwrap();
            assert_cached_are_those_always_allowed(&policy, &program);
        }
    }

    #[test]
    fn the_longest_path_is_logarithmic_in_the_number_of_intervals(policy in policies_of_numbers()) {
        let program = optimized(&policy);
        let most = most(&policy, 1);
        prop_assert!(program.longest_path() <= most, "{} of {most}", program.longest_path());
    }

    #[test]
    fn the_longest_path_is_no_longer_where_arguments_decide(policy in prop_oneof![neighbours(), policies()]) {
        let program = optimized(&policy);
        // A longer one may need steps on the way.
        prop_assume!(program.len() <= 255);
        let most = most(&policy, deepest_argument_part(&program));
        prop_assert!(program.longest_path() <= most, "{} of {most}", program.longest_path());
    }
}

/// Policies of up to 60 neighbouring calls, each asked for a value of its own, or allowed, or not named.
fn neighbours() -> impl Strategy<Value = Policy> {
    let otherwise = prop::sample::select(vec![Action::Trap, Action::Errno(38), Action::Allow]);
    let asked = (any::<bool>(), 0..30_u64, prop::sample::select(vec![Action::Allow, Action::Errno(1)]));
    let calls = prop::collection::vec(prop::option::weighted(0.8, asked), 1..60);
    (otherwise, calls).prop_map(|(otherwise, calls)| {
        let rules = (0..).zip(calls).filter_map(|(index, asked)| {
            let (deep, value, action) = asked?;
            let value = test(0, Width::Bits32, Relation::Equal(value));
            Some(rule(unused_call(index), if deep { value } else { Condition::Always }, action))
        });
        policy(otherwise, rules.collect())
    })
}

#[test]
fn two_calls_side_by_side_need_the_whole_bound() {
    let policy = checked("role r\ntier filter\notherwise trap\nread: fd == 3 -- a\nwrite: fd == 4 -- b\n");
    let program = optimized(&policy);
    assert_eq!(deepest_argument_part(&program), 3);
    assert_eq!((program.longest_path(), most(&policy, 3)), (3 + 2 + 3, 8));
}

#[test]
fn conditions_that_are_true_together_leave_their_call_to_the_action_cache() {
    let low = test(0, Width::Bits64, Relation::Less(1 << 40));
    let high = test(0, Width::Bits64, Relation::GreaterOrEqual(1 << 40));
    let rules = vec![
        rule(unused_call(0), low.clone(), Action::Allow),
        rule(unused_call(0), high, Action::Allow),
        rule(unused_call(2), low, Action::Allow),
    ];
    let policy = policy(Action::Trap, rules);
    let program = optimized(&policy);
    let cached = [600, 601, 602].map(|number| is_cached(program.instructions(), policy.arch, number));
    assert_eq!(cached, [true, false, false]);
}

#[test]
fn scattered_numbers_are_searched_for_not_walked_through() {
    let pinned = |index: u32| test(0, Width::Bits32, Relation::Equal(u64::from(index)));
    let rules = (0..NUMBERS).map(|index| rule(unused_call(index), pinned(index), Action::Allow)).collect();
    let policy = policy(Action::Trap, rules);
    let program = optimized(&policy);
    assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
    // Three before the search, nine tests for 402 intervals, three for the argument, and two steps on the way, since a
    // test can jump over 255 instructions only.
    assert!(program.longest_path() <= 3 + 9 + 3 + 2, "{}", program.longest_path());
}

#[test]
fn a_program_of_jumps_too_long_for_eight_bits_is_laid_out_so_that_they_reach() {
    let values = |index: u32| {
        let value = |step: u64| test(1, Width::Bits32, Relation::Equal(u64::from(index) * 1000 + step * 7));
        Condition::Any((0..25).map(value).collect())
    };
    let rules = (0..50).map(|index| rule(unused_call(2 * index), values(index), Action::Allow)).collect();
    let policy = policy(Action::Errno(1), rules);
    let program = optimized(&policy);
    assert!(program.len() > 4 * 255, "{} instructions", program.len());
    assert_eq!(verify(program.instructions(), &policy, &probes(&policy)), Ok(()));
    assert!(program.longest_path() <= 3 + 8 + 8 + 4, "{}", program.longest_path());
}

#[test]
fn a_policy_that_does_not_fit_is_refused_with_the_number_of_instructions_too_many() {
    let value = |value: u64| test(0, Width::Bits32, Relation::Equal(value * value * 3));
    let any = |from: u64| Condition::Any((from..from + 40).map(value).collect());
    let rules =
        (0..120).map(|index| rule(unused_call(index), any(u64::from(index) * 40), Action::Allow)).collect();
    let error = optimize(&policy(Action::Trap, rules), &Weights::default()).expect_err("it cannot fit");
    let Error::TooLong { length, limit: 4096, .. } = &error else { panic!("{error}") };
    let by = format!("{} more than the 4096", length - 4096);
    assert!(error.to_string().contains(&by), "{error}");
}

#[test]
fn the_order_of_rules_for_different_calls_changes_nothing() {
    let mut policy = checked(VCPU);
    let program = optimized(&policy);
    policy.rules.reverse();
    assert_eq!(optimized(&policy), program);
}

#[test]
fn equal_ends_of_different_calls_are_written_once() {
    let pinned = test(2, Width::Bits32, Relation::Masked { mask: 4, value: 0 });
    let one = policy(Action::Trap, vec![rule(unused_call(0), pinned.clone(), Action::Allow)]);
    let two = policy(
        Action::Trap,
        vec![
            rule(unused_call(0), pinned.clone(), Action::Allow),
            rule(unused_call(9), pinned, Action::Allow),
        ],
    );
    // One more test for the second number, and nothing for its argument.
    assert_eq!(optimized(&two).len(), optimized(&one).len() + 1);
}

#[test]
fn a_measure_counts_length_mean_longest_path_and_cached_calls() {
    let policy = checked(VCPU);
    let widened = bitmask(&policy).unwrap();
    let Measure { length, mean, longest, cached, allowed } = measure(&policy, &optimized(&policy));
    assert_eq!((length, longest, cached, allowed), (24, 12, 1, 4));
    let without_arguments = measure(&policy, &widened);
    assert_eq!(without_arguments.cached, 4);
    assert!(mean > without_arguments.mean);
}

/// Rules for one call of which two arguments decide with each other, in so many ways.
fn pairs(ways: usize, condition: impl Fn(usize) -> String) -> Result<Program, Error> {
    let rules: Vec<String> = (0..ways).map(|way| format!("read: {} -- a way\n", condition(way))).collect();
    let policy = checked(&format!("role pairs\ntier filter\notherwise trap\n{}", rules.concat()));
    optimize(&policy, &Weights::default())
}

#[test]
fn a_hundred_pairs_of_values_fit_and_bits_that_decide_in_millions_of_ways_are_an_error() {
    let values = pairs(100, |way| format!("fd == {} && count == {}", 3 * way, 1000 - 7 * way));
    assert!(values.expect("people may have so many").len() < 1000);
    let bits = pairs(12, |way| {
        let bit = 1 << way;
        format!("(buf & {bit}) == {bit} && (count & {bit}) == {bit}")
    });
    assert!(matches!(&bits, Err(Error::TooComplicated { role }) if role == "pairs"), "{bits:?}");
}
