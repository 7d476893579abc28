//! Every role × every system call number.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;

use ringfence_tests::kernel::{self, Answers, Entry, Hold};
use seccomp_policies::bpf::interpret;
use seccomp_policies::call::Call;
use seccomp_policies::embed::OnViolation;
use seccomp_policies::language::Tier;
use seccomp_policies::syscalls::{self, Arch, X32_BIT};

use crate::judges::{
    HARMLESS, NOT_MADE, UNSEEN, assert_interpreter_agrees, assert_kernel_agrees, call, filtered, is_refusal,
    is_unseen, kernels_answers, programs,
};

/// The last number in use at the time of writing is 470 (`listns`, Linux 6.19), and a few beyond.
const NUMBERS: std::ops::RangeInclusive<u32> = 0..=480;

fn every_number(bit: u32) -> Vec<Call> {
    NUMBERS.map(|number| call(number | bit, [HARMLESS; 6])).collect()
}

#[test]
fn every_role_is_refused_every_call_that_its_policy_does_not_allow() {
    for embedded in filtered() {
        assert_interpreter_agrees(embedded, &every_number(0));
        assert_kernel_agrees(embedded, &every_number(0));
    }
}

#[test]
fn every_call_of_the_x32_abi_is_refused_to_every_role() {
    for embedded in filtered() {
        let calls = every_number(X32_BIT);
        assert_interpreter_agrees(embedded, &calls);
        let answers = kernels_answers(embedded, Tier::Filter, &calls);
        let let_through: Vec<_> =
            calls.iter().zip(answers).filter(|&(_, answer)| !is_refusal(answer)).collect();
        assert!(let_through.is_empty(), "{}: {let_through:x?}", embedded.role);
    }
}

#[test]
fn the_bitmask_tier_allows_the_policys_numbers_and_no_other() {
    for embedded in filtered() {
        let allowed: BTreeSet<u32> = embedded.calls.iter().map(|&(number, _)| number).collect();
        let program = programs(embedded, Tier::Bitmask).get(OnViolation::Errno);
        let is_allowed = |call: &Call| {
            let evaluation = interpret(program, call).expect("a proved program runs to its end");
            evaluation.value == libc::SECCOMP_RET_ALLOW
        };
        for call in every_number(0).iter().chain(&every_number(X32_BIT)) {
            assert_eq!(
                is_allowed(call),
                allowed.contains(&call.number),
                "{}: {}",
                embedded.role,
                call.number
            );
        }
        let mut calls = every_number(0);
        calls.retain(|call| !is_unseen(call.number));
        calls.retain(|call| !allowed.contains(&call.number) || !is_not_made(call.number));
        for (call, answer) in calls.iter().zip(kernels_answers(embedded, Tier::Bitmask, &calls)) {
            let number = call.number;
            assert_eq!(is_refusal(answer), !allowed.contains(&number), "{}: {number}", embedded.role);
        }
    }
}

fn is_not_made(number: u32) -> bool {
    let known = syscalls::by_number(Arch::X86_64, number);
    known.is_some_and(|known| NOT_MADE.iter().any(|&(name, _)| name == known.name))
}

#[test]
fn calls_that_the_kernel_keeps_from_seccomp_do_nothing() {
    let filters = filtered().map(|embedded| programs(embedded, Tier::Filter).get(OnViolation::Errno));
    for hold in filters.map(Hold::Program).chain([Hold::Strict]) {
        for &(number, name) in UNSEEN {
            let calls = [call(number, [HARMLESS; 6])];
            match kernel::answers(hold, Entry::Native, &calls) {
                Answers::Returned(answers) => {
                    let is_error = is_refusal(answers[0]) || answers[0] == -i64::from(libc::ENXIO);
                    assert!(is_error, "{name}: {answers:?}");
                }
                Answers::Ended(_, status) => {
                    let signal = status.signal();
                    assert!([Some(libc::SIGILL), Some(libc::SIGKILL)].contains(&signal), "{name}: {status}");
                }
            }
        }
    }
}

#[test]
fn only_calls_that_a_role_allows_are_kept_from_the_kernel() {
    for (name, reason) in NOT_MADE {
        let allowed = filtered().any(|policy| policy.calls.iter().any(|(_, allowed)| allowed == name));
        assert!(allowed, "no role allows {name} ({reason}): the kernel can be asked about it");
    }
}
