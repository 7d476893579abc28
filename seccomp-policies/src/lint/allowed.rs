//! The calls that each rule allows.

use crate::language::{Condition, Policy, Relation, Rule, Test, Tier};
use crate::pattern::is_carried_out;
use crate::prove::{Calls, Space};
use crate::syscalls::{Syscall, all};

use super::{Finding, Lint};

/// A policy as what it allows.
pub(super) struct Allowed<'a> {
    pub(super) space: Space,
    /// Whether its rules may test arguments.
    pub(super) has_tests: bool,
    /// What each part of the policy allows, where that is anything.
    pub(super) parts: Vec<Part<'a>>,
}

/// Calls of one number that one rule allows, or `otherwise`.
pub(super) struct Part<'a> {
    pub(super) call: &'static Syscall,
    /// The rule and its index; `None` for `otherwise`.
    rule: Option<(usize, &'a Rule)>,
    pub(super) calls: Calls,
}

impl<'a> Allowed<'a> {
    /// What the policy allows of every call that the table has. What `otherwise` allows counts where it allows the call
    /// whatever its arguments: of other calls the rules are the writer's choice.
    pub(super) fn of(policy: &'a Policy) -> Self {
        let space = Space::new();
        let parts = all(policy.arch).iter().flat_map(|call| parts(policy, &space, call)).collect();
        Self { space, has_tests: policy.tier == Tier::Filter, parts }
    }

    /// The parts of these calls.
    pub(super) fn of_calls<'b>(&'b self, names: &'b [&str]) -> impl Iterator<Item = &'b Part<'a>> {
        self.parts.iter().filter(|part| names.contains(&part.call.name))
    }

    /// Whether a part allows a call whose argument of this name has any bit of a mask.
    pub(super) fn allows_bits(&self, part: &Part, argument: &str, bits: u64) -> bool {
        let none = tested(part.call, argument, Relation::Masked { mask: bits, value: 0 });
        none.is_some_and(|none| self.allows(part, &Condition::Not(Box::new(none))))
    }

    /// Whether a part allows a call whose argument of this name is not this value.
    pub(super) fn allows_other_than(&self, part: &Part, argument: &str, value: u64) -> bool {
        let other = tested(part.call, argument, Relation::NotEqual(value));
        other.is_some_and(|other| self.allows(part, &other))
    }

    /// Whether a part allows a call that meets a condition.
    pub(super) fn allows(&self, part: &Part, condition: &Condition) -> bool {
        !self.space.calls(condition).intersection(&part.calls).is_empty()
    }
}

/// A test of a call's argument of this name; `None` if it has none.
pub(super) fn tested(call: &Syscall, argument: &str, relation: Relation) -> Option<Condition> {
    let (register, argument) = call.argument(argument)?;
    Some(Condition::Test(Test { argument: register, width: argument.width, relation }))
}

fn parts<'a>(policy: &'a Policy, space: &Space, call: &'static Syscall) -> Vec<Part<'a>> {
    let mut left = space.every();
    let mut parts = Vec::new();
    let rules = policy.rules.iter().enumerate().filter(|(_, rule)| rule.call.number == call.number);
    for (index, rule) in rules {
        let matching = space.calls(&rule.condition);
        let calls = matching.intersection(&left);
        left = left.without(&matching);
        if is_carried_out(rule.action) && !calls.is_empty() {
            parts.push(Part { call, rule: Some((index, rule)), calls });
        }
    }
    if is_carried_out(policy.otherwise) && left.is_everything() {
        parts.push(Part { call, rule: None, calls: left });
    }
    parts
}

impl Part<'_> {
    /// Whether the part allows the call by `otherwise`, without naming it.
    pub(super) const fn is_unnamed(&self) -> bool {
        self.rule.is_none()
    }

    pub(super) fn finding(&self, lint: Lint, title: String, label: &str, help: String) -> Finding {
        let rule = self.rule.map(|(index, _)| index);
        Finding { lint, rule, title, label: label.to_owned(), help }
    }
}
