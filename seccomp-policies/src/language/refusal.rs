//! Why a call was refused: the rule that it came nearest to, and what kept it from matching.

use std::fmt;

use super::policy::{Condition, Policy, Relation, Rule, Slot, Test};
use crate::action::Action;
use crate::call::Call;
use crate::syscalls::{Argument, decode};

/// The rule nearest to a refused call, and the tests that the call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Each failed test in words: `fd is 7, not 3`.
    pub failed: Vec<String>,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { call, expression, file, line, reason, .. } = self.rule;
        write!(f, "{file}:{line} allows `{}: {expression}` -- {reason}; here ", call.name)?;
        f.write_str(&self.failed.join(", "))
    }
}

impl Policy {
    /// The rule of the same call that fails the fewest tests; the first of equals. `None` if no rule speaks of the
    /// call, or if one matches it.
    pub fn nearest_rule(&self, call: &Call) -> Option<&Rule> {
        self.refusal(call).map(|refusal| refusal.rule)
    }

    /// The nearest rule with the tests that the call failed.
    pub fn refusal(&self, call: &Call) -> Option<Refusal<'_>> {
        if call.arch != self.arch.audit_value() || self.matching_rule(call).is_some() {
            return None;
        }
        self.nearest(call, [true; 6], |_| true)
    }

    /// The rule nearest to a call that no rule carries out, of those that would carry it out. Tests of registers that
    /// are not `known` are left out.
    pub(crate) fn nearest_allowing(&self, call: &Call, known: [bool; 6]) -> Option<Refusal<'_>> {
        self.nearest(call, known, |rule| matches!(rule.action, Action::Allow | Action::Log))
    }

    fn nearest(&self, call: &Call, known: [bool; 6], may: impl Fn(&Rule) -> bool) -> Option<Refusal<'_>> {
        let rules = self.rules.iter().filter(|rule| rule.call.number == call.number && may(rule));
        let (tests, rule) = rules
            .map(|rule| (failed(&rule.condition, call, known, true), rule))
            .min_by_key(|(tests, _)| tests.len())?;
        let failed = tests.iter().map(|(test, wanted)| self.words(rule, test, *wanted, call)).collect();
        Some(Refusal { rule, failed })
    }

    /// The slot of a name.
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    /// The slot that holds a descriptor.
    pub fn slot_of(&self, descriptor: u32) -> Option<&Slot> {
        self.slots.iter().find(|slot| (slot.first..=slot.last).contains(&descriptor))
    }

    fn words(&self, rule: &Rule, test: &Test, wanted: bool, call: &Call) -> String {
        let register = usize::from(test.argument);
        let argument = Argument { width: test.width, ..*rule.call.argument_at(test.argument) };
        let show = |value| decode::argument(self.arch, rule.call, &argument, value);
        let (name, found) = (argument.name, show(call.arguments[register]));
        let relation = match test.relation {
            Relation::Equal(value) if wanted => show(value),
            Relation::NotEqual(value) if !wanted => return format!("{name} is {found}, not {}", show(value)),
            Relation::Equal(_) | Relation::NotEqual(_) => {
                return format!("{name} is {found}, which it leaves out");
            }
            Relation::Less(value) => format!("below {}", show(value)),
            Relation::LessOrEqual(value) => format!("at most {}", show(value)),
            Relation::Greater(value) => format!("above {}", show(value)),
            Relation::GreaterOrEqual(value) => format!("at least {}", show(value)),
            Relation::Masked { mask, value } if mask == value => format!("with {}", show(mask)),
            // No bit set has a name of its own in a field such as the access mode.
            Relation::Masked { mask, value: 0 } if show(0).starts_with('0') => {
                format!("without {}", show(mask))
            }
            Relation::Masked { mask, value } => format!("{} in the bits {}", show(value), show(mask)),
        };
        let refused = if wanted { "not" } else { "and may not be" };
        format!("{name} is {found}, {refused} {relation}")
    }
}

/// The fewest tests that would have to come out otherwise for the condition to be `wanted`, each with how it would
/// have to come out; empty if the condition is that already, or may be where a register is not known.
fn failed(condition: &Condition, call: &Call, known: [bool; 6], wanted: bool) -> Vec<(Test, bool)> {
    let part = |part| failed(part, call, known, wanted);
    match (condition, wanted) {
        (Condition::Always, _) => Vec::new(),
        (Condition::Test(test), _) if !known[usize::from(test.argument)] => Vec::new(),
        (Condition::Test(test), _) if test.holds(call) == wanted => Vec::new(),
        (Condition::Test(test), _) => vec![(*test, wanted)],
        (Condition::Not(inner), _) => failed(inner, call, known, !wanted),
        (Condition::All(parts), true) | (Condition::Any(parts), false) => {
            parts.iter().flat_map(part).collect()
        }
        (Condition::Any(parts), true) | (Condition::All(parts), false) => {
            parts.iter().map(part).min_by_key(Vec::len).unwrap_or_default()
        }
    }
}
