//! How much a policy may ask for. Which rules decide is found out exactly, and that can take long for texts that
//! nobody would write by hand.

use std::collections::HashSet;

use super::policy::{Condition, Test};
use crate::action::Action;
use crate::prove::{Bounded, Effort, Space};

/// The largest text that is read, and the most that a policy and what it includes may come to: more than ten times any
/// policy known.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// After how many findings the rest of a text is left alone: each may take a while to word.
pub(crate) const MAX_FINDINGS: usize = 100;
/// How many rules a call may have; the policies that people have need a tenth.
const MAX_RULES: usize = 512;
/// How many different comparisons a rule may have.
const MAX_COMPARISONS: usize = 512;
/// How many nodes the diagram of a call's rules may have: more than what 512 values of 64 bits need.
const MAX_NODES: usize = 1 << 16;
/// How many pairs of nodes may be looked at to find out what the rules of a policy mean, all calls together: a thousand
/// times what the largest policy known needs, and about a second's work.
const MAX_PAIRS: usize = 1 << 23;

/// What is wrong with one rule too many: a title, and what to do.
pub(crate) type TooMuch = (String, &'static str);

/// Where the meaning of a policy's rules is found out, and how much of that there may be.
pub(crate) struct Limits {
    space: Space,
    effort: Effort,
}

impl Limits {
    /// Those of one policy.
    pub(crate) fn new() -> Self {
        Self { space: Space::new(), effort: Effort::new(MAX_PAIRS) }
    }

    /// Whether the policy as a whole has come to too much, so that no further rule can be taken.
    pub(crate) const fn are_reached(&self) -> bool {
        self.effort.is_exceeded()
    }

    fn too_complicated(&self, name: &str) -> TooMuch {
        let rules = if self.are_reached() {
            "the policy's rules".to_owned()
        } else {
            format!("the rules for `{name}`")
        };
        (format!("{rules} are too complicated together"), "test bits of fewer arguments in one rule")
    }
}

/// The rules of one call so far.
pub(crate) struct CallRules<'l> {
    limits: &'l Limits,
    rules: usize,
    decided: Bounded<'l>,
}

impl<'l> CallRules<'l> {
    /// No rules.
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self { limits, rules: 0, decided: Bounded::new(&limits.space, MAX_NODES, &limits.effort) }
    }

    /// Takes one more rule for the call of this name.
    pub(crate) fn add(&mut self, name: &str, condition: &Condition, action: Action) -> Result<(), TooMuch> {
        self.rules += 1;
        if self.rules > MAX_RULES {
            let title = format!("`{name}` has more than {MAX_RULES} rules");
            return Err((title, "join them, or leave some out"));
        }
        let mut found = HashSet::new();
        comparisons(condition, &mut found);
        if found.len() > MAX_COMPARISONS {
            let title = format!("a rule for `{name}` has more than {MAX_COMPARISONS} comparisons");
            return Err((title, "compare with ranges and masks instead of single values"));
        }
        if !self.decided.add(condition, action) {
            return Err(self.limits.too_complicated(name));
        }
        Ok(())
    }

    /// Whether the rules, which are all now, can be looked at as a whole.
    pub(crate) fn finish(self, name: &str) -> Result<(), TooMuch> {
        if self.decided.finish() { Ok(()) } else { Err(self.limits.too_complicated(name)) }
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
