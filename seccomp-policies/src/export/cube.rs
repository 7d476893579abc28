//! Tests as comparisons of bits under a mask, which a 64-bit form can always make.

use std::collections::BTreeSet;

use crate::language::{Relation, Test, Width};

/// The values of a register whose bits in `mask` are `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cube {
    pub(super) mask: u64,
    pub(super) value: u64,
}

/// Every value.
pub(super) const EVERYTHING: Cube = Cube { mask: 0, value: 0 };

impl Cube {
    /// The values in both; none if no value is.
    pub(super) const fn intersection(self, other: Self) -> Option<Self> {
        if (self.value ^ other.value) & self.mask & other.mask != 0 {
            return None;
        }
        Some(Self { mask: self.mask | other.mask, value: self.value | other.value })
    }
}

/// Cubes that together hold the values that pass the test: at most one for each bit.
pub(super) fn cubes(test: Test) -> Vec<Cube> {
    let bits = test.width.mask();
    match test.relation {
        Relation::Equal(value) => vec![Cube { mask: bits, value }],
        Relation::Masked { mask, value } => vec![Cube { mask: mask & bits, value }],
        Relation::NotEqual(value) => each_bit(test.width, |_| true, value),
        Relation::Greater(value) => above(test.width, value),
        Relation::Less(value) => below(test.width, value),
        Relation::GreaterOrEqual(value) => match value.checked_sub(1) {
            Some(value) => above(test.width, value),
            None => vec![EVERYTHING],
        },
        Relation::LessOrEqual(value) => {
            let mut cubes = below(test.width, value);
            cubes.push(Cube { mask: bits, value });
            cubes
        }
    }
}

/// The same values in fewer cubes: two that differ in one bit are one that leaves it open.
pub(super) fn merged(cubes: &[Cube]) -> Vec<Cube> {
    let mut merged: BTreeSet<Cube> = cubes.iter().copied().collect();
    // From the lowest bit on, so that what has become wider meets its neighbour at the next.
    for bit in (0..64).map(|bit| 1_u64 << bit) {
        let zeros: Vec<_> =
            merged.iter().filter(|cube| cube.mask & bit != 0 && cube.value & bit == 0).copied().collect();
        for zero in zeros {
            if merged.remove(&Cube { value: zero.value | bit, ..zero }) {
                merged.remove(&zero);
                merged.insert(Cube { mask: zero.mask & !bit, ..zero });
            }
        }
    }
    merged.into_iter().collect()
}

/// The values that are equal down to some bit, have a one there, and a zero stands there in `value`.
fn above(width: Width, value: u64) -> Vec<Cube> {
    each_bit(width, |bit| value & bit == 0, value)
}

fn below(width: Width, value: u64) -> Vec<Cube> {
    each_bit(width, |bit| value & bit != 0, value)
}

/// For each bit that is wanted, the values that have the bits above it as `value` does, and that bit otherwise.
fn each_bit(width: Width, is_wanted: impl Fn(u64) -> bool, value: u64) -> Vec<Cube> {
    let all = width.mask();
    let bits = (0..64).map(|bit| 1_u64 << bit).filter(|bit| all & bit != 0 && is_wanted(*bit));
    bits.map(|bit| {
        let mask = all & !(bit - 1);
        Cube { mask, value: (value ^ bit) & mask }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(cubes: &[Cube], register: u64) -> bool {
        cubes.iter().any(|cube| register & cube.mask == cube.value)
    }

    #[test]
    fn cubes_hold_the_values_that_pass_and_no_others() {
        let values =
            [0, 1, 2, 3, 4, 7, 8, 255, 256, u64::from(u32::MAX), 1 << 32, 1 << 63, u64::MAX - 1, u64::MAX];
        for width in [Width::Bits32, Width::Bits64] {
            for value in values.map(|value| value & width.mask()) {
                for relation in [
                    Relation::Equal(value),
                    Relation::NotEqual(value),
                    Relation::Less(value),
                    Relation::LessOrEqual(value),
                    Relation::Greater(value),
                    Relation::GreaterOrEqual(value),
                    Relation::Masked { mask: 0b101, value: value & 0b101 },
                ] {
                    let cubes = cubes(Test { argument: 0, width, relation });
                    let fewer = merged(&cubes);
                    assert!(fewer.len() <= cubes.len(), "{cubes:?} {fewer:?}");
                    for register in values {
                        let passes = relation.holds(register & width.mask());
                        assert_eq!(holds(&cubes, register), passes, "{relation:?} {width:?} {register:#x}");
                        assert_eq!(holds(&fewer, register), passes, "{fewer:?} {register:#x}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_range_on_a_boundary_becomes_one_cube_and_others_few() {
        let range = |first, last| {
            let test = |relation| Test { argument: 0, width: Width::Bits32, relation };
            let from = cubes(test(Relation::GreaterOrEqual(first)));
            let to = cubes(test(Relation::LessOrEqual(last)));
            let both: Vec<_> =
                from.iter().flat_map(|from| to.iter().filter_map(|to| from.intersection(*to))).collect();
            let merged = merged(&both);
            for register in (0..2000).chain([1 << 32, (1 << 32) + first, u64::MAX]) {
                let passes = (first..=last).contains(&(register & u64::from(u32::MAX)));
                assert_eq!(holds(&merged, register), passes, "{first} {last} {register:#x}");
            }
            merged.len()
        };
        assert_eq!([range(4, 7), range(0, 1023), range(64, 1023), range(1, 6)], [1, 1, 4, 4]);
        assert_eq!(range(0, u64::from(u32::MAX)), 1);
    }
}
