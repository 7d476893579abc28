//! Which rules of a file are within the limits of a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Findings;
use super::draft::DraftRule;
use crate::language::{CallRules, Diagnostic, Limits};

/// A call's rules so far, its name and the place of the last of them.
type OfCall<'l> = (CallRules<'l>, &'static str, (usize, Range<usize>));

/// The rules that stay within the limits; each call that does not has an error.
pub(crate) fn within(rules: Vec<DraftRule>, findings: &mut Findings) -> Vec<DraftRule> {
    let limits = Limits::new();
    // None for a call that was refused.
    let mut calls: BTreeMap<u32, Option<OfCall>> = BTreeMap::new();
    let mut kept = Vec::new();
    let mut refuse = |(title, help): (String, &str), (source, span): (usize, Range<usize>)| {
        findings.error(Diagnostic::error(title, source, span, "one too many").help(help));
    };
    for rule in rules {
        if limits.are_reached() {
            break;
        }
        let place = (rule.source, rule.span.clone());
        let new = || Some((CallRules::new(&limits), rule.call.name, place.clone()));
        let of_call = calls.entry(rule.call.number).or_insert_with(new);
        let Some((call, name, last)) = of_call else { continue };
        if let Err(too_much) = call.add(name, &rule.condition, rule.action) {
            *of_call = None;
            refuse(too_much, place);
            continue;
        }
        *last = place;
        kept.push(rule);
    }
    let mut refused = BTreeSet::new();
    for (number, of_call) in calls {
        // Where the limits of the whole policy are reached, that has been said.
        let Some((call, name, last)) = of_call.filter(|_| !limits.are_reached()) else {
            refused.insert(number);
            continue;
        };
        if let Err(too_much) = call.finish(name) {
            refused.insert(number);
            refuse(too_much, last);
        }
    }
    // What a refused call has left may still be too much.
    kept.retain(|rule| !refused.contains(&rule.call.number));
    kept
}
