//! One comparison that tells two outcomes apart.

use super::Range;
use crate::bpf::Comparison;

/// One comparison with a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SingleTest {
    pub(super) comparison: Comparison,
    pub(super) constant: u32,
}

impl SingleTest {
    /// The test that holds for the values of `outcome` among those of the ranges, and for no others; one of bits only
    /// where `bits` says so.
    pub(super) fn for_outcome(ranges: &[Range], outcome: usize, bits: bool) -> Option<Self> {
        match ranges {
            [_, right] if right.outcome == outcome => {
                Some(Self { comparison: Comparison::GreaterOrEqual, constant: right.first })
            }
            [_, middle, _] if middle.outcome == outcome && middle.first == middle.last => {
                Some(Self { comparison: Comparison::Equal, constant: middle.first })
            }
            _ if bits => Self::for_bits(ranges, outcome),
            _ => None,
        }
    }

    /// A test for any of some bits: none of them may occur in the values of the other outcome, so the widest
    /// choice is every bit that does not, and if that one fails each fails.
    fn for_bits(ranges: &[Range], outcome: usize) -> Option<Self> {
        let without = |range: &&Range| range.outcome != outcome;
        let mask =
            !ranges.iter().filter(without).fold(0, |bits, range| bits | bits_of_any(range.first, range.last));
        let all_have_one = ranges
            .iter()
            .filter(|range| !without(range))
            .all(|range| first_without(range.first, mask).is_none_or(|value| value > range.last));
        all_have_one.then_some(Self { comparison: Comparison::AnyBit, constant: mask })
    }
}

/// The bits that are set in at least one of the values `first` to `last`.
const fn bits_of_any(first: u32, last: u32) -> u32 {
    // Below the highest bit in which the ends differ, a value between them has each bit.
    let differ = first ^ last;
    let below = if differ == 0 { 0 } else { u32::MAX >> differ.leading_zeros() };
    last | below
}

/// The lowest value from `from` on that has no bit of the mask; `None` where there is none.
fn first_without(from: u32, mask: u32) -> Option<u32> {
    let mut value = from;
    while value & mask != 0 {
        // The highest forbidden bit goes away only by a carry through it, which clears all below.
        let through = u32::MAX >> (value & mask).leading_zeros();
        value = (value | through).checked_add(1)?;
    }
    Some(value)
}
