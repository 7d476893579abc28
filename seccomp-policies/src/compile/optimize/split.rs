//! What a function of several words becomes when one of them is looked at.

use std::collections::BTreeMap;

use super::function::{FunctionId, Functions, TooComplicated};
use super::sample::Sample;
use super::sets::{Class, Sets};
use super::word::{Masked, Questions, Word};
use crate::compile::search::{Range, Ranges};
use crate::language::{Condition, Relation, Test, Width};
use crate::prove::{Calls, Space};

/// How many ways there may be for a word to answer to all that is asked of it: more would hardly fit in a program.
const MAX_CLASSES: usize = 4096;

/// A function by the values of one word.
pub(super) struct Split {
    /// What is left to decide, each once.
    pub(super) rest: Vec<FunctionId>,
    /// For each of these, the samples that come to it.
    pub(super) samples: Vec<Vec<usize>>,
    /// For which values.
    pub(super) values: Values,
}

/// The word's values, their outcomes being places in [`Split::rest`].
pub(super) enum Values {
    Ranges(Ranges),
    Sets(Sets),
}

impl Split {
    /// Splits by the word; `samples` are those that come here.
    ///
    /// # Errors
    /// [`TooComplicated`]
    pub(super) fn new(
        functions: &mut Functions,
        function: FunctionId,
        word: Word,
        questions: &Questions,
        samples: (&[Sample], &[usize]),
    ) -> Result<Self, TooComplicated> {
        let mut classes = classes(functions, function, word, questions)?;
        let (all, here) = samples;
        let mut split =
            Self { rest: Vec::new(), samples: Vec::new(), values: Values::Ranges(Ranges::default()) };
        for class in &mut classes {
            class.class.outcome = split.outcome(class.rest);
        }
        for &sample in here {
            let value = word.of(&all[sample].arguments);
            let class = classes.iter_mut().find(|class| class.has(value)).expect("they cover all values");
            class.class.weight += all[sample].weight;
            split.samples[class.class.outcome].push(sample);
        }
        split.values = values(classes, questions);
        Ok(split)
    }

    fn outcome(&mut self, rest: FunctionId) -> usize {
        self.rest.iter().position(|known| *known == rest).unwrap_or_else(|| {
            self.rest.push(rest);
            self.samples.push(Vec::new());
            self.rest.len() - 1
        })
    }
}

/// For each mask whether it holds.
type Answers = Vec<(Masked, bool)>;

/// Values that nothing in the policy tells apart.
struct Alike {
    first: u32,
    last: u32,
    masks: Answers,
    rest: FunctionId,
    class: Class,
}

impl Alike {
    fn has(&self, value: u32) -> bool {
        let as_asked = |(masked, holds): &(Masked, bool)| (value & masked.mask == masked.value) == *holds;
        (self.first..=self.last).contains(&value) && self.masks.iter().all(as_asked)
    }
}

fn classes(
    functions: &mut Functions,
    function: FunctionId,
    word: Word,
    questions: &Questions,
) -> Result<Vec<Alike>, TooComplicated> {
    let firsts = [0].into_iter().chain(questions.starts.iter().copied());
    let lasts = questions.starts.iter().map(|start| start - 1).chain([u32::MAX]);
    let mut classes = Vec::new();
    for (range, (first, last)) in firsts.zip(lasts).enumerate() {
        for (example, masks) in by_masks(first, last, questions)? {
            let rest = functions.with(function, word, example)?;
            let truths = masks.iter().map(|(_, holds)| *holds).collect();
            let class = Class { range, first, last, truths, outcome: 0, weight: 0.0 };
            classes.push(Alike { first, last, masks, rest, class });
        }
    }
    Ok(classes)
}

/// The values `first` to `last` by how they answer to each mask, as far as there are any: a value, and the answers.
fn by_masks(first: u32, last: u32, questions: &Questions) -> Result<Vec<(u32, Answers)>, TooComplicated> {
    if questions.masked.is_empty() {
        return Ok(vec![(first, Vec::new())]);
    }
    let space = Space::new();
    let test = |relation| space.calls(&Condition::Test(Test { argument: 0, width: Width::Bits32, relation }));
    let from = test(Relation::GreaterOrEqual(first.into()));
    let range = from.intersection(&test(Relation::LessOrEqual(last.into())));
    let mut parts: Vec<(Calls, Answers)> = vec![(range, Vec::new())];
    for &masked in &questions.masked {
        let Masked { mask, value } = masked;
        let holds = test(Relation::Masked { mask: mask.into(), value: value.into() });
        let sides = |(calls, masks): &(Calls, Answers)| {
            let side =
                |calls: Calls, holds| (calls, masks.iter().copied().chain([(masked, holds)]).collect());
            [side(calls.intersection(&holds), true), side(calls.without(&holds), false)]
        };
        parts = parts.iter().flat_map(sides).filter(|(calls, _)| !calls.is_empty()).collect();
        if parts.len() > MAX_CLASSES {
            return Err(TooComplicated);
        }
    }
    let example = |calls: &Calls| {
        let [register, ..] = calls.example().expect("empty ones are gone");
        u32::try_from(register).expect("bits that nothing asks for are zero")
    };
    Ok(parts.into_iter().map(|(calls, masks)| (example(&calls), masks)).collect())
}

/// Ranges, where no mask makes a difference.
fn values(classes: Vec<Alike>, questions: &Questions) -> Values {
    let mut outcomes: BTreeMap<usize, usize> = BTreeMap::new();
    let alike = classes
        .iter()
        .all(|Alike { class, .. }| *outcomes.entry(class.range).or_insert(class.outcome) == class.outcome);
    if !alike {
        let masks = questions.masked.iter().copied().collect();
        return Values::Sets(Sets { masks, classes: classes.into_iter().map(|alike| alike.class).collect() });
    }
    let mut ranges = Ranges::default();
    for Alike { first, last, class, .. } in classes {
        ranges.push(Range { first, last, outcome: class.outcome, weight: class.weight });
    }
    Values::Ranges(ranges)
}
