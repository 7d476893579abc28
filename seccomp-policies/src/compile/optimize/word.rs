//! The words of a call's arguments, and what a policy compares them with.

use std::collections::{BTreeMap, BTreeSet};

use crate::bpf::Half;
use crate::bpf::write::argument;
use crate::language::{Condition, Relation, Test, Width};

/// Half of an argument register: what a program loads at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Word {
    pub(super) argument: u8,
    pub(super) half: Half,
}

impl Word {
    /// Offset in bytes into `struct seccomp_data`, on a little-endian machine.
    pub(super) fn offset(self) -> u32 {
        let half = match self.half {
            Half::Low => 0,
            Half::High => 4,
        };
        argument(self.argument) + half
    }

    /// The word of a call's arguments.
    pub(super) fn of(self, arguments: &[u64; 6]) -> u32 {
        half(arguments[usize::from(self.argument)], self.half)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of the register is what is asked for")]
const fn half(value: u64, half: Half) -> u32 {
    match half {
        Half::Low => value as u32,
        Half::High => (value >> 32) as u32,
    }
}

/// Bits of a word and what they are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Masked {
    pub(super) mask: u32,
    pub(super) value: u32,
}

/// What conditions ask of one word: between two neighbours of `starts` every value is as good as any other, but for
/// `masked`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Questions {
    /// First values of ranges, ascending; 0 is not among them.
    pub(super) starts: BTreeSet<u32>,
    pub(super) masked: BTreeSet<Masked>,
}

/// What conditions ask of each word.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(BTreeMap<Word, Questions>);

impl Asked {
    /// Adds what a condition asks.
    pub(super) fn add(&mut self, condition: &Condition) {
        match condition {
            Condition::Always => {}
            Condition::Test(test) => self.add_test(test),
            Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| self.add(part)),
            Condition::Not(part) => self.add(part),
        }
    }

    /// What is asked of a word.
    pub(super) fn of(&self, word: Word) -> Questions {
        self.0.get(&word).cloned().unwrap_or_default()
    }

    fn add_test(&mut self, test: &Test) {
        let halves: &[Half] = match test.width {
            Width::Bits32 => &[Half::Low],
            Width::Bits64 => &[Half::High, Half::Low],
        };
        for &side in halves {
            let questions = self.0.entry(Word { argument: test.argument, half: side }).or_default();
            match test.relation {
                Relation::Masked { mask, value } => questions.masked(half(mask, side), half(value, side)),
                Relation::Equal(value)
                | Relation::NotEqual(value)
                | Relation::Less(value)
                | Relation::LessOrEqual(value)
                | Relation::Greater(value)
                | Relation::GreaterOrEqual(value) => questions.value(half(value, side)),
            }
        }
    }
}

impl Questions {
    /// This value, those below and those above may be told apart.
    fn value(&mut self, value: u32) {
        self.range(value, value);
    }

    fn range(&mut self, first: u32, last: u32) {
        self.starts.extend((first > 0).then_some(first));
        self.starts.extend(last.checked_add(1));
    }

    /// Bits from the highest down without a gap are a range; others are not.
    fn masked(&mut self, mask: u32, value: u32) {
        if mask.leading_ones() + mask.trailing_zeros() >= u32::BITS {
            self.range(value, value | !mask);
        } else {
            self.masked.insert(Masked { mask, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(relation: Relation, width: Width) -> Asked {
        let mut asked = Asked::default();
        asked.add(&Condition::Test(Test { argument: 2, width, relation }));
        asked
    }

    const LOW: Word = Word { argument: 2, half: Half::Low };
    const HIGH: Word = Word { argument: 2, half: Half::High };

    #[test]
    fn offsets_are_those_of_the_kernels_structure() {
        assert_eq!((LOW.offset(), HIGH.offset()), (32, 36));
    }

    #[test]
    fn a_comparison_of_64_bits_asks_both_words() {
        let asked = asked(Relation::Less(0x5_0000_0000), Width::Bits64);
        assert_eq!(asked.of(LOW).starts, [1].into());
        assert_eq!(asked.of(HIGH).starts, [5, 6].into());
    }

    #[test]
    fn a_mask_of_the_highest_bits_is_a_range_and_any_other_is_not() {
        let high = asked(Relation::Masked { mask: 0xffff_ff00, value: 0x100 }, Width::Bits32);
        assert_eq!(high.of(LOW), Questions { starts: [0x100, 0x200].into(), masked: [].into() });
        let low = asked(Relation::Masked { mask: 4, value: 0 }, Width::Bits32);
        assert_eq!(low.of(LOW).masked, [Masked { mask: 4, value: 0 }].into());
        assert_eq!(low.of(HIGH), Questions::default());
    }
}
