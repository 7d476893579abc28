//! The fewest tests that tell the numbers of a map from call number to action apart.
//!
//! Neighbours with one action form a range. A tree over ranges is found by dynamic programming: an interval of
//! ranges is decided by up to three tests in a row where that is possible, else it is cut in two.

use std::collections::BTreeMap;

use crate::action::Action;
use crate::bpf::Comparison;

/// A decision over call numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Return(Action),
    Branch { comparison: Comparison, constant: u32, then: Box<Tree>, otherwise: Box<Tree> },
}

/// Numbers `first` to `last` that have one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    action: Action,
}

/// All call numbers, 0 to `u32::MAX`, as ranges in ascending order; neighbours differ in their action.
pub(super) struct Ranges(Vec<Range>);

impl Ranges {
    /// Numbers that the map does not hold have the action `otherwise`.
    pub(super) fn new(actions: &BTreeMap<u32, Action>, otherwise: Action) -> Self {
        let mut ranges = Vec::new();
        let mut next = Some(0);
        for (&number, &action) in actions {
            if let Some(first) = next.filter(|first| *first < number) {
                append(&mut ranges, Range { first, last: number - 1, action: otherwise });
            }
            append(&mut ranges, Range { first: number, last: number, action });
            next = number.checked_add(1);
        }
        if let Some(first) = next {
            append(&mut ranges, Range { first, last: u32::MAX, action: otherwise });
        }
        Self(ranges)
    }
}

/// Adds the range, or makes the last one longer where the action is the same.
fn append(ranges: &mut Vec<Range>, range: Range) {
    match ranges.last_mut() {
        Some(previous) if previous.action == range.action => previous.last = range.last,
        _ => ranges.push(range),
    }
}

/// The smallest tree; among those, one that is shallow.
pub(super) fn search(ranges: &Ranges) -> Tree {
    let ranges = &ranges.0;
    let count = ranges.len();
    let mut plans: Vec<Vec<Plan>> = Vec::with_capacity(count);
    // `plans[length - 1][first]` is for `length` ranges from `first`.
    for length in 1..=count {
        let row =
            (0..=count - length).map(|first| plan(&ranges[first..first + length], first, &plans)).collect();
        plans.push(row);
    }
    build(ranges, 0, count, &plans)
}

/// How an interval of ranges is decided, and at what cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    cost: Cost,
    /// How many ranges are left of the cut; `None` where tests in a row decide.
    cut: Option<usize>,
}

/// Compared by tests first, then by depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    tests: usize,
    depth: usize,
}

fn plan(ranges: &[Range], first: usize, shorter: &[Vec<Plan>]) -> Plan {
    if let Some(row) = TestsInARow::find(ranges) {
        let tests = row.singles.len() + usize::from(row.last.is_some());
        return Plan { cost: Cost { tests, depth: tests }, cut: None };
    }
    (1..ranges.len())
        .map(|cut| {
            let left = shorter[cut - 1][first].cost;
            let right = shorter[ranges.len() - cut - 1][first + cut].cost;
            let tests = left.tests + right.tests + 1;
            Plan { cost: Cost { tests, depth: left.depth.max(right.depth) + 1 }, cut: Some(cut) }
        })
        .min_by_key(|plan| plan.cost)
        .expect("one range alone is decided without a test, so there are at least two")
}

fn build(ranges: &[Range], first: usize, length: usize, plans: &[Vec<Plan>]) -> Tree {
    let interval = &ranges[first..first + length];
    let Some(cut) = plans[length - 1][first].cut else {
        return TestsInARow::find(interval).expect("planned so").into_tree();
    };
    Tree::Branch {
        comparison: Comparison::GreaterOrEqual,
        constant: ranges[first + cut].first,
        then: Box::new(build(ranges, first + cut, length - cut, plans)),
        otherwise: Box::new(build(ranges, first, cut, plans)),
    }
}

/// A few single numbers, then at most one test, then one action.
struct TestsInARow {
    singles: Vec<(u32, Action)>,
    last: Option<(SingleTest, Action)>,
    rest: Action,
}

impl TestsInARow {
    /// With one more test, three in a row: never deeper than cutting the same ranges in two, and fewer. Four
    /// could be deeper.
    const MAX_SINGLES: usize = 2;

    fn find(ranges: &[Range]) -> Option<Self> {
        Self::after_singles(Vec::new(), ranges).or_else(|| {
            let (singles, rest) = Self::take_singles(ranges);
            Self::after_singles(singles, &rest)
        })
    }

    /// Decides the ranges by one test at most, the single numbers being out of the way.
    fn after_singles(singles: Vec<(u32, Action)>, ranges: &[Range]) -> Option<Self> {
        let first = ranges.first()?.action;
        let Some(second) = ranges.iter().map(|range| range.action).find(|action| *action != first) else {
            return Some(Self { singles, last: None, rest: first });
        };
        if ranges.iter().any(|range| range.action != first && range.action != second) {
            return None;
        }
        [(second, first), (first, second)].into_iter().find_map(|(action, rest)| {
            let test = SingleTest::for_action(ranges, action)?;
            Some(Self { singles: singles.clone(), last: Some((test, action)), rest })
        })
    }

    /// Takes out single numbers between ranges of one action, which then become one.
    fn take_singles(ranges: &[Range]) -> (Vec<(u32, Action)>, Vec<Range>) {
        let mut singles = Vec::new();
        let mut rest: Vec<Range> = Vec::new();
        for (index, &range) in ranges.iter().enumerate() {
            let between = rest.last().zip(ranges.get(index + 1));
            if range.first == range.last
                && singles.len() < Self::MAX_SINGLES
                && between.is_some_and(|(before, after)| before.action == after.action)
            {
                singles.push((range.first, range.action));
            } else {
                append(&mut rest, range);
            }
        }
        (singles, rest)
    }

    fn into_tree(self) -> Tree {
        let rest = Tree::Return(self.rest);
        let tree = match self.last {
            None => rest,
            Some((test, action)) => test.into_branch(Tree::Return(action), rest),
        };
        self.singles.into_iter().rev().fold(tree, |otherwise, (number, action)| Tree::Branch {
            comparison: Comparison::Equal,
            constant: number,
            then: Box::new(Tree::Return(action)),
            otherwise: Box::new(otherwise),
        })
    }
}

/// One comparison with a constant.
struct SingleTest {
    comparison: Comparison,
    constant: u32,
}

impl SingleTest {
    /// The test that holds for the numbers of `action` among those of the ranges, and for no others.
    fn for_action(ranges: &[Range], action: Action) -> Option<Self> {
        match ranges {
            [_, right] if right.action == action => {
                Some(Self { comparison: Comparison::GreaterOrEqual, constant: right.first })
            }
            [_, middle, _] if middle.action == action && middle.first == middle.last => {
                Some(Self { comparison: Comparison::Equal, constant: middle.first })
            }
            _ => Self::for_bits(ranges, action),
        }
    }

    /// A test for any of some bits: none of them may occur in the numbers of the other action, so the widest
    /// choice is every bit that does not, and if that one fails each fails.
    fn for_bits(ranges: &[Range], action: Action) -> Option<Self> {
        let without = |range: &&Range| range.action != action;
        let mask =
            !ranges.iter().filter(without).fold(0, |bits, range| bits | bits_of_any(range.first, range.last));
        let all_have_one = ranges
            .iter()
            .filter(|range| !without(range))
            .all(|range| first_without(range.first, mask).is_none_or(|number| number > range.last));
        all_have_one.then_some(Self { comparison: Comparison::AnyBit, constant: mask })
    }

    fn into_branch(self, then: Tree, otherwise: Tree) -> Tree {
        Tree::Branch {
            comparison: self.comparison,
            constant: self.constant,
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        }
    }
}

/// The bits that are set in at least one of the numbers `first` to `last`.
const fn bits_of_any(first: u32, last: u32) -> u32 {
    // Below the highest bit in which the ends differ, a number between them has each bit.
    let differ = first ^ last;
    let below = if differ == 0 { 0 } else { u32::MAX >> differ.leading_zeros() };
    last | below
}

/// The lowest number from `from` on that has no bit of the mask; `None` where there is none.
fn first_without(from: u32, mask: u32) -> Option<u32> {
    let mut number = from;
    while number & mask != 0 {
        // The highest forbidden bit goes away only by a carry through it, which clears all below.
        let through = u32::MAX >> (number & mask).leading_zeros();
        number = (number | through).checked_add(1)?;
    }
    Some(number)
}
