//! A set of one register's values as a condition.

use std::ops::Range;

use biodivine_lib_bdd::{Bdd, BddVariable};

use super::any;
use super::cost::{MASK, TEST, cost, is_value};
use super::cover::{Cube, cover};
use crate::language::{Condition, Relation, Test, Width};
use crate::prove::Space;
use crate::prove::layout::Field;
use crate::prove::ranges::ranges;

/// Ranges that a set of values is written as.
const MAX_RANGES: usize = 512;

/// Masks that a set of values is written as; finding them is work, and a longer list explains nothing.
const MAX_MASKS: usize = 16;

/// How many times a common mask is taken out.
const MAX_DEPTH: usize = 2;

/// The cost of a condition with which the search for a shorter one ends: two tests.
const SHORT: usize = 2 * (TEST + MASK);

/// Values of a list that one mask has to stand for to be better.
const VALUES_OF_A_MASK: usize = 4;

/// What it costs to compare another number of bits than the kernel reads, which has to be said.
const OTHER_WIDTH: usize = 3;

/// The cheapest condition that found a way to say it; `None` if none did.
pub(super) fn condition_on(space: &Space, values: &Bdd, register: u8, width: Width) -> Option<Condition> {
    if values.is_true() {
        return Some(Condition::Always);
    }
    let other = match width {
        Width::Bits32 => Width::Bits64,
        Width::Bits64 => Width::Bits32,
    };
    let written = |width| Register { space, index: register, width }.condition(values, MAX_DEPTH);
    let natural = written(width);
    match natural {
        Some(condition) if cost(&condition) <= SHORT => Some(condition),
        natural => {
            let other = written(other).map(|condition| (OTHER_WIDTH + cost(&condition), condition));
            let natural = natural.map(|condition| (cost(&condition), condition));
            natural.into_iter().chain(other).min_by_key(|(cost, _)| *cost).map(|(_, condition)| condition)
        }
    }
}

/// A register of which so many bits are compared.
#[derive(Clone, Copy)]
struct Register<'a> {
    space: &'a Space,
    index: u8,
    width: Width,
}

impl Register<'_> {
    fn field(self) -> Field {
        Field::Argument(self.index)
    }

    /// The variables of the bits that are compared.
    fn variables(self) -> Range<usize> {
        let all = self.field().variables();
        match self.width {
            Width::Bits32 => all.start + 32..all.end,
            Width::Bits64 => all,
        }
    }

    fn test(self, relation: Relation) -> Condition {
        Condition::Test(Test { argument: self.index, width: self.width, relation })
    }

    fn condition(self, values: &Bdd, depth: usize) -> Option<Condition> {
        let compared = self.variables();
        if values.support_set().iter().any(|variable| !compared.contains(&variable.to_index())) {
            return None;
        }
        let inverse = values.not();
        let ranges = [self.in_ranges(values), self.in_ranges(&inverse).map(outside)];
        let ranges = ranges.into_iter().flatten().min_by_key(cost);
        let known = ranges.as_ref().map_or(usize::MAX, cost);
        if known <= TEST {
            return ranges;
        }
        if let Some(Condition::Any(listed)) = &ranges
            && listed.iter().all(is_value)
        {
            return self.listed(values, listed);
        }
        // A list of masks that is as long as what is known helps nobody.
        let limit = MAX_MASKS.min(known / (TEST + MASK));
        let masks = [
            self.in_masks(values, limit).map(any),
            self.in_masks(&inverse, limit).map(|masks| all(masks.into_iter().map(not).collect())),
        ];
        let best = ranges.into_iter().chain(masks.into_iter().flatten()).min_by_key(cost);
        match best {
            Some(best) if depth == 0 || cost(&best) <= SHORT => Some(best),
            _ if depth == 0 => None,
            best => {
                let common = self.with_common_mask(values, depth - 1);
                let inverse = self.with_common_mask(&inverse, depth - 1).map(not);
                best.into_iter().chain(common).chain(inverse).min_by_key(cost)
            }
        }
    }

    /// A list of values, unless they are what few masks say: combinations of flags are.
    fn listed(self, values: &Bdd, list: &[Condition]) -> Option<Condition> {
        let masks = self.in_masks(values, list.len() / VALUES_OF_A_MASK).map(any);
        masks.into_iter().chain([Condition::Any(list.to_vec())]).min_by_key(cost)
    }

    fn ranges(self, values: &Bdd) -> Option<Vec<(u64, u64)>> {
        ranges(values, self.variables(), MAX_RANGES)
    }

    fn in_ranges(self, values: &Bdd) -> Option<Condition> {
        Some(any(self.ranges(values)?.into_iter().map(|(first, last)| self.between(first, last)).collect()))
    }

    /// One of `first` to `last`; two of them are written as two values.
    fn between(self, first: u64, last: u64) -> Condition {
        let largest = self.width.mask();
        match (first, last) {
            _ if first == last => self.test(Relation::Equal(first)),
            (0, last) if last == largest => Condition::Always,
            (0, last) if last == largest - 1 => self.test(Relation::NotEqual(largest)),
            (0, last) => self.test(Relation::LessOrEqual(last)),
            (1, last) if last == largest => self.test(Relation::NotEqual(0)),
            (first, last) if last == largest => self.test(Relation::GreaterOrEqual(first)),
            _ if last - first == 1 => {
                any(vec![self.test(Relation::Equal(first)), self.test(Relation::Equal(last))])
            }
            _ => Condition::All(vec![
                self.test(Relation::GreaterOrEqual(first)),
                self.test(Relation::LessOrEqual(last)),
            ]),
        }
    }

    fn in_masks(self, values: &Bdd, limit: usize) -> Option<Vec<Condition>> {
        let cubes = cover(values, self.field(), limit)?;
        Some(cubes.into_iter().map(|cube| self.masked(cube)).collect())
    }

    fn masked(self, Cube { mask, value }: Cube) -> Condition {
        if mask == self.width.mask() {
            return self.test(Relation::Equal(value));
        }
        self.test(Relation::Masked { mask, value })
    }

    /// The bits that all values agree on as one mask, and what else there is to say of them.
    fn with_common_mask(self, values: &Bdd, depth: usize) -> Option<Condition> {
        let common = self.common_bits(values);
        if common.mask == 0 || common.mask == self.width.mask() {
            return None;
        }
        let mask = self.masked(common);
        let exceptions = self.space.calls(&mask).0.and_not(values);
        if exceptions.is_false() {
            return Some(mask);
        }
        // Once the mask is said, its bits are free to be whatever makes the rest short.
        let fixed: Vec<BddVariable> =
            (0..64).filter(|bit| common.mask >> bit & 1 == 1).map(|bit| self.field().bit(bit)).collect();
        let rest = [exceptions.not(), values.exists(&fixed)];
        let rest = rest.into_iter().filter_map(|rest| self.condition(&rest, depth)).min_by_key(cost)?;
        Some(all(vec![mask, rest]))
    }

    fn common_bits(self, values: &Bdd) -> Cube {
        let mut common = Cube { mask: 0, value: 0 };
        let Some(clause) = values.necessary_clause() else { return common };
        for bit in 0..64 {
            if let Some(one) = clause.get_value(self.field().bit(bit)) {
                common.mask |= 1 << bit;
                common.value |= u64::from(one) << bit;
            }
        }
        common
    }
}

/// All of these, without a level of its own for what is an `All` already.
fn all(parts: Vec<Condition>) -> Condition {
    parts.into_iter().fold(Condition::Always, super::all)
}

/// None of what ranges say.
fn outside(ranges: Condition) -> Condition {
    match ranges {
        Condition::Any(parts) => all(parts.into_iter().map(not).collect()),
        one => not(one),
    }
}

/// A test's opposite where there is one, else its negation.
fn not(condition: Condition) -> Condition {
    let Condition::Test(test) = condition else { return super::not(condition) };
    let opposite = match test.relation {
        Relation::Equal(value) => Relation::NotEqual(value),
        Relation::NotEqual(value) => Relation::Equal(value),
        Relation::Less(value) => Relation::GreaterOrEqual(value),
        Relation::LessOrEqual(value) => Relation::Greater(value),
        Relation::Greater(value) => Relation::LessOrEqual(value),
        Relation::GreaterOrEqual(value) => Relation::Less(value),
        // A single bit is there or not.
        Relation::Masked { mask, value } if mask.is_power_of_two() => {
            Relation::Masked { mask, value: value ^ mask }
        }
        Relation::Masked { .. } => return super::not(condition),
    };
    Condition::Test(Test { relation: opposite, ..test })
}
