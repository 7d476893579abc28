//! A search over the values of a word that are told apart by masks.

use std::collections::HashMap;
use std::rc::Rc;

use super::word::Masked;
use crate::bpf::Comparison;
use crate::compile::graph::{Graph, Node, NodeId};
use crate::compile::search::{Cost, Goal};

/// Of more classes than these, the test that divides them best is taken without trying the others.
const TRY_ALL: usize = 12;

/// Values of a word that nothing tells apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Class {
    /// Which of the ranges it lies in, ascending.
    pub(super) range: usize,
    /// The range's first value.
    pub(super) first: u32,
    /// The range's last value.
    pub(super) last: u32,
    /// For each mask, whether it holds.
    pub(super) truths: Vec<bool>,
    pub(super) outcome: usize,
    pub(super) weight: f64,
}

/// All values of a word.
pub(super) struct Sets {
    pub(super) masks: Vec<Masked>,
    pub(super) classes: Vec<Class>,
}

/// What the accumulator holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Accumulator {
    Word,
    Masked(u32),
}

/// A test and what has to be in the accumulator for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    of: Accumulator,
    comparison: Comparison,
    constant: u32,
}

/// A decision over the classes.
#[derive(Debug)]
pub(super) enum Steps {
    Outcome(usize),
    Ask { question: Question, held: Accumulator, then: Rc<Planned>, otherwise: Rc<Planned> },
}

#[derive(Debug)]
pub(super) struct Planned {
    pub(super) steps: Steps,
    pub(super) cost: Cost,
}

/// The search: plans for the sets of classes met so far.
pub(super) struct Search<'a> {
    sets: &'a Sets,
    depths: &'a [usize],
    goal: Goal,
    plans: HashMap<(Vec<usize>, Accumulator), Rc<Planned>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(sets: &'a Sets, depths: &'a [usize], goal: Goal) -> Self {
        Self { sets, depths, goal, plans: HashMap::new() }
    }

    /// A way to tell all classes apart, the word being loaded.
    pub(super) fn solve(&mut self) -> Rc<Planned> {
        self.best((0..self.sets.classes.len()).collect(), Accumulator::Word)
    }

    fn best(&mut self, classes: Vec<usize>, held: Accumulator) -> Rc<Planned> {
        let key = (classes, held);
        if let Some(known) = self.plans.get(&key) {
            return Rc::clone(known);
        }
        let planned = Rc::new(self.plan(&key.0, held));
        self.plans.insert(key, Rc::clone(&planned));
        planned
    }

    fn plan(&mut self, classes: &[usize], held: Accumulator) -> Planned {
        let outcome = self.sets.classes[classes[0]].outcome;
        if classes.iter().all(|class| self.sets.classes[*class].outcome == outcome) {
            let cost = Cost { weighted: 0.0, tests: 0, depth: self.depths[outcome] };
            return Planned { steps: Steps::Outcome(outcome), cost };
        }
        let questions = self.questions(classes);
        let asked: Vec<Planned> =
            questions.into_iter().map(|question| self.ask(question, classes, held)).collect();
        let total = |planned: &Planned| planned.cost.total(self.goal);
        asked
            .into_iter()
            .min_by(|left, right| total(left).total_cmp(&total(right)))
            .expect("classes that differ are told apart by something")
    }

    fn ask(&mut self, question: Question, classes: &[usize], held: Accumulator) -> Planned {
        let (then, otherwise): (Vec<usize>, Vec<usize>) =
            classes.iter().partition(|class| self.holds(question, **class));
        let (then, otherwise) = (self.best(then, question.of), self.best(otherwise, question.of));
        let weight: f64 = classes.iter().map(|class| self.sets.classes[*class].weight).sum();
        let instructions = 1 + instructions_for(held, question.of);
        #[expect(clippy::cast_precision_loss, reason = "three at most")]
        let cost = Cost {
            weighted: weight * instructions as f64 + then.cost.weighted + otherwise.cost.weighted,
            tests: instructions + then.cost.tests + otherwise.cost.tests,
            depth: instructions + then.cost.depth.max(otherwise.cost.depth),
        };
        Planned { steps: Steps::Ask { question, held, then, otherwise }, cost }
    }

    /// The questions that divide the classes; of many classes, the one that divides them best.
    fn questions(&self, classes: &[usize]) -> Vec<Question> {
        let of = |class: &usize| &self.sets.classes[*class];
        let mut questions: Vec<Question> = Vec::new();
        for class in classes.iter().map(of) {
            let plain = |comparison, constant| Question { of: Accumulator::Word, comparison, constant };
            if class.first == class.last {
                questions.push(plain(Comparison::Equal, class.first));
            }
            questions.push(plain(Comparison::GreaterOrEqual, class.first));
        }
        questions.dedup();
        questions.extend(self.sets.masks.iter().map(|masked| about(*masked)));
        let holding =
            |question: Question| classes.iter().filter(|class| self.holds(question, **class)).count();
        questions.retain(|question| (1..classes.len()).contains(&holding(*question)));
        if classes.len() > TRY_ALL {
            let unevenness = |question: &Question| (2 * holding(*question)).abs_diff(classes.len());
            questions = questions.into_iter().min_by_key(unevenness).into_iter().collect();
        }
        questions
    }

    fn holds(&self, question: Question, class: usize) -> bool {
        let class = &self.sets.classes[class];
        let truth = |masked: Masked| {
            let index = self.sets.masks.iter().position(|known| *known == masked).expect("asked by a mask");
            class.truths[index]
        };
        match (question.of, question.comparison) {
            (Accumulator::Masked(mask), _) => truth(Masked { mask, value: question.constant }),
            (_, Comparison::Equal) => class.first == question.constant && class.last == question.constant,
            (_, Comparison::AnyBit) => {
                let none = Masked { mask: question.constant, value: 0 };
                let all = Masked { mask: question.constant, value: question.constant };
                if self.sets.masks.contains(&none) { !truth(none) } else { truth(all) }
            }
            _ => class.first >= question.constant,
        }
    }
}

/// A test for any of some bits, where that says it; else the bits are compared with their value.
const fn about(masked: Masked) -> Question {
    let Masked { mask, value } = masked;
    if value == 0 || mask.is_power_of_two() {
        return Question { of: Accumulator::Word, comparison: Comparison::AnyBit, constant: mask };
    }
    Question { of: Accumulator::Masked(mask), comparison: Comparison::Equal, constant: value }
}

/// How many instructions bring the one into the accumulator that holds the other.
fn instructions_for(held: Accumulator, wanted: Accumulator) -> usize {
    if held == wanted {
        return 0;
    }
    match (held, wanted) {
        (Accumulator::Masked(_), Accumulator::Masked(_)) => 2,
        _ => 1,
    }
}

impl Planned {
    /// The steps as nodes; `offset` is that of the word.
    pub(super) fn add_to(&self, graph: &mut Graph, offset: u32, outcomes: &[NodeId]) -> NodeId {
        let Steps::Ask { question, held, then, otherwise } = &self.steps else {
            let Steps::Outcome(outcome) = &self.steps else { unreachable!("the other variant") };
            return outcomes[*outcome];
        };
        let then = then.add_to(graph, offset, outcomes);
        let otherwise = otherwise.add_to(graph, offset, outcomes);
        let Question { of, comparison, constant } = *question;
        let mut node = graph.add(Node::Branch { comparison, constant, then, otherwise });
        if *held == of {
            return node;
        }
        if let Accumulator::Masked(mask) = of {
            node = graph.add(Node::And { mask, next: node });
        }
        if *held != Accumulator::Word {
            node = graph.add(Node::Load { offset, next: node });
        }
        node
    }
}
