//! Whether conditions have diagrams of a reasonable size, before anybody asks for more of them.

use biodivine_lib_bdd::{Bdd, op_function};

use super::Space;
use crate::language::Condition;

/// A growing union of conditions that is given up where it takes too many nodes.
///
/// Pairs of bits of two registers need a node for nearly every value of one, so that a short text can ask for a
/// diagram that no machine holds.
pub(crate) struct Bounded<'s> {
    space: &'s Space,
    nodes: usize,
    /// How many conditions each part holds, descending, and the part.
    parts: Vec<(usize, Bdd)>,
}

impl<'s> Bounded<'s> {
    /// A union of at most so many nodes.
    pub(crate) const fn new(space: &'s Space, nodes: usize) -> Self {
        Self { space, nodes, parts: Vec::new() }
    }

    /// Adds a condition; whether everything added so far is still small.
    pub(crate) fn add(&mut self, condition: &Condition) -> bool {
        let Some(diagram) = self.diagram(condition) else { return false };
        let mut last = (1, diagram);
        while let Some((conditions, part)) = self.parts.pop_if(|(conditions, _)| *conditions <= last.0) {
            let Some(joined) = self.joined(&part, &last.1, op_function::or) else { return false };
            last = (conditions + last.0, joined);
        }
        self.parts.push(last);
        true
    }

    fn diagram(&self, condition: &Condition) -> Option<Bdd> {
        match condition {
            Condition::Always | Condition::Test(_) => Some(self.space.calls(condition).0),
            Condition::Not(inner) => Some(self.diagram(inner)?.not()),
            Condition::All(parts) => self.folded(parts, true),
            Condition::Any(parts) => self.folded(parts, false),
        }
    }

    fn folded(&self, parts: &[Condition], all: bool) -> Option<Bdd> {
        let start = if all { self.space.every() } else { self.space.none() };
        parts.iter().try_fold(start.0, |so_far, part| {
            let part = self.diagram(part)?;
            if all {
                self.joined(&so_far, &part, op_function::and)
            } else {
                self.joined(&so_far, &part, op_function::or)
            }
        })
    }

    fn joined(
        &self,
        left: &Bdd,
        right: &Bdd,
        operation: fn(Option<bool>, Option<bool>) -> Option<bool>,
    ) -> Option<Bdd> {
        Bdd::binary_op_with_limit(self.nodes, left, right, operation)
    }
}
