//! What libseccomp makes of a list of rules, for formats whose programs hand theirs to it (`src/db.c`).
//!
//! It keeps no order. A rule without conditions takes the whole call, wherever it stands; the first of several does. Of
//! two conditional rules that share calls, which one decides follows from the layout of its tree.

use std::collections::HashMap;
use std::ops::Range;

use super::draft::DraftRule;
use super::{Findings, limits};
use crate::action::Action;
use crate::language::{Condition, Diagnostic};
use crate::prove::{Calls, Space, Union};

/// The rules that decide, in an order in which the first that matches is libseccomp's answer.
pub(crate) fn combined(rules: Vec<DraftRule>, default: Action, findings: &mut Findings) -> Vec<DraftRule> {
    let rules = limits::within(rules, findings);
    let mut whole: HashMap<u32, (usize, Range<usize>)> = HashMap::new();
    for rule in rules.iter().filter(|rule| rule.condition == Condition::Always) {
        whole.entry(rule.call.number).or_insert((rule.source, rule.span.clone()));
    }
    let space = Space::new();
    let mut overlaps: HashMap<u32, Overlaps> = HashMap::new();
    let mut kept = Vec::new();
    for rule in rules {
        if rule.action == default {
            findings.error(as_by_default(&rule));
            continue;
        }
        match whole.get(&rule.call.number) {
            Some(place) if *place != (rule.source, rule.span.clone()) => {
                findings.note(taken(&rule, place.clone()));
                continue;
            }
            Some(_) => {}
            None => {
                let overlaps = overlaps.entry(rule.call.number).or_default();
                if overlaps.conflicts(&rule, &space.calls(&rule.condition)) {
                    findings.loss(undecided(&rule));
                }
            }
        }
        kept.push(rule);
    }
    kept
}

/// The calls that the rules of one system call match, together and by action.
#[derive(Default)]
struct Overlaps {
    all: Union,
    by_action: HashMap<Action, Union>,
}

impl Overlaps {
    /// Adds a rule; whether it shares calls with an earlier one of another action.
    fn conflicts(&mut self, rule: &DraftRule, calls: &Calls) -> bool {
        let shared = calls.without(&self.all.new_in(calls));
        let own = self.by_action.entry(rule.action).or_default();
        let conflict = !own.new_in(&shared).is_empty();
        own.add(calls.clone());
        self.all.add(calls.clone());
        conflict
    }
}

fn as_by_default(rule: &DraftRule) -> Diagnostic {
    let title = format!("this rule answers `{}` as the profile does by default", rule.action);
    Diagnostic::error(title, rule.source, rule.span.clone(), "libseccomp refuses it (EACCES)")
        .help("take it away, or give it another action")
}

fn taken(rule: &DraftRule, (source, span): (usize, Range<usize>)) -> Diagnostic {
    let title = format!("this rule for `{}` decides nothing", rule.call.name);
    Diagnostic::error(title, rule.source, rule.span.clone(), "libseccomp drops it")
        .context(source, span, "takes every such call")
        .help("take one of the two away")
}

fn undecided(rule: &DraftRule) -> Diagnostic {
    let title = format!("two rules for `{}` answer the same calls differently", rule.call.name);
    Diagnostic::error(title, rule.source, rule.span.clone(), "shares calls with an earlier rule")
        .help("libseccomp does not say which of them decides; here the first does")
}
