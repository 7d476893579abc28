//! Sets of calls.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;

use biodivine_lib_bdd::{Bdd, BddVariable, op_function};

use super::Count;
use super::counterexample;
use super::layout::{self, Field};
use super::ranges::ranges;
use crate::bpf::Half;
use crate::call::Call;

/// Ranges of numbers that [`Calls::numbers`] lists.
pub const MAX_RANGES: usize = 4096;

/// A set of calls, as the 64 bytes of `struct seccomp_data` describe them.
///
/// Two sets with the same members are equal, however they came about.
#[derive(Clone, Debug)]
pub struct Calls(pub(super) Bdd);

/// Diagrams of the same set have the same nodes, but where one was restricted, not always in the same order.
impl PartialEq for Calls {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || (self.0.size() == other.0.size() && self.0.xor(&other.0).is_false())
    }
}

impl Eq for Calls {}

/// What does not depend on the order of nodes: how many there are, and of which variables.
impl Hash for Calls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let variables = self.0.pointers().map(|node| self.0.var_of(node).to_index().wrapping_mul(SPREAD));
        (self.0.size(), variables.fold(0, usize::wrapping_add)).hash(state);
    }
}

/// Makes sums of few variables differ from each other: an odd number without a pattern, from the golden ratio.
const SPREAD: usize = 0x9e37_79b9_7f4a_7c15;

impl Calls {
    /// Whether no call is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_false()
    }

    /// Whether every call is in the set.
    pub fn is_everything(&self) -> bool {
        self.0.is_true()
    }

    /// The calls in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.and(&other.0))
    }

    /// The calls in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.or(&other.0))
    }

    /// The calls of this set that the other lacks.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.and_not(&other.0))
    }

    /// The same, unless finding that out takes more than so many pairs of the two diagrams' nodes.
    pub(crate) fn without_within(&self, other: &Self, pairs: usize) -> Option<Self> {
        Bdd::check_binary_op(pairs, &self.0, &other.0, op_function::and_not)?;
        Some(self.without(other))
    }

    /// The calls that are not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self(self.0.not())
    }

    /// Whether every call of the other set is in this one.
    pub fn covers(&self, other: &Self) -> bool {
        other.without(self).is_empty()
    }

    /// Whether the call is in the set.
    pub fn contains(&self, call: &Call) -> bool {
        let mut node = self.0.root_pointer();
        while !node.is_terminal() {
            let one = layout::bit_of(call, self.0.var_of(node));
            node = if one { self.0.high_link_of(node) } else { self.0.low_link_of(node) };
        }
        node.is_one()
    }

    /// Whether membership depends on a register's value; 0 to 5.
    pub fn looks_at(&self, register: u8) -> bool {
        self.depends_on(Field::Argument(register))
    }

    pub(super) fn depends_on(&self, field: Field) -> bool {
        let variables = field.variables();
        self.0.support_set().into_iter().any(|variable| variables.contains(&variable.to_index()))
    }

    /// The call in the set that comes first: by architecture, number, arguments, instruction pointer. `None` if the
    /// set is empty.
    pub fn first(&self) -> Option<Call> {
        self.0.first_valuation().map(|valuation| layout::call(valuation.as_vector()))
    }

    /// The argument registers of one call in the set; `None` if the set is empty.
    pub fn example(&self) -> Option<[u64; 6]> {
        self.first().map(|call| call.arguments)
    }

    /// One call in the set as a person would write it, with the arguments that make it one: `ioctl(fd=4, cmd=KVM_RUN)`.
    /// `None` if the set is empty.
    pub fn example_text(&self) -> Option<String> {
        let example = counterexample::plain(self)?;
        Some(counterexample::text(&example, self))
    }

    /// How many calls are in the set, of the 2^512 that there are.
    pub fn count(&self) -> Count {
        Count(self.0.exact_cardinality())
    }

    /// With what arguments this call is in the set: architecture and number make no difference to the result.
    ///
    /// `arch`: `AUDIT_ARCH_*`.
    #[must_use]
    pub fn of_call(&self, arch: u32, number: u32) -> Self {
        let fixed: Vec<_> = word(Field::Arch, arch).chain(word(Field::Number, number)).collect();
        Self(self.0.restrict(&fixed))
    }

    /// With what numbers and arguments calls by this entry are in the set: the architecture makes no difference to the
    /// result.
    ///
    /// `arch`: `AUDIT_ARCH_*`.
    #[must_use]
    pub fn of_entry(&self, arch: u32) -> Self {
        let fixed: Vec<_> = word(Field::Arch, arch).collect();
        Self(self.0.restrict(&fixed))
    }

    /// Every number with which some call of an architecture is in the set, as ascending ranges without neighbours;
    /// `None` where they are more than [`MAX_RANGES`], as they are of a program that looks at single bits of the number.
    ///
    /// `arch`: `AUDIT_ARCH_*`.
    pub fn numbers(&self, arch: u32) -> Option<Vec<RangeInclusive<u32>>> {
        let fixed: Vec<_> = word(Field::Arch, arch).collect();
        let number = Field::Number.variables();
        let some = self.0.restrict(&fixed).exists_trigger(|variable| !number.contains(&variable.to_index()));
        let narrow = |value| u32::try_from(value).unwrap_or(u32::MAX);
        let ranges = ranges(&some, number, MAX_RANGES)?;
        Some(ranges.into_iter().map(|(first, last)| narrow(first)..=narrow(last)).collect())
    }

    /// Whether some call with this number is in the set.
    ///
    /// `arch`: `AUDIT_ARCH_*`.
    pub fn contains_number(&self, arch: u32, number: u32) -> bool {
        !self.of_call(arch, number).is_empty()
    }

    /// Whether membership depends on the upper half of a register; 0 to 5.
    pub fn reads_upper_half(&self, register: u8) -> bool {
        let highest = Field::Argument(register).variables().start;
        let upper = highest..highest + 32;
        self.0.support_set().into_iter().any(|variable| upper.contains(&variable.to_index()))
    }

    /// The halves of argument registers that membership depends on.
    pub(crate) fn halves(&self) -> BTreeSet<(u8, Half)> {
        let arguments = self.0.support_set().into_iter().filter_map(layout::argument_of);
        arguments.map(|(register, bit)| (register, if bit < 32 { Half::Low } else { Half::High })).collect()
    }

    /// Who would be in the set were half of an argument register known to be this: that half decides nothing more.
    #[must_use]
    pub(crate) fn with_half(&self, register: u8, half: Half, value: u32) -> Self {
        let lowest = match half {
            Half::Low => 0,
            Half::High => 32,
        };
        let bit = |bit: u16| (Field::Argument(register).bit(lowest + bit), value >> bit & 1 == 1);
        Self(self.0.restrict(&(0..32).map(bit).collect::<Vec<_>>()))
    }

    /// The registers whose values decide membership, of calls of this number.
    pub(super) fn registers_of(&self, arch: u32, number: u32) -> BTreeSet<u8> {
        let arguments = self.of_call(arch, number);
        (0..layout::REGISTERS).filter(|register| arguments.looks_at(*register)).collect()
    }
}

/// A field's variables with the bits of a value.
fn word(field: Field, value: u32) -> impl Iterator<Item = (BddVariable, bool)> {
    (0..32).map(move |bit| (field.bit(bit), value >> bit & 1 == 1))
}
