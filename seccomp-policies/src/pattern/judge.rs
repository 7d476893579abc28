//! What a policy decides of a pattern.

use std::collections::HashMap;

use super::Pattern;
use crate::action::Action;
use crate::language::Policy;
use crate::prove::{Calls, Space};

/// The answer to a pattern, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Every call of the pattern is carried out.
    Allowed,
    /// Some are and some are not.
    Depends,
    /// None is.
    Refused,
}

/// What decides of some calls of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decider {
    /// The rule's index in the policy; `None` for the policy's `otherwise`.
    pub rule: Option<usize>,
    /// What it decides.
    pub action: Action,
}

/// Everything that decides of some call of a pattern, in the order of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// At least one.
    pub deciders: Vec<Decider>,
}

impl Verdict {
    /// The verdict in a word. A call that is carried out and logged is allowed.
    pub fn answer(&self) -> Answer {
        let carried_out = self.deciders.iter().filter(|decider| is_carried_out(decider.action)).count();
        match carried_out {
            0 => Answer::Refused,
            all if all == self.deciders.len() => Answer::Allowed,
            _ => Answer::Depends,
        }
    }
}

/// Whether the kernel carries out a call that is answered so.
pub const fn is_carried_out(action: Action) -> bool {
    matches!(action, Action::Allow | Action::Log)
}

/// Answers patterns by one policy, exactly, and each pattern once.
pub struct Judge<'a> {
    policy: &'a Policy,
    space: Space,
    /// By call number: the rules, and the calls that each decides.
    decided: HashMap<u32, Vec<(Decider, Calls)>>,
    known: HashMap<Pattern, Verdict>,
}

impl<'a> Judge<'a> {
    /// A judge by this policy.
    pub fn new(policy: &'a Policy) -> Self {
        Self { policy, space: Space::new(), decided: HashMap::new(), known: HashMap::new() }
    }

    /// The policy.
    pub const fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// What the policy decides of every call of the pattern, made by the policy's own architecture.
    pub fn judge(&mut self, pattern: &Pattern) -> Verdict {
        if let Some(verdict) = self.known.get(pattern) {
            return verdict.clone();
        }
        let verdict = self.decide(pattern);
        self.known.insert(pattern.clone(), verdict.clone());
        verdict
    }

    fn decide(&mut self, pattern: &Pattern) -> Verdict {
        let asked = self.space.calls(&pattern.condition());
        let (policy, space) = (self.policy, &self.space);
        let decided =
            self.decided.entry(pattern.number).or_insert_with(|| divide(policy, space, pattern.number));
        let deciding = decided.iter().filter(|(_, calls)| !calls.intersection(&asked).is_empty());
        Verdict { deciders: deciding.map(|(decider, _)| *decider).collect() }
    }
}

/// All calls of a number, divided among the rules that decide them; what is left is `otherwise`'s.
fn divide(policy: &Policy, space: &Space, number: u32) -> Vec<(Decider, Calls)> {
    let mut left = space.every();
    let mut decided = Vec::new();
    for (index, rule) in policy.rules.iter().enumerate().filter(|(_, rule)| rule.call.number == number) {
        let matching = space.calls(&rule.condition);
        let decider = Decider { rule: Some(index), action: rule.action };
        decided.push((decider, matching.intersection(&left)));
        left = left.without(&matching);
    }
    decided.push((Decider { rule: None, action: policy.unmatched(number) }, left));
    decided
}
