//! A policy without the order of its rules, for forms that have none.

use std::collections::BTreeMap;

use super::Error;
use crate::compile::normal;
use crate::language::{Policy, Rule, Test, Tier, verdict};
use crate::prove::{Calls, Space};

/// How many alternatives a rule may come to: as many as [`crate::import`] takes, and more than a program has room for.
pub(super) const MAX_ALTERNATIVES: usize = 512;

/// What a rule decides that no earlier one does: its call, and the alternatives of its condition, each a list of tests
/// that must all hold. One without tests holds whatever the arguments.
pub(super) struct Decision<'a> {
    pub(super) rule: &'a Rule,
    pub(super) alternatives: Vec<Vec<Test>>,
}

/// The rules that decide something, in their order.
///
/// Rules of one call that answer differently must not share calls, since then their order counts; and one that answers
/// as the policy otherwise does needs no word. A rule that takes a call whatever its arguments stands alone.
pub(super) fn decisions<'a>(form: &'static str, policy: &'a Policy) -> Result<Vec<Decision<'a>>, Error> {
    if policy.tier == Tier::Strict {
        let why = "its tier is `strict`, which takes no filter; write `tier filter`";
        return Err(Error::policy(form, policy, why));
    }
    let space = Space::new();
    let mut by_call: BTreeMap<u32, Vec<(&Rule, Calls)>> = BTreeMap::new();
    let mut decisions: Vec<Decision> = Vec::new();
    for rule in &policy.rules {
        let calls = space.calls(&rule.condition);
        let earlier = by_call.entry(rule.call.number).or_default();
        let left = earlier.iter().fold(calls.clone(), |left, (_, taken)| left.without(taken));
        if left.is_empty() {
            continue;
        }
        // What answers as the policy does anyway only keeps later rules from these calls.
        if rule.action == policy.otherwise {
            earlier.push((rule, left));
            continue;
        }
        if let Some(other) = order_counts(rule, &calls, earlier) {
            let why = format!(
                "it answers `{}`, and line {} answers `{}` to some of the same calls before it; {form} has no order, \
                 so narrow one of the two",
                verdict(rule.action),
                other.line,
                verdict(other.action)
            );
            return Err(Error::rule(form, rule, why));
        }
        let everything = calls.is_everything();
        earlier.push((rule, calls));
        if everything {
            decisions.retain(|decision| decision.rule.call.number != rule.call.number);
        }
        decisions.push(Decision { rule, alternatives: alternatives(form, rule, everything)? });
    }
    Ok(decisions)
}

/// An earlier rule with another answer to some of the calls.
fn order_counts<'a>(rule: &Rule, calls: &Calls, earlier: &[(&'a Rule, Calls)]) -> Option<&'a Rule> {
    let shares = |taken: &Calls| !taken.intersection(calls).is_empty();
    earlier
        .iter()
        .find(|(other, taken)| other.action != rule.action && shares(taken))
        .map(|(other, _)| *other)
}

fn alternatives(form: &'static str, rule: &Rule, everything: bool) -> Result<Vec<Vec<Test>>, Error> {
    if everything {
        return Ok(vec![Vec::new()]);
    }
    let count = normal::count(&rule.condition);
    if count > MAX_ALTERNATIVES {
        return Err(Error::rule(form, rule, too_many(count)));
    }
    Ok(normal::alternatives(&rule.condition))
}

/// Why a rule does not fit: `count` is `usize::MAX` for more than can be counted.
pub(super) fn too_many(count: usize) -> String {
    let count = if count == usize::MAX { "very many".to_owned() } else { count.to_string() };
    format!(
        "it comes to {count} alternatives once every `||` and `!` is multiplied out, of {MAX_ALTERNATIVES} at most"
    )
}
