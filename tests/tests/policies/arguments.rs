//! Each comparison in each rule, just inside and just outside.

use std::collections::BTreeSet;

use seccomp_policies::action::Action;
use seccomp_policies::call::Call;
use seccomp_policies::embed::OnViolation;
use seccomp_policies::language::{Condition, Policy, Relation, Rule, Test, Width};

use crate::judges::{HARMLESS, assert_interpreter_agrees, assert_kernel_agrees, call, checked, filtered};

/// What a register may hold above an argument of 32 bits without changing it.
const GARBAGE: u64 = 0xdead_beef_0000_0000;

/// Every comparison in a condition.
pub(crate) fn tests_of(condition: &Condition) -> Vec<Test> {
    match condition {
        Condition::Always => Vec::new(),
        Condition::Test(test) => vec![*test],
        Condition::All(parts) | Condition::Any(parts) => parts.iter().flat_map(tests_of).collect(),
        Condition::Not(part) => tests_of(part),
    }
}

/// Values around the constants of a comparison: where it changes its answer, and beside that.
fn around(test: Test) -> BTreeSet<u64> {
    let constants = match test.relation {
        Relation::Equal(value)
        | Relation::NotEqual(value)
        | Relation::Less(value)
        | Relation::LessOrEqual(value)
        | Relation::Greater(value)
        | Relation::GreaterOrEqual(value) => vec![value],
        Relation::Masked { mask, value } => vec![value, mask, value | !mask, !value],
    };
    let beside =
        constants.into_iter().flat_map(|value| [value, value.wrapping_sub(1), value.wrapping_add(1)]);
    match test.width {
        Width::Bits64 => beside.chain([HARMLESS, 0]).collect(),
        Width::Bits32 => {
            let cut = beside.map(|value| value & test.width.mask());
            cut.flat_map(|value| [value, value | GARBAGE]).chain([HARMLESS, 0]).collect()
        }
    }
}

/// The interesting values of each register, over all rules for one call; just one where no rule looks.
pub(crate) fn interesting(rules: &[&Rule]) -> [Vec<u64>; 6] {
    let tests: Vec<Test> = rules.iter().flat_map(|rule| tests_of(&rule.condition)).collect();
    std::array::from_fn(|register| {
        let tests = tests.iter().filter(|test| usize::from(test.argument) == register);
        let values: BTreeSet<u64> = tests.flat_map(|test| around(*test)).collect();
        if values.is_empty() { vec![HARMLESS] } else { values.into_iter().collect() }
    })
}

/// Every combination of interesting values.
fn combinations(number: u32, values: &[Vec<u64>; 6]) -> Vec<Call> {
    let mut calls = vec![call(number, [HARMLESS; 6])];
    for (register, values) in values.iter().enumerate() {
        let with = |call: &Call, value| with_argument(call, register, value);
        calls = calls.iter().flat_map(|call| values.iter().map(move |&value| with(call, value))).collect();
    }
    calls
}

fn with_argument(call: &Call, register: usize, value: u64) -> Call {
    let mut changed = *call;
    changed.arguments[register] = value;
    changed
}

/// The same call with one bit of one of these registers turned over.
fn one_bit_away(call: Call, registers: &BTreeSet<usize>) -> impl Iterator<Item = Call> {
    registers.iter().flat_map(move |&register| {
        (0..u64::BITS).map(move |bit| with_argument(&call, register, call.arguments[register] ^ (1 << bit)))
    })
}

/// The rules of each call, by its number.
pub(crate) fn rules_by_call(policy: &Policy) -> Vec<(u32, Vec<&Rule>)> {
    let numbers: BTreeSet<u32> = policy.rules.iter().map(|rule| rule.call.number).collect();
    let rules = |number| policy.rules.iter().filter(|rule| rule.call.number == number).collect();
    numbers.into_iter().map(|number| (number, rules(number))).collect()
}

/// Calls on both sides of every comparison.
fn borderline(policy: &Policy) -> Vec<Call> {
    let mut calls = Vec::new();
    for (number, rules) in rules_by_call(policy) {
        let values = interesting(&rules);
        let looked_at = (0..6).filter(|&register| values[register].len() > 1).collect();
        let combinations = combinations(number, &values);
        let allowed = combinations.iter().filter(|call| policy.matching_rule(call).is_some());
        calls.extend(allowed.flat_map(|call| one_bit_away(*call, &looked_at)));
        calls.extend(combinations);
    }
    calls
}

/// Whether the calls hold one that the rule allows with this comparison true, and one that differs from it in this
/// argument alone, is refused, and has the comparison false.
fn is_tried_on_both_sides(policy: &Policy, index: usize, test: Test, calls: &[Call]) -> bool {
    let register = usize::from(test.argument);
    let number = policy.rules[index].call.number;
    let but_this = |call: &Call| with_argument(call, register, 0).arguments;
    let of_call = || calls.iter().filter(|call| call.number == number);
    let inside = of_call().filter(|call| test.holds(call) && policy.matching_rule(call) == Some(index));
    let inside: BTreeSet<[u64; 6]> = inside.map(but_this).collect();
    let is_refused = |call: &&Call| policy.decide(call) != Action::Allow;
    of_call().filter(is_refused).any(|call| !test.holds(call) && inside.contains(&but_this(call)))
}

#[test]
fn each_comparison_is_tried_just_inside_and_just_outside() {
    for embedded in filtered() {
        let policy = checked(embedded, OnViolation::Errno);
        let calls = borderline(&policy);
        for (index, rule) in policy.rules.iter().enumerate() {
            let name = format!("{}: {}: {}", embedded.role, rule.call.name, rule.expression);
            assert!(calls.iter().any(|call| policy.matching_rule(call) == Some(index)), "{name}: never met");
            for test in tests_of(&rule.condition) {
                assert!(is_tried_on_both_sides(&policy, index, test, &calls), "{name}: {test:?}");
            }
        }
    }
}

#[test]
fn the_interpreter_refuses_exactly_what_lies_outside_of_the_rules() {
    for embedded in filtered() {
        assert_interpreter_agrees(embedded, &borderline(&checked(embedded, OnViolation::Errno)));
    }
}

#[test]
fn the_kernel_refuses_exactly_what_lies_outside_of_the_rules() {
    for embedded in filtered() {
        assert_kernel_agrees(embedded, &borderline(&checked(embedded, OnViolation::Errno)));
    }
}
