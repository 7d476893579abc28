//! Conditions in disjunctive normal form: alternatives, each a list of tests that must all hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::language::{Condition, Relation, Test, Width};

/// Tests that must all hold; none at all holds for every call.
pub(crate) type Alternative = Vec<Test>;

/// The alternatives of a condition; none at all for one that never holds.
///
/// Their number is what [`count`] says, which its caller bounds first.
pub(crate) fn alternatives(condition: &Condition) -> Vec<Alternative> {
    expand(condition, false)
}

/// How many alternatives the condition has; `usize::MAX` where they are more than can be counted.
pub(crate) fn count(condition: &Condition) -> usize {
    count_signed(condition, false)
}

fn expand(condition: &Condition, negated: bool) -> Vec<Alternative> {
    match (condition, negated) {
        (Condition::Always, false) => vec![vec![]],
        (Condition::Always, true) => vec![],
        (Condition::Test(test), false) => vec![vec![*test]],
        (Condition::Test(test), true) => negate(*test).into_iter().map(|test| vec![test]).collect(),
        (Condition::Not(part), _) => expand(part, !negated),
        (Condition::Any(parts), false) => {
            with_ranges(parts).iter().flat_map(|part| expand(part, false)).collect()
        }
        (Condition::All(parts), true) => parts.iter().flat_map(|part| expand(part, true)).collect(),
        (Condition::All(parts), false) | (Condition::Any(parts), true) => {
            parts.iter().fold(vec![vec![]], |so_far, part| multiply(&so_far, &expand(part, negated)))
        }
    }
}

fn count_signed(condition: &Condition, negated: bool) -> usize {
    match (condition, negated) {
        (Condition::Always, _) => usize::from(!negated),
        (Condition::Test(_), false) => 1,
        (Condition::Test(test), true) => negate(*test).len(),
        (Condition::Not(part), _) => count_signed(part, !negated),
        (Condition::Any(parts), false) => sum(&with_ranges(parts), false),
        (Condition::All(parts), true) => sum(parts, true),
        (Condition::All(parts), false) | (Condition::Any(parts), true) => {
            parts.iter().fold(1, |product: usize, part| product.saturating_mul(count_signed(part, negated)))
        }
    }
}

fn sum(parts: &[Condition], negated: bool) -> usize {
    parts.iter().fold(0, |sum: usize, part| sum.saturating_add(count_signed(part, negated)))
}

/// The same parts, three and more neighbouring values of an argument as one range: a list of descriptors is one
/// alternative then, not one for each.
pub(super) fn with_ranges(parts: &[Condition]) -> Vec<Condition> {
    let mut values: BTreeMap<(u8, u64), BTreeSet<u64>> = BTreeMap::new();
    let mut others = Vec::new();
    for part in parts {
        match part {
            Condition::Test(Test { argument, width, relation: Relation::Equal(value) }) => {
                values.entry((*argument, width.mask())).or_default().insert(*value);
            }
            other => others.push(other.clone()),
        }
    }
    let ranges = values.into_iter().flat_map(|((argument, mask), values)| {
        let width = if mask == Width::Bits32.mask() { Width::Bits32 } else { Width::Bits64 };
        runs(&values).into_iter().flat_map(move |(first, last)| one_of(argument, width, first, last))
    });
    ranges.chain(others).collect()
}

/// Values without a gap between them, as first and last.
fn runs(values: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &value in values {
        match runs.last_mut() {
            Some((_, last)) if value.checked_sub(1) == Some(*last) => *last = value,
            _ => runs.push((value, value)),
        }
    }
    runs
}

/// Conditions of which one holds where the argument is one of `first` to `last`.
fn one_of(argument: u8, width: Width, first: u64, last: u64) -> Vec<Condition> {
    let test = |relation| Condition::Test(Test { argument, width, relation });
    if last - first < 2 {
        return (first..=last).map(|value| test(Relation::Equal(value))).collect();
    }
    vec![Condition::All(vec![test(Relation::GreaterOrEqual(first)), test(Relation::LessOrEqual(last))])]
}

/// Every pair of alternatives, joined.
fn multiply(left: &[Alternative], right: &[Alternative]) -> Vec<Alternative> {
    left.iter()
        .flat_map(|first| right.iter().map(move |second| first.iter().chain(second).copied().collect()))
        .collect()
}

/// Tests of which one holds exactly where the test does not.
///
/// A negated mask has no test of its own, in seccompiler as in most: some bit of it must differ, which is one
/// test for each bit.
fn negate(test: Test) -> Vec<Test> {
    let with = |relation| Test { relation, ..test };
    match test.relation {
        Relation::Equal(value) => vec![with(Relation::NotEqual(value))],
        Relation::NotEqual(value) => vec![with(Relation::Equal(value))],
        Relation::Less(value) => vec![with(Relation::GreaterOrEqual(value))],
        Relation::LessOrEqual(value) => vec![with(Relation::Greater(value))],
        Relation::Greater(value) => vec![with(Relation::LessOrEqual(value))],
        Relation::GreaterOrEqual(value) => vec![with(Relation::Less(value))],
        Relation::Masked { mask, value } => (0..u64::BITS)
            .map(|bit| 1 << bit)
            .filter(|bit| mask & bit != 0)
            .map(|bit| with(Relation::Masked { mask: bit, value: !value & bit }))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Call;

    fn test(relation: Relation) -> Condition {
        Condition::Test(Test { argument: 0, width: Width::Bits64, relation })
    }

    fn with_argument(value: u64) -> Call {
        Call { number: 0, arch: 0, instruction_pointer: 0, arguments: [value, 0, 0, 0, 0, 0] }
    }

    #[test]
    fn always_is_one_alternative_without_tests_and_its_negation_none() {
        assert_eq!(alternatives(&Condition::Always), vec![Vec::new()]);
        assert!(alternatives(&Condition::Not(Box::new(Condition::Always))).is_empty());
    }

    #[test]
    fn a_negated_mask_becomes_a_test_for_each_of_its_bits() {
        let condition = Condition::Not(Box::new(test(Relation::Masked { mask: 0b101, value: 0b001 })));
        let found = alternatives(&condition);
        assert_eq!(found.len(), 2);
        for value in 0..8 {
            let holds = found.iter().any(|tests| tests.iter().all(|test| test.holds(&with_argument(value))));
            assert_eq!(holds, value & 0b101 != 0b001, "{value:#b}");
        }
    }

    #[test]
    fn count_says_how_many_alternatives_there_will_be() {
        let either = Condition::Any(vec![test(Relation::Equal(1)), test(Relation::Less(9))]);
        let condition =
            Condition::All(vec![either.clone(), Condition::Not(Box::new(either.clone())), either.clone()]);
        assert_eq!(count(&condition), alternatives(&condition).len());
        assert_eq!(count(&condition), 4);
    }

    #[test]
    fn neighbouring_values_are_one_alternative_and_others_one_each() {
        let values = [7, 4, 5, 6, 6, 9, u64::MAX, u64::MAX - 1, u64::MAX - 2, 0];
        let condition = Condition::Any(values.map(|value| test(Relation::Equal(value))).to_vec());
        let found = alternatives(&condition);
        assert_eq!(found.len(), 4, "4 to 7, 9, the three highest, 0: {found:?}");
        assert_eq!(count(&condition), 4);
        for value in (0..12).chain(u64::MAX - 4..=u64::MAX) {
            let holds = found.iter().any(|tests| tests.iter().all(|test| test.holds(&with_argument(value))));
            assert_eq!(holds, values.contains(&value), "{value:#x}");
        }
    }

    #[test]
    fn count_of_a_condition_that_explodes_stops_at_the_largest_number() {
        let either = Condition::Any((0..16).map(|value| test(Relation::Equal(2 * value))).collect());
        assert_eq!(count(&Condition::All(vec![either; 40])), usize::MAX);
    }
}
