//! Calls that stand for the many that a policy allows.

use crate::action::Action;
use crate::call::Call;
use crate::compile::probe::bases;
use crate::language::{Policy, Rule};

/// A call's arguments and how often calls like it are made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) arguments: [u64; 6],
    pub(super) weight: f64,
}

/// For each alternative of the rules that let one call through, a call that it lets through.
pub(in crate::compile) fn allowed<'a>(
    policy: &Policy,
    rules: impl IntoIterator<Item = &'a Rule>,
) -> Vec<[u64; 6]> {
    let allowing = rules.into_iter().filter(|rule| rule.action == Action::Allow);
    let calls = allowing.flat_map(|rule| {
        bases(rule, policy.arch).into_iter().filter(|call: &Call| rule.condition.holds(call))
    });
    calls.filter(|call| policy.decide(call) == Action::Allow).map(|call| call.arguments).collect()
}
