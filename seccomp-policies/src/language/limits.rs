//! How much a policy may ask for. Which rules decide is found out exactly, and that can take long for texts that
//! nobody would write by hand.

use std::collections::HashSet;

use super::policy::{Condition, Test};
use crate::prove::{Bounded, Space};

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

/// What is wrong with one rule too many: a title, and what to do.
pub(crate) type TooMuch = (String, &'static str);

/// The rules of one call so far.
pub(crate) struct CallRules<'s> {
    rules: usize,
    decided: Bounded<'s>,
}

impl<'s> CallRules<'s> {
    /// No rules.
    pub(crate) const fn new(space: &'s Space) -> Self {
        Self { rules: 0, decided: Bounded::new(space, MAX_NODES) }
    }

    /// Takes one more rule for the call of this name.
    pub(crate) fn add(&mut self, name: &str, condition: &Condition) -> Result<(), TooMuch> {
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
        if !self.decided.add(condition) {
            let title = format!("the rules for `{name}` are too complicated together");
            return Err((title, "test bits of fewer arguments in one rule"));
        }
        Ok(())
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
