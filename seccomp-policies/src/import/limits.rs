//! Which rules of a file are within the limits of a policy.

use std::collections::BTreeMap;

use super::Findings;
use super::draft::DraftRule;
use crate::language::{CallRules, Diagnostic};
use crate::prove::Space;

/// The rules that stay within the limits; each call that does not has an error.
pub(crate) fn within(rules: Vec<DraftRule>, findings: &mut Findings) -> Vec<DraftRule> {
    let space = Space::new();
    let mut calls: BTreeMap<u32, Option<CallRules>> = BTreeMap::new();
    let mut kept = Vec::new();
    for rule in rules {
        // None for a call that was refused.
        let call = calls.entry(rule.call.number).or_insert_with(|| Some(CallRules::new(&space)));
        let Some(known) = call else { continue };
        if let Err((title, help)) = known.add(rule.call.name, &rule.condition) {
            *call = None;
            findings.error(Diagnostic::error(title, rule.source, rule.span, "one too many").help(help));
            continue;
        }
        kept.push(rule);
    }
    // What a refused call has left may still be too much.
    kept.retain(|rule| matches!(calls.get(&rule.call.number), Some(Some(_))));
    kept
}
