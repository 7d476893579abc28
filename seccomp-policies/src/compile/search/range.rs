//! The values of a word as ranges of one outcome.

use std::collections::BTreeMap;

/// Values `first` to `last` that have one outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::compile) struct Range {
    pub(in crate::compile) first: u32,
    pub(in crate::compile) last: u32,
    /// Index of the outcome.
    pub(in crate::compile) outcome: usize,
    /// How often the word has one of these values.
    pub(in crate::compile) weight: f64,
}

/// All values of a word, 0 to `u32::MAX`, as ranges in ascending order; neighbours differ in their outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::compile) struct Ranges(Vec<Range>);

impl Ranges {
    /// Outcome and weight of single values; all others have the outcome `otherwise` and no weight.
    pub(in crate::compile) fn from_values(values: &BTreeMap<u32, (usize, f64)>, otherwise: usize) -> Self {
        let mut ranges = Self::default();
        let mut next = Some(0);
        for (&value, &(outcome, weight)) in values {
            if let Some(first) = next.filter(|first| *first < value) {
                ranges.push(Range { first, last: value - 1, outcome: otherwise, weight: 0.0 });
            }
            ranges.push(Range { first: value, last: value, outcome, weight });
            next = value.checked_add(1);
        }
        if let Some(first) = next {
            ranges.push(Range { first, last: u32::MAX, outcome: otherwise, weight: 0.0 });
        }
        ranges
    }

    /// The same with another outcome for the values `first` to `last`, which have no weight.
    pub(in crate::compile) fn with(&self, first: u32, last: u32, outcome: usize) -> Self {
        let below = self.0.iter().filter(|range| range.first < first);
        let below = below.map(|range| Range { last: range.last.min(first - 1), ..*range });
        let above = self.0.iter().filter(|range| range.last > last);
        let above = above.map(|range| Range { first: range.first.max(last + 1), ..*range });
        let mut ranges = Self::default();
        for range in below.chain([Range { first, last, outcome, weight: 0.0 }]).chain(above) {
            ranges.push(range);
        }
        ranges
    }

    /// Adds a range, or makes the last one longer where the outcome is the same.
    pub(in crate::compile) fn push(&mut self, range: Range) {
        append(&mut self.0, range);
    }

    /// The ranges, ascending.
    pub(in crate::compile) fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// The same with a range of one value given to a neighbour, which is right where that value was tested before: the
    /// one below, unless that is a single value and would then need two tests instead of one.
    pub(in crate::compile) fn without(&self, value: u32) -> Self {
        let is_single = |range: &Range| range.first == range.last;
        let Some(at) = self.0.iter().position(|range| range.first == value && is_single(range)) else {
            return self.clone();
        };
        let mut rest = self.0.clone();
        rest.remove(at);
        let (below, above) = (at.checked_sub(1), (at < rest.len()).then_some(at));
        match (below, above) {
            (Some(below), above) if above.is_none() || !is_single(&rest[below]) => rest[below].last = value,
            (_, Some(above)) => rest[above].first = value,
            _ => return self.clone(),
        }
        let mut joined = Self::default();
        for range in rest {
            joined.push(range);
        }
        joined
    }
}

/// Adds the range, or makes the last one longer where the outcome is the same.
pub(super) fn append(ranges: &mut Vec<Range>, range: Range) {
    match ranges.last_mut() {
        Some(previous) if previous.outcome == range.outcome => {
            previous.last = range.last;
            previous.weight += range.weight;
        }
        _ => ranges.push(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(ranges: &Ranges) -> Vec<(u32, u32, usize)> {
        ranges.as_slice().iter().map(|range| (range.first, range.last, range.outcome)).collect()
    }

    #[test]
    fn values_become_ranges_from_the_first_to_the_last_there_is() {
        let values = [(0, (1, 1.0)), (1, (1, 1.0)), (3, (0, 1.0)), (u32::MAX, (2, 1.0))].into();
        let ranges = Ranges::from_values(&values, 0);
        assert_eq!(bounds(&ranges), [(0, 1, 1), (2, u32::MAX - 1, 0), (u32::MAX, u32::MAX, 2)]);
        assert_eq!(ranges.as_slice()[0].weight.to_bits(), 2.0_f64.to_bits());
    }

    #[test]
    fn values_with_another_outcome_are_a_range_of_their_own() {
        let ranges = Ranges::from_values(&[(5, (1, 1.0))].into(), 0);
        assert_eq!(
            bounds(&ranges.with(8, 9, 2)),
            [(0, 4, 0), (5, 5, 1), (6, 7, 0), (8, 9, 2), (10, u32::MAX, 0)]
        );
        assert_eq!(bounds(&ranges.with(6, u32::MAX, 2)), [(0, 4, 0), (5, 5, 1), (6, u32::MAX, 2)]);
        assert_eq!(bounds(&ranges.with(0, 4, 1)), [(0, 5, 1), (6, u32::MAX, 0)]);
    }

    #[test]
    fn a_value_taken_out_lets_its_neighbours_become_one() {
        let values = [(0, (1, 1.0)), (5, (2, 1.0))].into();
        let ranges = Ranges::from_values(&values, 0);
        assert_eq!(bounds(&ranges.without(5)), [(0, 0, 1), (1, u32::MAX, 0)]);
        assert_eq!(bounds(&ranges.without(0)), [(0, 4, 0), (5, 5, 2), (6, u32::MAX, 0)]);
        assert_eq!(bounds(&ranges.without(1)), bounds(&ranges), "no range of its own");
    }

    #[test]
    fn a_value_taken_out_beside_a_single_one_leaves_it_single() {
        let values = [(4, (1, 1.0)), (5, (2, 1.0)), (9, (3, 1.0)), (10, (1, 1.0))].into();
        let ranges = Ranges::from_values(&values, 0);
        let rest = bounds(&ranges.without(5));
        assert_eq!(rest, [(0, 3, 0), (4, 4, 1), (5, 8, 0), (9, 9, 3), (10, 10, 1), (11, u32::MAX, 0)]);
    }
}
