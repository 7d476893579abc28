//! Rules that decide nothing, and rules that leave a descriptor open.

use std::collections::BTreeMap;

use super::PlacedRule;
use crate::action::Action;
use crate::language::diagnostics::Diagnostic;
use crate::language::limits::MAX_FINDINGS;
use crate::language::policy::{Condition, Relation, Test, Tier, Width};
use crate::prove::{Calls, Space, Union};
use crate::syscalls::{Argument, Syscall};

/// How many of the rules that together cover another one are shown.
const SHOWN: usize = 4;
/// How many pairs of nodes are looked at for the part that one rule has in covering another.
const MAX_PAIRS: usize = 1 << 16;

/// A rule and the calls that meet its condition.
type Meant<'a> = (&'a PlacedRule, Calls);

/// Looks at each call's rules in their order.
pub(super) fn check(rules: &[PlacedRule], tier: Option<Tier>, findings: &mut Vec<Diagnostic>) {
    let space = Space::new();
    let mut by_call: BTreeMap<u32, Vec<Meant>> = BTreeMap::new();
    for rule in rules {
        let calls = space.calls(&rule.rule.condition);
        if tier == Some(Tier::Filter) {
            findings.extend(open_descriptor(&space, rule, &calls));
        }
        by_call.entry(rule.rule.call.number).or_default().push((rule, calls));
    }
    for rules in by_call.values() {
        alternatives(rules, findings);
    }
}

/// The rules of one call: each must match a call that no earlier one matches.
fn alternatives(rules: &[Meant], findings: &mut Vec<Diagnostic>) {
    let mut decided = Union::new();
    for (index, (rule, calls)) in rules.iter().enumerate() {
        if calls.is_empty() {
            findings.push(never(rule));
            continue;
        }
        if calls.is_everything() && rule.rule.condition != Condition::Always {
            findings.push(always(rule));
        } else if decided.new_in(calls).is_empty() {
            // Of findings that nobody reads it is not found out which rules do it: that takes long.
            let earlier = if findings.len() < MAX_FINDINGS { &rules[..index] } else { &[] };
            findings.push(covered(rule, &covering(earlier, calls)));
        }
        decided.add(calls.clone());
    }
}

/// The earlier rules that decide these calls: one if one does alone, else as few as can be left in. A rule of which that
/// takes too long to find out counts as one that does with others.
fn covering<'a>(earlier: &[Meant<'a>], calls: &Calls) -> Vec<&'a PlacedRule> {
    let alone =
        |(_, decided): &&Meant| calls.without_within(decided, MAX_PAIRS).is_some_and(|rest| rest.is_empty());
    if let Some((alone, _)) = earlier.iter().find(alone) {
        return vec![alone];
    }
    let mut left = calls.clone();
    let mut needed = Vec::new();
    for (rule, decided) in earlier {
        match left.without_within(decided, MAX_PAIRS) {
            Some(rest) if rest == left => {}
            Some(rest) => {
                needed.push(*rule);
                left = rest;
            }
            None => needed.push(*rule),
        }
    }
    needed
}

fn covered(rule: &PlacedRule, by: &[&PlacedRule]) -> Diagnostic {
    let (title, help) = match by {
        [one] if one.rule.condition == Condition::Always => (
            "this rule is covered by an earlier one",
            "the earlier rule takes every call; narrow it or take one away",
        ),
        [_] => (
            "this rule is covered by an earlier one",
            "the first rule that matches decides; take this one away",
        ),
        _ => (
            "this rule is covered by earlier ones together",
            "the first rule that matches decides; take this one away",
        ),
    };
    let text = "matches no call that is left";
    let mut error = Diagnostic::error(title, rule.source, rule.span.clone(), text).help(help);
    for earlier in by.iter().take(SHOWN) {
        error = error.context(earlier.source, earlier.span.clone(), "decides first");
    }
    if by.len() > SHOWN {
        error = error.help(format!("{} more rules take part", by.len() - SHOWN));
    }
    if by.iter().chain([&rule]).any(|rule| rule.source != 0) { error.into_note() } else { error }
}

fn never(rule: &PlacedRule) -> Diagnostic {
    let title = "this rule can never match";
    let error = Diagnostic::error(title, rule.source, rule.span.clone(), "no arguments meet all of it")
        .help("one test excludes another; write alternatives with `||` or as rules of their own");
    if rule.source != 0 { error.into_note() } else { error }
}

fn always(rule: &PlacedRule) -> Diagnostic {
    let title = "this expression is always true";
    let error = Diagnostic::error(title, rule.source, rule.span.clone(), "every call meets it")
        .help(format!("if any arguments are meant, write `{}: -- reason`", rule.rule.call.name));
    if rule.source != 0 { error.into_note() } else { error }
}

/// A note on an allowed call whose descriptor no test looks at.
fn open_descriptor(space: &Space, placed: &PlacedRule, calls: &Calls) -> Option<Diagnostic> {
    let rule = &placed.rule;
    if rule.action != Action::Allow {
        return None;
    }
    let open = untested_descriptor(space, rule.call, calls)?;
    let title = format!("`{}` leaves the descriptor `{}` open", rule.call.name, open.name);
    Some(
        Diagnostic::error(title, placed.source, placed.span.clone(), "any descriptor of the thread")
            .help(format!("if the thread uses few, name them: `{} == @slot`", open.name))
            .into_note(),
    )
}

/// The first descriptor that these arguments of a call leave open.
pub(crate) fn untested_descriptor(space: &Space, call: &Syscall, calls: &Calls) -> Option<&'static Argument> {
    if call.name == "mmap" && space.calls(&anonymous()).covers(calls) {
        return None;
    }
    let mut descriptors = call.descriptors();
    descriptors.find(|(index, _)| !calls.looks_at(*index)).map(|(_, argument)| argument)
}

/// `mmap` with `MAP_ANONYMOUS`, which ignores its descriptor.
fn anonymous() -> Condition {
    let bit = u64::from(libc::MAP_ANONYMOUS.cast_unsigned());
    let flags = 3;
    Condition::Test(Test {
        argument: flags,
        width: Width::Bits64,
        relation: Relation::Masked { mask: bit, value: bit },
    })
}
