//! Whether two policies decide alike, over every value of every argument.

use std::collections::{BTreeMap, BTreeSet};

use seccomp_policies::action::Action;
use seccomp_policies::language::Policy;
use seccomp_policies::prove::{Calls, Space, Union};

/// What a policy decides of a call: the argument registers by action.
fn decisions(policy: &Policy, space: &Space, number: u32) -> BTreeMap<Action, Calls> {
    let mut decided = Union::new();
    let mut by_action: BTreeMap<Action, Calls> = BTreeMap::new();
    let otherwise = (space.every(), policy.otherwise);
    let rules = policy.rules.iter().filter(|rule| rule.call.number == number);
    let rules = rules.map(|rule| (space.calls(&rule.condition), rule.action));
    for (calls, action) in rules.chain([otherwise]) {
        let new = decided.new_in(&calls);
        let known = by_action.remove(&action).unwrap_or_else(|| space.none());
        by_action.insert(action, known.union(&new));
        decided.add(calls);
    }
    by_action.retain(|_, calls| !calls.is_empty());
    by_action
}

/// Both policies decide every call in the same way.
pub fn assert_same(one: &Policy, other: &Policy, text: &str) {
    let space = Space::new();
    assert_eq!((one.otherwise, one.arch), (other.otherwise, other.arch));
    let numbers: BTreeSet<u32> = one.rules.iter().chain(&other.rules).map(|rule| rule.call.number).collect();
    for number in numbers {
        assert!(decisions(one, &space, number) == decisions(other, &space, number), "call {number}\n{text}");
    }
}
