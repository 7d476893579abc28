//! What is decided of one call, as a function of its argument words.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::word::Word;
use crate::action::Action;
use crate::language::Rule;
use crate::prove::{Calls, Space};

/// A function from the words of a call's arguments to an action: for each action, who gets it. Functions that decide the
/// same are equal, however the rules are written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::compile) struct Function(Vec<(Action, Calls)>);

impl Function {
    /// What the rules of one call decide, the first that matches; `otherwise` where none does.
    pub(in crate::compile) fn new<'a>(
        space: &Space,
        rules: impl IntoIterator<Item = &'a Rule>,
        otherwise: Action,
    ) -> Self {
        let mut left = space.every();
        let mut by_action: BTreeMap<Action, Calls> = BTreeMap::new();
        for rule in rules {
            let matching = space.calls(&rule.condition);
            let decided = left.intersection(&matching);
            left = left.without(&matching);
            add(&mut by_action, rule.action, decided);
        }
        add(&mut by_action, otherwise, left);
        Self(by_action.into_iter().filter(|(_, calls)| !calls.is_empty()).collect())
    }

    /// The action, where it is one for all arguments.
    pub(in crate::compile) fn constant(&self) -> Option<Action> {
        match self.0.as_slice() {
            [(action, _)] => Some(*action),
            _ => None,
        }
    }

    /// The words that the function depends on.
    fn words(&self) -> BTreeSet<Word> {
        let halves = self.0.iter().flat_map(|(_, calls)| calls.halves());
        halves.map(|(argument, half)| Word { argument, half }).collect()
    }

    /// What is left to decide where a word is known to be this.
    fn with(&self, word: Word, value: u32) -> Self {
        let known =
            self.0.iter().map(|(action, calls)| (*action, calls.with_half(word.argument, word.half, value)));
        Self(known.filter(|(_, calls)| !calls.is_empty()).collect())
    }
}

fn add(by_action: &mut BTreeMap<Action, Calls>, action: Action, calls: Calls) {
    let joined = match by_action.get(&action) {
        Some(known) => known.union(&calls),
        None => calls,
    };
    by_action.insert(action, joined);
}

/// A function of one [`Functions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FunctionId(usize);

/// How many functions may be asked for what is left of them once a word is known, before the policy is given up: ten
/// times what the largest policies known take. What asks for more is made for that, or hardly fits in a program.
const MAX_QUESTIONS: usize = 1 << 16;

/// More work than any policy is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooComplicated;

/// Every function met while compiling, each once.
#[derive(Default)]
pub(super) struct Functions {
    all: Vec<Function>,
    words: Vec<BTreeSet<Word>>,
    ids: HashMap<Function, FunctionId>,
    known: HashMap<(FunctionId, Word, u32), FunctionId>,
}

impl Functions {
    pub(super) fn add(&mut self, function: Function) -> FunctionId {
        if let Some(id) = self.ids.get(&function) {
            return *id;
        }
        let id = FunctionId(self.all.len());
        self.words.push(function.words());
        self.all.push(function.clone());
        self.ids.insert(function, id);
        id
    }

    /// The action of a function that does not depend on arguments.
    pub(super) fn constant(&self, id: FunctionId) -> Option<Action> {
        self.all[id.0].constant()
    }

    /// The words that a function depends on.
    pub(super) fn words(&self, id: FunctionId) -> &BTreeSet<Word> {
        &self.words[id.0]
    }

    /// What is left to decide where a word is known to be this.
    ///
    /// # Errors
    /// [`TooComplicated`], once this was asked too often.
    pub(super) fn with(
        &mut self,
        id: FunctionId,
        word: Word,
        value: u32,
    ) -> Result<FunctionId, TooComplicated> {
        if let Some(known) = self.known.get(&(id, word, value)) {
            return Ok(*known);
        }
        if self.known.len() == MAX_QUESTIONS {
            return Err(TooComplicated);
        }
        let rest = self.all[id.0].with(word, value);
        let rest = self.add(rest);
        self.known.insert((id, word, value), rest);
        Ok(rest)
    }

    /// How often one was asked what is left of it.
    pub(super) fn questions(&self) -> usize {
        self.known.len()
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }
}
