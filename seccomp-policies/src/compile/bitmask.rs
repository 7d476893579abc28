//! The bitmask backend: which numbers are allowed, arguments not looked at.
//!
//! This is what the patches of 2009 could say. The kernel today runs such a program once for every number when
//! it is installed, and remembers which are allowed (`seccomp_cache_prepare`, Linux `kernel/seccomp.c`), as
//! long as it loads nothing but the number and the architecture and computes with constants.

use super::graph::{Graph, Node};
use super::search::{Goal, Problem, Ranges};
use super::{Error, emit, finish, refuse_strict};
use crate::action::Action;
use crate::bpf::Program;
use crate::language::{Condition, Policy, Rule};

/// Few tests and a shallow tree: nothing is known of which numbers are frequent.
const SMALLEST: Goal = Goal { test: 1.0, depth: 0.75 };

/// The policy with its conditions taken off: a call that may be carried out is carried out, and logged where that is
/// the only way; one that is refused in any case gets the answer of the first of its rules.
#[must_use]
pub fn widen(policy: &Policy) -> Policy {
    let rules = policy
        .rules_by_number()
        .into_values()
        .filter_map(|rules| widest(&rules, policy.otherwise))
        .map(|rule| Rule { condition: Condition::Always, expression: String::new(), ..rule.clone() })
        .collect();
    Policy { rules, ..policy.clone() }
}

/// Of one call's rules the first that lets most through; `None` where `otherwise` lets through more, and some calls
/// are left to it.
fn widest<'a>(rules: &[&'a Rule], otherwise: Action) -> Option<&'a Rule> {
    let mut widest = *rules.first()?;
    for rule in rules {
        if permits(rule.action) > permits(widest.action) {
            widest = rule;
        }
    }
    let leaves_some = !rules.iter().any(|rule| rule.condition == Condition::Always);
    let is_wider = leaves_some && permits(otherwise) > permits(widest.action);
    (!is_wider).then_some(widest)
}

/// Whether a call is carried out, and without ado.
const fn permits(action: Action) -> u8 {
    match action {
        Action::Allow => 2,
        Action::Log => 1,
        Action::Errno(_) | Action::Trap | Action::KillThread | Action::KillProcess => 0,
    }
}

/// Compiles the policy without its conditions, as [`widen`] leaves it, to a search over ranges of numbers.
///
/// # Errors
/// [`Error::Strict`] for a policy that needs no program.
pub fn bitmask(policy: &Policy) -> Result<Program, Error> {
    refuse_strict(policy)?;
    let mut graph = Graph::default();
    let mut outcomes = vec![policy.otherwise];
    let mut outcome = |action| {
        outcomes.iter().position(|known| *known == action).unwrap_or_else(|| {
            outcomes.push(action);
            outcomes.len() - 1
        })
    };
    let values =
        widen(policy).rules.iter().map(|rule| (rule.call.number, (outcome(rule.action), 0.0))).collect();
    let mut ranges = Ranges::from_values(&values, 0);
    if let Some(numbers) = policy.beyond() {
        ranges = ranges.with(*numbers.start(), *numbers.end(), outcome(Action::KillProcess));
    }
    let depths = vec![1; outcomes.len()];
    let found = Problem { ranges: &ranges, depths: &depths, goal: SMALLEST }.solve();
    let returns: Vec<_> = outcomes.into_iter().map(|action| graph.add(Node::Return(action))).collect();
    let numbers = graph.add_tree(&found.tree, &returns);
    finish(policy, emit::program(&graph, policy.arch, numbers))
}
