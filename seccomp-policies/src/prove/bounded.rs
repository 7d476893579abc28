//! Whether the rules of a policy have diagrams of a reasonable size, before anybody asks for more of them.
//!
//! Pairs of bits of two registers need a node for nearly every value of one, so that a short text can ask for a diagram
//! that no machine holds; and two diagrams that are small can take as long as their product, even where the result is
//! nothing. So the same operations are made here that [`Decisions::of_policy`](super::Decisions::of_policy) makes, each
//! of them counted before it is made.

use std::cell::Cell;
use std::collections::HashMap;

use biodivine_lib_bdd::{Bdd, op_function};

use super::Space;
use crate::action::Action;
use crate::language::Condition;

/// How many pairs of nodes may still be looked at, for all calls of a policy.
pub(crate) struct Effort {
    /// None where more was needed.
    left: Cell<Option<usize>>,
}

impl Effort {
    /// So many pairs.
    pub(crate) const fn new(pairs: usize) -> Self {
        Self { left: Cell::new(Some(pairs)) }
    }

    /// Whether more was needed than there was.
    pub(crate) const fn is_exceeded(&self) -> bool {
        self.left.get().is_none()
    }

    /// Takes the pairs that an operation looks at, if there are so many.
    fn spend(&self, left: &Bdd, right: &Bdd, operation: Operation) -> Option<()> {
        let available = self.left.get()?;
        let needed = Bdd::check_binary_op(available, left, right, operation);
        let rest = needed.and_then(|(_, pairs)| available.checked_sub(pairs));
        self.left.set(rest);
        rest.map(|_| ())
    }
}

/// A function of two bits, as far as it is known from the bits that are.
type Operation = fn(Option<bool>, Option<bool>) -> Option<bool>;

/// The rules of one call, one after the other, given up where they take too many nodes or too much effort.
pub(crate) struct Bounded<'s> {
    made: Made<'s>,
    /// What the rules so far match.
    decided: Parts,
    /// Of each action, the arguments with which one of its rules is the first that matches.
    by_action: HashMap<Action, Parts>,
}

impl<'s> Bounded<'s> {
    /// No rules. Each diagram may have so many nodes.
    pub(crate) fn new(space: &'s Space, nodes: usize, effort: &'s Effort) -> Self {
        let made = Made { space, nodes, effort };
        Self { made, decided: Parts::default(), by_action: HashMap::new() }
    }

    /// Adds a rule; whether everything added so far is still small.
    pub(crate) fn add(&mut self, condition: &Condition, action: Action) -> bool {
        self.added(condition, action).is_some()
    }

    fn added(&mut self, condition: &Condition, action: Action) -> Option<()> {
        let matching = self.made.diagram(condition)?;
        let first = self.decided.missing_in(&matching, &self.made)?;
        self.by_action.entry(action).or_default().add(first, &self.made)?;
        self.decided.add(matching, &self.made)
    }

    /// No further rule: whether those that were added are small as a whole.
    pub(crate) fn finish(self) -> bool {
        let Self { made, decided, by_action } = self;
        by_action.into_values().chain([decided]).all(|parts| parts.joined(&made).is_some())
    }
}

/// A union that grows, in parts of like size: [`Union`](super::Union), bounded.
#[derive(Default)]
struct Parts {
    /// How many sets each part holds, descending, and the part.
    parts: Vec<(usize, Bdd)>,
}

impl Parts {
    fn add(&mut self, set: Bdd, made: &Made) -> Option<()> {
        let mut last = (1, set);
        while let Some((sets, part)) = self.parts.pop_if(|(sets, _)| *sets <= last.0) {
            last = (sets + last.0, made.by(&part, &last.1, op_function::or)?);
        }
        self.parts.push(last);
        Some(())
    }

    /// What of a set is not in the union.
    fn missing_in(&self, set: &Bdd, made: &Made) -> Option<Bdd> {
        let parts = self.parts.iter();
        parts
            .map(|(_, part)| part)
            .try_fold(set.clone(), |left, part| made.by(&left, part, op_function::and_not))
    }

    fn joined(self, made: &Made) -> Option<Bdd> {
        let parts = self.parts.into_iter().map(|(_, part)| part);
        parts.map(Some).reduce(|joined, part| made.by(&joined?, &part?, op_function::or)).unwrap_or_else(
            || {
                let none = made.space.none();
                Some(none.0)
            },
        )
    }
}

/// How diagrams are made.
struct Made<'s> {
    space: &'s Space,
    nodes: usize,
    effort: &'s Effort,
}

impl Made<'_> {
    /// The diagram of a condition, by the steps of [`Space::calls`].
    fn diagram(&self, condition: &Condition) -> Option<Bdd> {
        match condition {
            Condition::Always | Condition::Test(_) => Some(self.space.calls(condition).0),
            Condition::Not(inner) => Some(self.diagram(inner)?.not()),
            Condition::All(parts) => parts.iter().try_fold(self.space.every().0, |met, part| {
                self.by(&met, &self.diagram(part)?, op_function::and)
            }),
            Condition::Any(alternatives) => {
                let mut parts = Parts::default();
                for alternative in alternatives {
                    parts.add(self.diagram(alternative)?, self)?;
                }
                parts.joined(self)
            }
        }
    }

    fn by(&self, left: &Bdd, right: &Bdd, operation: Operation) -> Option<Bdd> {
        self.effort.spend(left, right, operation)?;
        Bdd::binary_op_with_limit(self.nodes, left, right, operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::{Relation, Test, Width};

    /// Pairs of the same bits of two registers: a node for each value of the bits.
    fn pairs(bits: std::ops::Range<u32>) -> Condition {
        let bit = |argument, bit: u32| {
            let relation = Relation::Masked { mask: 1 << bit, value: 1 << bit };
            Condition::Test(Test { argument, width: Width::Bits64, relation })
        };
        Condition::Any(bits.map(|at| Condition::All(vec![bit(1, at), bit(2, at)])).collect())
    }

    fn last_is(value: u64) -> Condition {
        let relation = Relation::Equal(value);
        Condition::Test(Test { argument: 5, width: Width::Bits64, relation })
    }

    fn both(one: Condition, other: Condition) -> Condition {
        Condition::All(vec![one, other])
    }

    const NODES: usize = 1 << 13;

    #[test]
    fn what_comes_to_too_many_nodes_is_given_up() {
        let (space, effort) = (Space::new(), Effort::new(1 << 22));
        let mut rules = Bounded::new(&space, NODES, &effort);
        assert!(rules.add(&pairs(0..10), Action::Allow));
        assert!(!rules.add(&pairs(10..20), Action::Allow));
        assert!(!effort.is_exceeded());
    }

    #[test]
    fn what_looks_at_too_many_nodes_is_given_up_even_where_it_comes_to_few() {
        let (space, effort) = (Space::new(), Effort::new(1 << 16));
        let mut rules = Bounded::new(&space, NODES, &effort);
        assert!(rules.add(&both(pairs(0..10), last_is(0)), Action::Allow));
        // Nothing is in both, and finding that out takes the product of the two.
        assert!(!rules.add(&both(pairs(10..20), last_is(1)), Action::Allow));
        assert!(effort.is_exceeded());
    }

    #[test]
    fn parts_that_are_small_are_too_much_where_their_union_is() {
        let (space, effort) = (Space::new(), Effort::new(1 << 22));
        let mut rules = Bounded::new(&space, NODES, &effort);
        // Three rules are a part of two and a part of one, which nothing has joined yet.
        assert!(rules.add(&both(pairs(0..4), last_is(0)), Action::Allow));
        assert!(rules.add(&both(pairs(4..7), last_is(0)), Action::Allow));
        assert!(rules.add(&both(pairs(7..14), last_is(1)), Action::Trap));
        assert!(!rules.finish());
    }
}
