//! How long a condition is to read.

use crate::language::{Condition, Relation, Test};

/// A test.
pub(super) const TEST: usize = 10;
/// What a mask takes beyond a comparison with one value.
pub(super) const MASK: usize = 2;
/// One more value in a list of values that an argument may have.
const VALUE: usize = 4;
/// A negation.
const NOT: usize = 1;

/// How long a condition is to read, in no unit: more tests are longer, a list of values is shorter than as many tests.
pub(super) fn cost(condition: &Condition) -> usize {
    match condition {
        Condition::Always => 0,
        Condition::Test(Test { relation: Relation::Masked { .. }, .. }) => TEST + MASK,
        Condition::Test(_) => TEST,
        Condition::All(parts) => parts.iter().map(cost).sum(),
        Condition::Any(parts) => {
            let mut listed = parts.iter().filter(|part| is_value(part)).count();
            let others: usize = parts.iter().filter(|part| !is_value(part)).map(cost).sum();
            if listed > 0 {
                listed = TEST + VALUE * (listed - 1);
            }
            listed + others
        }
        Condition::Not(part) => NOT + cost(part),
    }
}

/// Whether it is a comparison with one value, as a list of values is made of.
pub(super) fn is_value(condition: &Condition) -> bool {
    matches!(condition, Condition::Test(Test { relation: Relation::Equal(_), .. }))
}
