//! From a condition to the set of calls that meet it.

use std::ops::RangeInclusive;

use biodivine_lib_bdd::{Bdd, BddPartialValuation, BddVariableSet};

use super::layout::{BITS, Field};
use super::{Calls, Union};
use crate::language::{Condition, Relation, Test};

/// All calls: every value of the 64 bytes of `struct seccomp_data`.
pub struct Space {
    variables: BddVariableSet,
}

impl Default for Space {
    fn default() -> Self {
        Self::new()
    }
}

impl Space {
    /// The space of every call.
    pub fn new() -> Self {
        Self { variables: BddVariableSet::new_anonymous(BITS) }
    }

    pub(super) fn variables(&self) -> &BddVariableSet {
        &self.variables
    }

    /// No call.
    pub fn none(&self) -> Calls {
        Calls(self.variables.mk_false())
    }

    /// Every call.
    pub fn every(&self) -> Calls {
        Calls(self.variables.mk_true())
    }

    /// The calls that enter the kernel as this architecture's.
    ///
    /// `arch`: `AUDIT_ARCH_*`.
    pub fn of_arch(&self, arch: u32) -> Calls {
        Calls(self.masked(Field::Arch, u32::MAX.into(), arch.into()))
    }

    /// The calls with this number, of any architecture.
    pub fn numbered(&self, number: u32) -> Calls {
        Calls(self.masked(Field::Number, u32::MAX.into(), number.into()))
    }

    /// The calls with one of these numbers, of any architecture.
    pub(crate) fn in_numbers(&self, numbers: &RangeInclusive<u32>) -> Calls {
        let bits = u32::MAX.into();
        let outside = self.below(Field::Number, bits, (*numbers.start()).into());
        let outside = outside.or(&self.above(Field::Number, bits, (*numbers.end()).into()));
        Calls(outside.not())
    }

    /// The calls whose arguments meet a condition.
    pub fn calls(&self, condition: &Condition) -> Calls {
        match condition {
            Condition::Always => self.every(),
            Condition::Test(test) => self.passing(test),
            Condition::All(parts) => {
                parts.iter().fold(self.every(), |met, part| met.intersection(&self.calls(part)))
            }
            Condition::Any(parts) => {
                let mut met = Union::new();
                for part in parts {
                    met.add(self.calls(part));
                }
                met.into_calls().unwrap_or_else(|| self.none())
            }
            Condition::Not(part) => Calls(self.calls(part).0.not()),
        }
    }

    /// The calls that pass a test.
    fn passing(&self, test: &Test) -> Calls {
        let bits = test.width.mask();
        let register = Field::Argument(test.argument);
        Calls(match test.relation {
            Relation::Equal(value) => self.masked(register, bits, value),
            Relation::NotEqual(value) => self.masked(register, bits, value).not(),
            Relation::Less(value) => self.below(register, bits, value),
            Relation::GreaterOrEqual(value) => self.below(register, bits, value).not(),
            Relation::Greater(value) => self.above(register, bits, value),
            Relation::LessOrEqual(value) => self.above(register, bits, value).not(),
            Relation::Masked { mask, value } => self.masked(register, mask & bits, value),
        })
    }

    /// `field & mask == value`
    fn masked(&self, field: Field, mask: u64, value: u64) -> Bdd {
        if value & !mask != 0 {
            return self.variables.mk_false();
        }
        let mut clause = BddPartialValuation::empty();
        for bit in (0..64).filter(|bit| mask >> bit & 1 == 1) {
            clause.set_value(field.bit(bit), value >> bit & 1 == 1);
        }
        self.variables.mk_conjunctive_clause(&clause)
    }

    /// `field & bits < value`
    fn below(&self, field: Field, bits: u64, value: u64) -> Bdd {
        self.ordered(field, bits, value, true)
    }

    /// `field & bits > value`
    fn above(&self, field: Field, bits: u64, value: u64) -> Bdd {
        self.ordered(field, bits, value, false)
    }

    /// Strictly below or above `value`, built from the lowest bit up: the highest bit in which the two differ decides,
    /// and the greater has a one there.
    fn ordered(&self, field: Field, bits: u64, value: u64, value_is_greater: bool) -> Bdd {
        let mut ordered = self.variables.mk_false();
        for bit in (0..64).filter(|bit| bits >> bit & 1 == 1) {
            let value_bit = value >> bit & 1 == 1;
            let differs = self.variables.mk_literal(field.bit(bit), !value_bit);
            ordered =
                if value_bit == value_is_greater { ordered.or(&differs) } else { ordered.and_not(&differs) };
        }
        ordered
    }
}
