//! How much a file may ask for. Which rules decide what is found out exactly, and that can take long for texts that
//! nobody would write by hand.

use std::collections::{BTreeMap, HashSet};

use super::Findings;
use super::draft::DraftRule;
use crate::language::{Condition, Diagnostic, Test};
use crate::prove::{Bounded, Space};

/// How many rules a call may have; the policies that people have need a tenth.
const MAX_ALTERNATIVES: usize = 512;
/// How many different comparisons a rule may have.
const MAX_COMPARISONS: usize = 512;
/// How many nodes the diagram of a call's rules may have: more than what 512 values of 64 bits need.
const MAX_NODES: usize = 1 << 16;

/// The rules that stay within the limits; each call that does not has an error.
pub(crate) fn within(rules: Vec<DraftRule>, findings: &mut Findings) -> Vec<DraftRule> {
    let space = Space::new();
    let mut calls: BTreeMap<u32, Call> = BTreeMap::new();
    let mut kept = Vec::new();
    for rule in rules {
        let call = calls.entry(rule.call.number).or_insert_with(|| Call::new(&space));
        if call.is_refused {
            continue;
        }
        if let Some((title, help)) = call.problem(&rule) {
            call.is_refused = true;
            findings.error(Diagnostic::error(title, rule.source, rule.span, "one too many").help(help));
            continue;
        }
        kept.push(rule);
    }
    // What a refused call has left may still be too much.
    kept.retain(|rule| calls.get(&rule.call.number).is_some_and(|call| !call.is_refused));
    kept
}

/// The rules of one call so far.
struct Call<'s> {
    rules: usize,
    is_refused: bool,
    decided: Bounded<'s>,
}

impl<'s> Call<'s> {
    const fn new(space: &'s Space) -> Self {
        Self { rules: 0, is_refused: false, decided: Bounded::new(space, MAX_NODES) }
    }

    /// What is wrong with one more rule, and what to do.
    fn problem(&mut self, rule: &DraftRule) -> Option<(String, &'static str)> {
        let name = rule.call.name;
        self.rules += 1;
        if self.rules > MAX_ALTERNATIVES {
            let title = format!("`{name}` has more than {MAX_ALTERNATIVES} rules");
            return Some((title, "join them, or leave some out"));
        }
        let mut found = HashSet::new();
        comparisons(&rule.condition, &mut found);
        if found.len() > MAX_COMPARISONS {
            let title = format!("a rule for `{name}` has more than {MAX_COMPARISONS} comparisons");
            return Some((title, "compare with ranges and masks instead of single values"));
        }
        if !self.decided.add(&rule.condition) {
            let title = format!("the rules for `{name}` are too complicated together");
            return Some((title, "test bits of fewer arguments in one rule"));
        }
        None
    }
}

/// Adds the comparisons of a condition, each once.
fn comparisons<'a>(condition: &'a Condition, found: &mut HashSet<&'a Test>) {
    match condition {
        Condition::Always => {}
        Condition::Test(test) => {
            found.insert(test);
        }
        Condition::Not(inner) => comparisons(inner, found),
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                comparisons(part, found);
            }
        }
    }
}
