//! The cheapest tree over ranges, by dynamic programming over intervals of them.

use super::row::TestsInARow;
use super::{Range, Ranges, Tree};
use crate::bpf::Comparison;

/// Longer intervals are cut near their middle and near the middle of their weight alone, so that 400 scattered
/// values take no longer than a moment.
const CUT_EVERYWHERE: usize = 24;

/// More ranges than these are cut in the middle until there are fewer, so that a hostile policy takes no longer either:
/// the table of plans is quadratic.
const TOGETHER: usize = 600;

/// How far from those middles.
const CUT_AROUND: usize = 8;

/// Longer intervals are hardly decided by tests in a row, so it is not tried.
const LONGEST_ROW: usize = 64;

/// Two single values, each between two ranges, and three ranges that equality tells apart.
const LONGEST_ROW_WITHOUT_BITS: usize = 7;

/// What a search is for: what it takes for cheap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::compile) struct Goal {
    /// What a test in the program costs, in units of an instruction executed with weight 1.
    pub(in crate::compile) test: f64,
    /// What an instruction more on the longest path costs.
    pub(in crate::compile) depth: f64,
}

/// What a tree costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::compile) struct Cost {
    /// Tests executed, weighted.
    pub(in crate::compile) weighted: f64,
    /// Tests in the tree.
    pub(in crate::compile) tests: usize,
    /// The longest path: its tests and the depth of the outcome at its end.
    pub(in crate::compile) depth: usize,
}

impl Cost {
    #[expect(clippy::cast_precision_loss, reason = "programs have thousands of instructions")]
    pub(in crate::compile) fn total(self, goal: Goal) -> f64 {
        self.weighted + goal.test * self.tests as f64 + goal.depth * self.depth as f64
    }

    /// A test, executed with this weight, in front of two trees.
    fn before(weight: f64, then: Self, otherwise: Self) -> Self {
        Self {
            weighted: weight + then.weighted + otherwise.weighted,
            tests: 1 + then.tests + otherwise.tests,
            depth: 1 + then.depth.max(otherwise.depth),
        }
    }
}

/// A tree and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::compile) struct Found {
    pub(in crate::compile) tree: Tree,
    pub(in crate::compile) cost: Cost,
}

/// What is to be told apart.
#[derive(Clone, Copy)]
pub(in crate::compile) struct Problem<'a> {
    pub(in crate::compile) ranges: &'a Ranges,
    /// For each outcome, the longest path behind it.
    pub(in crate::compile) depths: &'a [usize],
    pub(in crate::compile) goal: Goal,
}

impl Problem<'_> {
    /// The cheapest tree.
    pub(in crate::compile) fn solve(self) -> Found {
        self.solve_part(self.ranges.as_slice())
    }

    fn solve_part(self, ranges: &[Range]) -> Found {
        if ranges.len() <= TOGETHER {
            return Table::fill(self, ranges).found();
        }
        let (below, above) = ranges.split_at(ranges.len() / 2);
        let constant = above[0].first;
        let (below, above) = (self.solve_part(below), self.solve_part(above));
        let weight = ranges.iter().map(|range| range.weight).sum();
        Found {
            tree: Tree::branch(Comparison::GreaterOrEqual, constant, above.tree, below.tree),
            cost: Cost::before(weight, above.cost, below.cost),
        }
    }
}

/// How an interval of ranges is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// By tests in a row.
    Row,
    /// Cut in two, with so many ranges left of the cut.
    Cut(usize),
    /// The second range is one value, and those beside it have one outcome: it is tested for.
    Second,
    /// The same for the last but one.
    LastButOne,
    /// This range is one value: it is tested for, then what is beside it is cut apart.
    Single(usize),
}

/// What may be asked of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tests {
    /// Anything.
    All,
    /// Nothing about bits: values from beyond the interval come here as well, those that lie on the far side of a
    /// value taken out before. They are as one of the interval's own ranges in every comparison, not in their bits.
    Comparisons,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    cost: Cost,
    choice: Choice,
}

/// The plan for each interval.
struct Table<'a> {
    problem: Problem<'a>,
    ranges: &'a [Range],
    /// Weight of all ranges before each.
    before: Vec<f64>,
    /// `plans[length - 1][first]` is for `length` ranges from `first`.
    plans: Vec<Vec<[Plan; 2]>>,
}

impl<'a> Table<'a> {
    fn fill(problem: Problem<'a>, ranges: &'a [Range]) -> Self {
        let mut before = vec![0.0];
        for range in ranges {
            before.push(before[before.len() - 1] + range.weight);
        }
        let mut table = Self { problem, ranges, before, plans: Vec::with_capacity(ranges.len()) };
        for length in 1..=ranges.len() {
            let row = (0..=ranges.len() - length)
                .map(|first| [Tests::All, Tests::Comparisons].map(|tests| table.best(first, length, tests)))
                .collect();
            table.plans.push(row);
        }
        table
    }

    /// The plan for all ranges.
    fn found(&self) -> Found {
        let all = self.ranges.len();
        Found { tree: self.tree(0, all, Tests::All), cost: self.plan(0, all, Tests::All).cost }
    }

    fn plan(&self, first: usize, length: usize, tests: Tests) -> Plan {
        self.plans[length - 1][first][tests as usize]
    }

    fn weight(&self, first: usize, length: usize) -> f64 {
        self.before[first + length] - self.before[first]
    }

    fn leaf(&self, range: usize) -> Cost {
        Cost { weighted: 0.0, tests: 0, depth: self.problem.depths[self.ranges[range].outcome] }
    }

    fn best(&self, first: usize, length: usize, tests: Tests) -> Plan {
        let mut best = self.row(first, length, tests);
        let mut total = best.map_or(f64::INFINITY, |plan| plan.cost.total(self.problem.goal));
        if length > 1 {
            self.for_each_choice(first, length, |choice| {
                let cost = self.cost(first, length, choice, tests);
                let this = cost.total(self.problem.goal);
                if this < total {
                    (best, total) = (Some(Plan { cost, choice }), this);
                }
            });
        }
        best.expect("one range is a row, more can be cut")
    }

    fn row(&self, first: usize, length: usize, tests: Tests) -> Option<Plan> {
        let longest = if tests == Tests::All { LONGEST_ROW } else { LONGEST_ROW_WITHOUT_BITS };
        if length > longest {
            return None;
        }
        let row = TestsInARow::find(&self.ranges[first..first + length], tests == Tests::All)?;
        let cost = row.cost(self.weight(first, length), self.problem.depths);
        Some(Plan { cost, choice: Choice::Row })
    }

    /// Everything that may come first, but for a row.
    fn for_each_choice(&self, first: usize, length: usize, mut consider: impl FnMut(Choice)) {
        let is_single = |index: usize| self.ranges[index].first == self.ranges[index].last;
        let alike = |one: usize, other: usize| self.ranges[one].outcome == self.ranges[other].outcome;
        let last = first + length - 1;
        if length > 2 && is_single(first + 1) && alike(first, first + 2) {
            consider(Choice::Second);
        }
        if length > 2 && is_single(last - 1) && alike(last - 2, last) {
            consider(Choice::LastButOne);
        }
        let middles = self.middles(first, length);
        for cut in 1..length {
            if length > CUT_EVERYWHERE && middles.iter().all(|middle| cut.abs_diff(*middle) > CUT_AROUND) {
                continue;
            }
            consider(Choice::Cut(cut));
            if cut + 1 < length && is_single(first + cut) && self.ranges[first + cut].weight > 0.0 {
                consider(Choice::Single(cut));
            }
        }
    }

    /// The middle of an interval, and that of its weight.
    fn middles(&self, first: usize, length: usize) -> [usize; 2] {
        let half = self.before[first] + self.weight(first, length) / 2.0;
        let by_weight = self.before.partition_point(|before| *before < half).saturating_sub(first);
        [length / 2, by_weight]
    }

    fn cost(&self, first: usize, length: usize, choice: Choice, tests: Tests) -> Cost {
        let weight = self.weight(first, length);
        let part = |first, length| self.plan(first, length, tests).cost;
        let rest = |first, length| self.plan(first, length, Tests::Comparisons).cost;
        let last = first + length - 1;
        match choice {
            Choice::Row => unreachable!("a row has its own cost"),
            Choice::Cut(cut) => Cost::before(weight, part(first + cut, length - cut), part(first, cut)),
            Choice::Second => self.past(weight, first, first + 1, rest(first + 2, length - 2)),
            Choice::LastButOne => self.past(weight, last, last - 1, rest(first, length - 2)),
            Choice::Single(at) => {
                let rest = weight - self.ranges[first + at].weight;
                let apart = Cost::before(rest, part(first + at + 1, length - at - 1), part(first, at));
                Cost::before(weight, self.leaf(first + at), apart)
            }
        }
    }

    /// A test for a single value; the range on its far side is decided with the rest, by the same tests.
    fn past(&self, weight: f64, beyond: usize, single: usize, rest: Cost) -> Cost {
        // How many tests the range beyond comes to is not known here; it is one of the many that are refused.
        let unseen = Cost { weighted: rest.weighted + self.ranges[beyond].weight, ..rest };
        Cost::before(weight, self.leaf(single), unseen)
    }

    fn tree(&self, first: usize, length: usize, tests: Tests) -> Tree {
        let last = first + length - 1;
        let single = |at: usize, otherwise: Tree| {
            let Range { first, outcome, .. } = self.ranges[at];
            Tree::branch(Comparison::Equal, first, Tree::Leaf(outcome), otherwise)
        };
        let cut = |right: usize, left_length: usize| {
            let (left, right_tree) =
                (self.tree(first, left_length, tests), self.tree(right, last + 1 - right, tests));
            Tree::branch(Comparison::GreaterOrEqual, self.ranges[right].first, right_tree, left)
        };
        match self.plan(first, length, tests).choice {
            Choice::Row => {
                let row = TestsInARow::find(&self.ranges[first..=last], tests == Tests::All);
                row.expect("planned so").into_tree()
            }
            Choice::Cut(at) => cut(first + at, at),
            Choice::Second => single(first + 1, self.tree(first + 2, length - 2, Tests::Comparisons)),
            Choice::LastButOne => single(last - 1, self.tree(first, length - 2, Tests::Comparisons)),
            Choice::Single(at) => single(first + at, cut(first + at + 1, at)),
        }
    }
}
