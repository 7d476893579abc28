//! Ranges that a few tests in a row decide.

use super::bits::SingleTest;
use super::plan::Cost;
use super::range::append;
use super::{Range, Tree};
use crate::bpf::Comparison;

/// A few single values, then at most one test, then one outcome.
pub(super) struct TestsInARow {
    singles: Vec<Range>,
    last: Option<(SingleTest, usize)>,
    rest: usize,
}

impl TestsInARow {
    /// With one more test, three in a row: never deeper than cutting the same ranges in two, and fewer. Four
    /// could be deeper.
    const MAX_SINGLES: usize = 2;

    /// `bits`: whether bits may be tested, which needs to know every value that can come.
    pub(super) fn find(ranges: &[Range], bits: bool) -> Option<Self> {
        Self::after_singles(Vec::new(), ranges, bits).or_else(|| {
            let (singles, rest) = Self::take_singles(ranges);
            Self::after_singles(singles, &rest, bits)
        })
    }

    /// Decides the ranges by one test at most, the single values being out of the way.
    fn after_singles(singles: Vec<Range>, ranges: &[Range], bits: bool) -> Option<Self> {
        let first = ranges.first()?.outcome;
        let Some(second) = ranges.iter().map(|range| range.outcome).find(|outcome| *outcome != first) else {
            return Some(Self { singles, last: None, rest: first });
        };
        if ranges.iter().any(|range| range.outcome != first && range.outcome != second) {
            return None;
        }
        [(second, first), (first, second)].into_iter().find_map(|(outcome, rest)| {
            let test = SingleTest::for_outcome(ranges, outcome, bits)?;
            Some(Self { singles: singles.clone(), last: Some((test, outcome)), rest })
        })
    }

    /// Takes out single values between ranges of one outcome, which then become one; the most frequent first.
    fn take_singles(ranges: &[Range]) -> (Vec<Range>, Vec<Range>) {
        let mut singles = Vec::new();
        let mut rest: Vec<Range> = Vec::new();
        for (index, &range) in ranges.iter().enumerate() {
            let between = rest.last().zip(ranges.get(index + 1));
            if range.first == range.last
                && singles.len() < Self::MAX_SINGLES
                && between.is_some_and(|(before, after)| before.outcome == after.outcome)
            {
                singles.push(range);
            } else {
                append(&mut rest, range);
            }
        }
        singles.sort_by(|left, right| right.weight.total_cmp(&left.weight));
        (singles, rest)
    }

    /// What the row costs in all; `weight` is that of all its ranges, `depths` those of the outcomes.
    pub(super) fn cost(&self, weight: f64, depths: &[usize]) -> Cost {
        let mut cost = Cost { weighted: 0.0, tests: 0, depth: 0 };
        let mut left = weight;
        for single in &self.singles {
            cost.tests += 1;
            cost.weighted += left;
            cost.depth = cost.depth.max(cost.tests + depths[single.outcome]);
            left -= single.weight;
        }
        if let Some((_, outcome)) = self.last {
            cost.tests += 1;
            cost.weighted += left;
            cost.depth = cost.depth.max(cost.tests + depths[outcome]);
        }
        cost.depth = cost.depth.max(cost.tests + depths[self.rest]);
        cost
    }

    pub(super) fn into_tree(self) -> Tree {
        let rest = Tree::Leaf(self.rest);
        let tree = match self.last {
            None => rest,
            Some((test, outcome)) => Tree::branch(test.comparison, test.constant, Tree::Leaf(outcome), rest),
        };
        self.singles.into_iter().rev().fold(tree, |otherwise, single| {
            Tree::branch(Comparison::Equal, single.first, Tree::Leaf(single.outcome), otherwise)
        })
    }
}
