//! The argument part of a call: loads and tests of its words, in the order that costs least.

use std::collections::HashMap;
use std::rc::Rc;

use super::function::{FunctionId, Functions, TooComplicated};
use super::sample::Sample;
use super::sets;
use super::split::{Split, Values};
use super::word::{Asked, Word};
use crate::compile::graph::{Graph, Node, NodeId};
use crate::compile::search::{Cost, Goal, Problem, Tree};

/// Of functions of more words than these, or once so many functions have come up, the order is not searched for: the
/// word that leaves the fewest cases comes next.
const SEARCHED_WORDS: usize = 4;
const SEARCHED_FUNCTIONS: usize = 4000;

/// Once functions were asked so often what is left of them, the words are taken as they come.
const SEARCHED_QUESTIONS: usize = 1 << 14;

/// What decides a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) node: NodeId,
    /// Instructions executed by the samples that come here, weighted; the return is among them.
    pub(super) weighted: f64,
    /// About how many instructions it comes to, its returns left out.
    size: usize,
}

/// Plans the argument part of one call, or of several that decide alike.
pub(super) struct Planner<'a> {
    pub(super) functions: &'a mut Functions,
    pub(super) graph: &'a mut Graph,
    pub(super) asked: &'a Asked,
    pub(super) samples: &'a [Sample],
    pub(super) goal: Goal,
    parts: HashMap<(FunctionId, Vec<usize>), Part>,
}

/// How the values of a word are told apart.
enum Test {
    Tree(Tree),
    Sets(Rc<sets::Planned>),
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        functions: &'a mut Functions,
        graph: &'a mut Graph,
        asked: &'a Asked,
        samples: &'a [Sample],
        goal: Goal,
    ) -> Self {
        Self { functions, graph, asked, samples, goal, parts: HashMap::new() }
    }

    /// The cheapest part for the function, all samples coming to it.
    ///
    /// # Errors
    /// [`TooComplicated`]
    pub(super) fn plan(&mut self, function: FunctionId) -> Result<Part, TooComplicated> {
        self.part(function, (0..self.samples.len()).collect())
    }

    fn part(&mut self, function: FunctionId, samples: Vec<usize>) -> Result<Part, TooComplicated> {
        if let Some(action) = self.functions.constant(function) {
            let node = self.graph.add(Node::Return(action));
            return Ok(Part { node, weighted: self.weight(&samples), size: 0 });
        }
        let key = (function, samples);
        if let Some(part) = self.parts.get(&key) {
            return Ok(*part);
        }
        let words = self.words(function, &key.1)?;
        let parts: Vec<Part> = words
            .into_iter()
            .map(|word| self.beginning_with(word, function, &key.1))
            .collect::<Result<_, _>>()?;
        let total = |part: &Part| self.total(*part);
        let best = parts.into_iter().min_by(|left, right| total(left).total_cmp(&total(right)));
        let best = best.expect("a function that is not constant depends on a word");
        self.parts.insert(key, best);
        Ok(best)
    }

    /// The words that may come first.
    fn words(&mut self, function: FunctionId, samples: &[usize]) -> Result<Vec<Word>, TooComplicated> {
        let words: Vec<Word> = self.functions.words(function).iter().copied().collect();
        let is_searched =
            self.functions.len() < SEARCHED_FUNCTIONS && self.functions.questions() < SEARCHED_QUESTIONS;
        if words.len() <= SEARCHED_WORDS && is_searched {
            return Ok(words);
        }
        if self.functions.questions() >= SEARCHED_QUESTIONS {
            return Ok(words.into_iter().take(1).collect());
        }
        let cases = |word| Ok((self.split(function, word, samples)?.rest.len(), word));
        let counted: Vec<(usize, Word)> = words.into_iter().map(cases).collect::<Result<_, _>>()?;
        Ok(counted.into_iter().min().map(|(_, word)| word).into_iter().collect())
    }

    fn split(
        &mut self,
        function: FunctionId,
        word: Word,
        samples: &[usize],
    ) -> Result<Split, TooComplicated> {
        Split::new(self.functions, function, word, &self.asked.of(word), (self.samples, samples))
    }

    fn beginning_with(
        &mut self,
        word: Word,
        function: FunctionId,
        samples: &[usize],
    ) -> Result<Part, TooComplicated> {
        let split = self.split(function, word, samples)?;
        let parts: Vec<Part> = split
            .rest
            .iter()
            .zip(split.samples)
            .map(|(rest, samples)| self.part(*rest, samples))
            .collect::<Result<_, _>>()?;
        let nodes: Vec<NodeId> = parts.iter().map(|part| part.node).collect();
        let depths: Vec<usize> = nodes.iter().map(|node| self.graph.depth(*node)).collect();
        let (test, cost) = self.test(&split.values, &depths);
        let next = match test {
            Test::Tree(tree) => self.graph.add_tree(&tree, &nodes),
            Test::Sets(steps) => steps.add_to(self.graph, word.offset(), &nodes),
        };
        let mut distinct = parts.clone();
        distinct.sort_by_key(|part| part.node);
        distinct.dedup_by_key(|part| part.node);
        Ok(Part {
            node: self.graph.add(Node::Load { offset: word.offset(), next }),
            weighted: self.weight(samples)
                + cost.weighted
                + parts.iter().map(|part| part.weighted).sum::<f64>(),
            size: 1 + cost.tests + distinct.iter().map(|part| part.size).sum::<usize>(),
        })
    }

    fn test(&self, values: &Values, depths: &[usize]) -> (Test, Cost) {
        match values {
            Values::Ranges(ranges) => {
                let found = Problem { ranges, depths, goal: self.goal }.solve();
                (Test::Tree(found.tree), found.cost)
            }
            Values::Sets(sets) => {
                let planned = sets::Search::new(sets, depths, self.goal).solve();
                let cost = planned.cost;
                (Test::Sets(planned), cost)
            }
        }
    }

    fn weight(&self, samples: &[usize]) -> f64 {
        samples.iter().map(|sample| self.samples[*sample].weight).sum()
    }

    fn total(&self, part: Part) -> f64 {
        let Part { node, weighted, size } = part;
        Cost { weighted, tests: size, depth: self.graph.depth(node) }.total(self.goal)
    }
}
