//! Rules for calls that no profile has.

use std::collections::BTreeSet;

use super::{Finding, Lint};
use crate::language::Policy;
use crate::pattern::is_carried_out;

/// What profiles say was called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The calls' names.
    pub calls: BTreeSet<String>,
}

pub(super) fn rules(policy: &Policy, used: &Used) -> Vec<Finding> {
    let rules = policy.rules.iter().enumerate();
    let unused =
        rules.filter(|(_, rule)| is_carried_out(rule.action) && !used.calls.contains(rule.call.name));
    unused
        .map(|(index, rule)| Finding {
            lint: Lint::UnusedRule,
            rule: Some(index),
            title: format!("no profile has a call of `{}`", rule.call.name),
            label: "never used".to_owned(),
            help: "take the rule away, or profile a workload that needs it".to_owned(),
        })
        .collect()
}
