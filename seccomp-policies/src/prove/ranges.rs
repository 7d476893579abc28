//! A set that depends on one field alone, as ranges of the field's values.

use std::ops::Range;

use biodivine_lib_bdd::{Bdd, BddPointer};

/// The values as first and last of each range, ascending, no two of them neighbours; `None` if they are more than
/// `limit`.
///
/// `variables`: the field's, from its highest bit to its lowest, or those of its lower half.
pub(super) fn ranges(set: &Bdd, variables: Range<usize>, limit: usize) -> Option<Vec<(u64, u64)>> {
    debug_assert!(set.support_set().iter().all(|variable| variables.contains(&variable.to_index())));
    let mut walk = Walk { set, end: variables.end, limit, found: Vec::new() };
    walk.below(set.root_pointer(), variables.start, 0)?;
    Some(walk.found)
}

struct Walk<'a> {
    set: &'a Bdd,
    end: usize,
    limit: usize,
    found: Vec<(u64, u64)>,
}

impl Walk<'_> {
    /// The values with this beginning, from the node on. `None` when they become too many.
    fn below(&mut self, node: BddPointer, variable: usize, value: u64) -> Option<()> {
        if node.is_zero() {
            return Some(());
        }
        let bits = self.end - variable;
        if node.is_one() {
            let size_less_one = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
            let first = if bits == 64 { 0 } else { value << bits };
            return self.add(first, first + size_less_one);
        }
        let (low, high) = if self.set.var_of(node).to_index() == variable {
            (self.set.low_link_of(node), self.set.high_link_of(node))
        } else {
            (node, node)
        };
        self.below(low, variable + 1, value << 1)?;
        self.below(high, variable + 1, value << 1 | 1)
    }

    fn add(&mut self, first: u64, last: u64) -> Option<()> {
        match self.found.last_mut() {
            Some((_, before)) if *before + 1 == first => *before = last,
            _ => self.found.push((first, last)),
        }
        (self.found.len() <= self.limit).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::{Condition, Relation, Test, Width};
    use crate::prove::Space;
    use crate::prove::layout::Field;

    fn of(relation: Relation, width: Width, limit: usize) -> Option<Vec<(u64, u64)>> {
        let calls = Space::new().calls(&Condition::Test(Test { argument: 2, width, relation }));
        ranges(&calls.0, Field::Argument(2).variables(), limit)
    }

    #[test]
    fn comparisons_are_one_range_or_two() {
        assert_eq!(of(Relation::Equal(7), Width::Bits64, 9), Some(vec![(7, 7)]));
        assert_eq!(of(Relation::NotEqual(7), Width::Bits64, 9), Some(vec![(0, 6), (8, u64::MAX)]));
        assert_eq!(of(Relation::GreaterOrEqual(0), Width::Bits64, 9), Some(vec![(0, u64::MAX)]));
        assert_eq!(of(Relation::Less(0), Width::Bits64, 9), Some(vec![]));
        assert_eq!(of(Relation::Greater(u64::MAX - 1), Width::Bits64, 9), Some(vec![(u64::MAX, u64::MAX)]));
    }

    #[test]
    fn what_scatters_over_the_field_is_given_up() {
        let high_bits = Relation::Masked { mask: 3 << 62, value: 1 << 62 };
        assert_eq!(of(high_bits, Width::Bits64, 1), Some(vec![(1 << 62, (2 << 62) - 1)]));
        assert_eq!(of(Relation::Masked { mask: 1, value: 0 }, Width::Bits64, 1000), None);
        // The upper half is not looked at: one range for each of its values.
        assert_eq!(of(Relation::Equal(7), Width::Bits32, 1000), None);
    }
}
