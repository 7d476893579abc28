//! Thousands of generated calls, on which text, interpreter and kernel agree.

use proptest::prelude::*;
use proptest::sample::select;
use ringfence::role::policies::ALL;
use seccomp_policies::call::Call;
use seccomp_policies::embed::{Embedded, OnViolation};
use seccomp_policies::language::{Policy, Tier};

use crate::arguments::{interesting, rules_by_call};
use crate::judges::{HARMLESS, assert_interpreter_agrees, assert_kernel_agrees, call, checked};

const CALLS: usize = 600;

/// A call that a rule speaks of: what the rules look at may be anything, the rest is harmless.
fn ruled(policy: &Policy) -> impl Strategy<Value = Call> + use<> {
    let choices: Vec<_> =
        rules_by_call(policy).into_iter().map(|(number, rules)| (number, interesting(&rules))).collect();
    select(choices).prop_flat_map(|(number, values)| {
        let registers = values.map(|values| {
            if values.len() == 1 {
                Just(HARMLESS).boxed()
            } else {
                prop_oneof![4 => select(values), 1 => any::<u64>()].boxed()
            }
        });
        registers.prop_map(move |arguments| call(number, arguments))
    })
}

/// A call of a number that no rule speaks of.
fn unruled(policy: &Policy) -> impl Strategy<Value = Call> + use<> {
    let ruled: Vec<u32> = policy.rules.iter().map(|rule| rule.call.number).collect();
    let number = prop_oneof![3 => 0..=480u32, 1 => any::<u32>()];
    number
        .prop_filter("a rule's own calls come from `ruled`", move |number| !ruled.contains(number))
        .prop_map(|number| call(number, [HARMLESS; 6]))
}

fn a_policy_and_calls() -> impl Strategy<Value = (&'static Embedded, Vec<Call>)> {
    let filtered: Vec<_> = ALL.iter().copied().filter(|policy| policy.tier() == Tier::Filter).collect();
    select(filtered).prop_flat_map(|embedded| {
        let policy = checked(embedded, OnViolation::Errno);
        let one = prop_oneof![3 => ruled(&policy), 1 => unruled(&policy)];
        (Just(embedded), prop::collection::vec(one, CALLS))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_interpreter_and_kernel_agree_on_generated_calls((embedded, calls) in a_policy_and_calls()) {
        assert_interpreter_agrees(embedded, &calls);
        assert_kernel_agrees(embedded, &calls);
    }
}
