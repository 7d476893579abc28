//! What becomes of each call number: the part of the program that its calls come to.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::Weights;
use super::argument::Planner;
use super::function::{Function, FunctionId, Functions, TooComplicated};
use super::sample::{Sample, allowed};
use super::word::Asked;
use crate::action::Action;
use crate::compile::graph::{Graph, Node, NodeId};
use crate::compile::search::{Goal, Ranges};
use crate::language::{Policy, Rule};
use crate::prove::Space;

/// Call numbers and what they come to.
pub(super) struct Calls {
    /// What a number can come to, each once.
    pub(super) outcomes: Vec<NodeId>,
    /// For each number of the policy, the place of its outcome and how often the program runs for it.
    pub(super) numbers: BTreeMap<u32, (usize, f64)>,
    /// The outcome of every other number.
    pub(super) otherwise: usize,
    /// Numbers that have an outcome of their own without being a policy's: [`Policy::beyond`].
    pub(super) beyond: Option<(RangeInclusive<u32>, usize)>,
}

/// Numbers that decide alike.
#[derive(Default)]
struct Alike {
    numbers: Vec<(u32, f64)>,
    asked: Asked,
    samples: Vec<Sample>,
}

/// Plans the part of every call that the policy speaks of.
///
/// # Errors
/// [`TooComplicated`]
pub(super) fn plan(
    policy: &Policy,
    weights: &Weights,
    graph: &mut Graph,
    goal: Goal,
) -> Result<Calls, TooComplicated> {
    let mut functions = Functions::default();
    let alike = by_function(policy, weights, &mut functions);
    let otherwise = graph.add(Node::Return(policy.otherwise));
    let mut calls = Calls { outcomes: vec![otherwise], numbers: BTreeMap::new(), otherwise: 0, beyond: None };
    if let Some(numbers) = policy.beyond() {
        let killed = graph.add(Node::Return(Action::KillProcess));
        calls.beyond = Some((numbers, calls.outcome(killed)));
    }
    for (function, Alike { numbers, asked, samples }) in alike {
        let part = Planner::new(&mut functions, graph, &asked, &samples, goal).plan(function)?;
        let outcome = calls.outcome(part.node);
        calls.numbers.extend(numbers.into_iter().map(|(number, weight)| (number, (outcome, weight))));
    }
    Ok(calls)
}

impl Calls {
    /// Every number, those of one outcome side by side as a range.
    pub(super) fn ranges(&self) -> Ranges {
        let ranges = Ranges::from_values(&self.numbers, self.otherwise);
        match &self.beyond {
            Some((numbers, outcome)) => ranges.with(*numbers.start(), *numbers.end(), *outcome),
            None => ranges,
        }
    }

    fn outcome(&mut self, node: NodeId) -> usize {
        self.outcomes.iter().position(|known| *known == node).unwrap_or_else(|| {
            self.outcomes.push(node);
            self.outcomes.len() - 1
        })
    }
}

/// The policy's calls by what is decided of them; their weights come to one in all.
fn by_function(policy: &Policy, weights: &Weights, functions: &mut Functions) -> BTreeMap<FunctionId, Alike> {
    let space = Space::new();
    let mut alike: BTreeMap<FunctionId, Alike> = BTreeMap::new();
    let rules = policy.rules_by_number();
    let reduced: Vec<_> = rules
        .values()
        .map(|rules| functions.add(Function::new(&space, rules.iter().copied(), policy.otherwise)))
        .collect();
    let weigh = |(rules, function): (&Vec<&Rule>, &FunctionId)| {
        weights.of(rules[0].call, functions.constant(*function))
    };
    let weighed: Vec<f64> = rules.values().zip(&reduced).map(weigh).collect();
    let all: f64 = weighed.iter().sum();
    for (((number, rules), function), weight) in rules.iter().zip(reduced).zip(weighed) {
        let weight = weight / all;
        let entry = alike.entry(function).or_default();
        entry.numbers.push((*number, weight));
        if functions.constant(function).is_none() {
            for rule in rules {
                entry.asked.add(&rule.condition);
            }
            entry.samples.extend(samples(policy, rules, weights, weight));
        }
    }
    alike
}

/// The alternatives of a call.
fn samples(policy: &Policy, rules: &[&Rule], weights: &Weights, weight: f64) -> Vec<Sample> {
    let allowed = allowed(policy, rules.iter().copied());
    let shares = weights.divide(weight, allowed.len());
    allowed.into_iter().zip(shares).map(|(arguments, weight)| Sample { arguments, weight }).collect()
}
