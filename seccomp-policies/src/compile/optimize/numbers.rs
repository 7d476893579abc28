//! The search for a call's number.

use super::calls::Calls;
use crate::bpf::Comparison;
use crate::compile::graph::{Graph, Node, NodeId};
use crate::compile::search::{Cost, Goal, Problem, Ranges, Tree};

/// How many numbers at most are tested for before the search begins.
const MAX_FIRST: usize = 4;

/// Each of them makes this part of all calls at least: a test in front costs every other call one instruction, and saves
/// this one the depth of a search, which is ten tests at most.
const FREQUENT: f64 = 0.1;

/// What an instruction more on the longest path costs, where the goal's own price leaves it too long.
const DEARER: [f64; 3] = [0.25, 2.0, 1e6];

/// The node that tells the numbers apart, the number being loaded: the most frequent by equality where that pays, the
/// others by a search.
pub(super) fn search(graph: &mut Graph, calls: &Calls, goal: Goal) -> NodeId {
    let ranges = calls.ranges();
    let depths: Vec<usize> = calls.outcomes.iter().map(|node| graph.depth(*node)).collect();
    let best = best(&ranges, &depths, goal);
    let rest = graph.add_tree(&best.rest, &calls.outcomes);
    best.first.iter().rev().fold(rest, |otherwise, &(constant, outcome)| {
        let then = calls.outcomes[outcome];
        graph.add(Node::Branch { comparison: Comparison::Equal, constant, then, otherwise })
    })
}

/// The cheapest plan whose longest path is no longer than a search by halves needs; where there is none, the shallowest.
fn best(ranges: &Ranges, depths: &[usize], goal: Goal) -> Plan {
    let prices = [goal.depth].into_iter().chain(DEARER);
    let mut shallowest: Option<Plan> = None;
    for goal in prices.map(|depth| Goal { depth, ..goal }) {
        let plan = cheapest(ranges, depths, goal);
        if plan.cost.depth <= limit(ranges, depths) {
            return plan;
        }
        if shallowest.as_ref().is_none_or(|known| plan.cost.depth < known.cost.depth) {
            shallowest = Some(plan);
        }
    }
    shallowest.expect("several were made")
}

/// The deepest outcome behind a test for each but one of the bits that number the ranges: a test for equality tells three
/// of them apart.
fn limit(ranges: &Ranges, depths: &[usize]) -> usize {
    let bits = ranges.as_slice().len().next_power_of_two().trailing_zeros() as usize;
    (bits + depths.iter().max().copied().unwrap_or(0)).saturating_sub(1)
}

fn cheapest(ranges: &Ranges, depths: &[usize], goal: Goal) -> Plan {
    let frequent = frequent(ranges);
    let plans = (0..=frequent.len()).map(|count| Plan::new(ranges, &frequent[..count], depths, goal));
    let total = |plan: &Plan| plan.cost.total(goal);
    plans.min_by(|left, right| total(left).total_cmp(&total(right))).expect("one has no first tests")
}

/// The most frequent numbers that are no part of a longer range: number, outcome and weight.
fn frequent(ranges: &Ranges) -> Vec<(u32, usize, f64)> {
    let singles =
        ranges.as_slice().iter().filter(|range| range.first == range.last && range.weight >= FREQUENT);
    let mut singles: Vec<_> = singles.map(|range| (range.first, range.outcome, range.weight)).collect();
    singles.sort_by(|left, right| right.2.total_cmp(&left.2));
    singles.truncate(MAX_FIRST);
    singles
}

/// A few equality tests, then a search.
struct Plan {
    first: Vec<(u32, usize)>,
    rest: Tree,
    cost: Cost,
}

impl Plan {
    fn new(ranges: &Ranges, first: &[(u32, usize, f64)], depths: &[usize], goal: Goal) -> Self {
        let mut weight: f64 = ranges.as_slice().iter().map(|range| range.weight).sum();
        let mut cost = Cost { weighted: 0.0, tests: first.len(), depth: 0 };
        let mut rest = ranges.clone();
        for (tests, (number, outcome, its_weight)) in first.iter().enumerate() {
            cost.weighted += weight;
            cost.depth = cost.depth.max(tests + 1 + depths[*outcome]);
            weight -= its_weight;
            rest = rest.without(*number);
        }
        let found = Problem { ranges: &rest, depths, goal }.solve();
        cost.weighted += found.cost.weighted;
        cost.tests += found.cost.tests;
        cost.depth = cost.depth.max(first.len() + found.cost.depth);
        let first = first.iter().map(|(number, outcome, _)| (*number, *outcome)).collect();
        Self { first, rest: found.tree, cost }
    }
}
