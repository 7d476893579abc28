//! What a policy or a program decides on every call.

use std::collections::BTreeMap;

use super::execute::{Error, execute};
use super::{Answer, Calls, Difference, Permission, Space, Union};
use crate::action::Action;
use crate::bpf::Instruction;
use crate::call::Call;
use crate::language::{Policy, Rule};

/// The calls that get each answer: a partition of all calls.
#[derive(Clone, Debug)]
pub struct Decisions {
    by_answer: BTreeMap<Answer, Calls>,
}

impl Decisions {
    /// What a policy's text says of each call, as [`Policy::decide`] does of one.
    pub fn of_policy(policy: &Policy) -> Self {
        let space = Space::new();
        let mut unions: BTreeMap<Answer, Union> = BTreeMap::new();
        let mut decided = Union::new();
        let native = space.of_arch(policy.arch.audit_value());
        for (number, rules) in policy.rules_by_number() {
            let this_call = native.intersection(&space.numbered(number));
            for (action, arguments) in first_matches(&space, &rules) {
                let calls = this_call.intersection(&arguments);
                decided.add(calls.clone());
                unions.entry(action.into()).or_default().add(calls);
            }
        }
        if let Some(numbers) = policy.beyond() {
            let beyond = decided.new_in(&native.intersection(&space.in_numbers(&numbers)));
            decided.add(beyond.clone());
            unions.entry(Action::KillProcess.into()).or_default().add(beyond);
        }
        unions.entry(policy.otherwise.into()).or_default().add(decided.new_in(&native));
        unions.entry(Action::KillProcess.into()).or_default().add(native.complement());
        Self::new(unions)
    }

    /// What a program answers to each call.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a program that the kernel would refuse, [`Error::TooComplicated`] for one whose
    /// decisions have no description of a reasonable size.
    pub fn of_program(program: &[Instruction]) -> Result<Self, Error> {
        Ok(Self { by_answer: execute(program, &Space::new())? })
    }

    /// What the kernel does with a call on which several programs are asked, `stack` in the order in which they were
    /// installed: the most restrictive action wins, of equal ones the one installed last, with its data
    /// (`seccomp_run_filters`, Linux `kernel/seccomp.c`). With no program at all every call is allowed.
    #[must_use]
    pub fn combine(stack: &[Self]) -> Self {
        let everything = || Self { by_answer: [(Action::Allow.into(), Space::new().every())].into() };
        let mut latest_first = stack.iter().rev().cloned();
        let latest = latest_first.next().unwrap_or_else(everything);
        latest_first.fold(latest, |later, earlier| later.stacked_on(&earlier))
    }

    fn stacked_on(&self, earlier: &Self) -> Self {
        let mut unions: BTreeMap<Answer, Union> = BTreeMap::new();
        for (later_answer, later_calls) in &self.by_answer {
            for (earlier_answer, earlier_calls) in &earlier.by_answer {
                let earlier_wins = earlier_answer.precedence() < later_answer.precedence();
                let winner = if earlier_wins { earlier_answer } else { later_answer };
                unions.entry(*winner).or_default().add(later_calls.intersection(earlier_calls));
            }
        }
        Self::new(unions)
    }

    fn new(unions: BTreeMap<Answer, Union>) -> Self {
        let sets = unions.into_iter().filter_map(|(answer, union)| Some((answer, union.into_calls()?)));
        Self { by_answer: sets.filter(|(_, calls)| !calls.is_empty()).collect() }
    }

    /// Every answer that some call gets, and the calls that get it.
    pub fn iter(&self) -> impl Iterator<Item = (Answer, &Calls)> {
        self.by_answer.iter().map(|(answer, calls)| (*answer, calls))
    }

    /// The answer to one call.
    pub fn answer(&self, call: &Call) -> Answer {
        let found = self.by_answer.iter().find(|(_, calls)| calls.contains(call));
        *found.expect("every call has an answer").0
    }

    /// The calls of which the kernel makes this: those that get an unknown action are with those that end the process.
    pub fn with_effect(&self, effect: Answer) -> Calls {
        self.union_where(|answer| answer.effect() == effect.effect())
    }

    /// The calls that are let through at least so far.
    pub fn permitted(&self, permission: Permission) -> Calls {
        self.union_where(|answer| answer.permission() >= permission)
    }

    /// The calls that the kernel carries out without asking anybody.
    pub fn allowed(&self) -> Calls {
        self.permitted(Permission::Granted)
    }

    fn union_where(&self, wanted: impl Fn(Answer) -> bool) -> Calls {
        let chosen = self.by_answer.iter().filter(|(answer, _)| wanted(**answer)).map(|(_, calls)| calls);
        chosen.fold(Space::new().none(), |union, calls| union.union(calls))
    }

    /// Where the two differ in what becomes of a call; `None` where they never do.
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        let mut same = Union::new();
        for (answer, calls) in &self.by_answer {
            same.add(calls.intersection(&other.with_effect(*answer)));
        }
        let different = same.into_calls()?.complement();
        Difference::new(self, other, different)
    }

    /// Whether no call gets further by these decisions than by the others: nothing is granted that the others do not
    /// grant, and nothing is left to a tracer or supervisor that the others refuse.
    ///
    /// # Errors
    /// The calls that do get further.
    pub fn at_most(&self, other: &Self) -> Result<(), Difference> {
        let further = |permission| self.permitted(permission).without(&other.permitted(permission));
        let further = further(Permission::Delegated).union(&further(Permission::Granted));
        Difference::new(self, other, further).map_or(Ok(()), Err)
    }
}

/// Two decisions are equal where the same becomes of every call.
impl PartialEq for Decisions {
    fn eq(&self, other: &Self) -> bool {
        self.difference(other).is_none()
    }
}

impl Eq for Decisions {}

/// For each rule of one call, in order, its action and the arguments with which it is the first that matches.
fn first_matches(space: &Space, rules: &[&Rule]) -> Vec<(Action, Calls)> {
    let mut before = Union::new();
    let mut matches = Vec::new();
    for rule in rules {
        let matching = space.calls(&rule.condition);
        matches.push((rule.action, before.new_in(&matching)));
        before.add(matching);
    }
    matches
}
