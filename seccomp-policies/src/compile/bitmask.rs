//! The bitmask backend: which numbers are allowed, arguments not looked at.
//!
//! This is what the patches of 2009 could say. The kernel today runs such a program once for every number when
//! it is installed, and remembers which are allowed (`seccomp_cache_prepare`, Linux `kernel/seccomp.c`), as
//! long as it loads nothing but the number and the architecture and computes with constants.

use std::collections::BTreeMap;

use super::search::{Ranges, search};
use super::{Error, emit, finish, refuse_strict};
use crate::action::Action;
use crate::bpf::Program;
use crate::language::{Condition, Policy, Rule};

/// The policy with its conditions taken off: a call that some rule may allow is allowed, one that rules
/// only refuse gets the error number of the first of them.
#[must_use]
pub fn widen(policy: &Policy) -> Policy {
    let mut by_number: BTreeMap<u32, &Rule> = BTreeMap::new();
    for rule in &policy.rules {
        let kept = by_number.entry(rule.call.number).or_insert(rule);
        if kept.action != Action::Allow && rule.action == Action::Allow {
            *kept = rule;
        }
    }
    let rules = by_number
        .into_values()
        .map(|rule| Rule { condition: Condition::Always, expression: String::new(), ..rule.clone() })
        .collect();
    Policy { rules, ..policy.clone() }
}

/// Compiles the policy without its conditions, as [`widen`] leaves it, to a search over ranges of numbers.
///
/// # Errors
/// [`Error::Strict`] for a policy that needs no program.
pub fn bitmask(policy: &Policy) -> Result<Program, Error> {
    refuse_strict(policy)?;
    let verdicts = widen(policy).rules.iter().map(|rule| (rule.call.number, rule.action)).collect();
    let tree = search(&Ranges::new(&verdicts, policy.otherwise));
    finish(policy, emit::program(&tree, policy.arch))
}
