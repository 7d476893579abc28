//! Which calls the kernel's action cache must answer, decided by what a policy's rules mean.

use std::collections::BTreeMap;

use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Program, is_cached};
use seccomp_policies::language::{Policy, Rule};
use seccomp_policies::prove::Space;

/// The calls of a policy that are allowed whatever their arguments, decided by what the rules mean.
fn always_allowed(policy: &Policy) -> BTreeMap<u32, bool> {
    let space = Space::new();
    let mut by_number: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
    for rule in &policy.rules {
        by_number.entry(rule.call.number).or_default().push(rule);
    }
    let always = |rules: Vec<&Rule>| {
        let mut left = space.every();
        let mut refused = space.none();
        for rule in rules {
            let matching = space.calls(&rule.condition);
            if rule.action != Action::Allow {
                refused = refused.union(&left.intersection(&matching));
            }
            left = left.without(&matching);
        }
        refused.is_empty() && (left.is_empty() || policy.otherwise == Action::Allow)
    };
    by_number.into_iter().map(|(number, rules)| (number, always(rules))).collect()
}

/// Every call of the policy that is always allowed is answered by the cache, and of all others none.
pub fn assert_cached_are_those_always_allowed(policy: &Policy, program: &Program) {
    let always = always_allowed(policy);
    let around = always.keys().flat_map(|number| number.saturating_sub(1)..=number.saturating_add(1));
    for number in around {
        let expected = always.get(&number).copied().unwrap_or(policy.otherwise == Action::Allow);
        assert_eq!(is_cached(program.instructions(), policy.arch, number), expected, "call {number}");
    }
}
