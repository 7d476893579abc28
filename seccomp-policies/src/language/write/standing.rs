//! Which rules of a policy decide something.

use std::collections::BTreeMap;

use crate::language::policy::Rule;
use crate::prove::{Space, Union};

/// What a rule comes to among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It decides some calls.
    Decides,
    /// It matches whatever the arguments, however its condition is put.
    Everything,
    /// No arguments meet its condition.
    Never,
    /// Earlier rules match every call that it matches.
    Covered,
}

/// The standing of each rule, in their order.
pub(super) fn standings(rules: &[Rule]) -> Vec<Standing> {
    let space = Space::new();
    let mut decided: BTreeMap<u32, Union> = BTreeMap::new();
    let standing = |rule: &Rule| {
        let calls = space.calls(&rule.condition);
        let decided = decided.entry(rule.call.number).or_default();
        let standing = if calls.is_empty() {
            Standing::Never
        } else if decided.new_in(&calls).is_empty() {
            Standing::Covered
        } else if calls.is_everything() {
            Standing::Everything
        } else {
            Standing::Decides
        };
        decided.add(calls);
        standing
    };
    rules.iter().map(standing).collect()
}
