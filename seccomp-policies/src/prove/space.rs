//! From a condition to the set of calls that meet it.

use biodivine_lib_bdd::{Bdd, BddPartialValuation, BddVariable, BddVariableSet};

use super::Union;
use crate::language::{Condition, Relation, Test};

/// Bits of one argument register.
const REGISTER_BITS: u16 = 64;
/// Argument registers of a call.
const REGISTERS: u16 = 6;

/// All values of the six argument registers.
///
/// Diagram variables are the registers' bits, register 0 first, each from its highest bit to its lowest: with this
/// order a comparison with a constant takes one or two nodes a bit.
pub struct Space {
    variables: BddVariableSet,
}

/// A set of calls: those whose argument registers have certain values. The call's number is no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls(Bdd);

impl Default for Space {
    fn default() -> Self {
        Self::new()
    }
}

impl Space {
    /// The space of every call.
    pub fn new() -> Self {
        Self { variables: BddVariableSet::new_anonymous(REGISTERS * REGISTER_BITS) }
    }

    /// No call.
    pub fn none(&self) -> Calls {
        Calls(self.variables.mk_false())
    }

    /// Every call.
    pub fn every(&self) -> Calls {
        Calls(self.variables.mk_true())
    }

    /// The calls that meet a condition.
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
        Calls(match test.relation {
            Relation::Equal(value) => self.masked(test.argument, bits, value),
            Relation::NotEqual(value) => self.masked(test.argument, bits, value).not(),
            Relation::Less(value) => self.below(test.argument, bits, value),
            Relation::GreaterOrEqual(value) => self.below(test.argument, bits, value).not(),
            Relation::Greater(value) => self.above(test.argument, bits, value),
            Relation::LessOrEqual(value) => self.above(test.argument, bits, value).not(),
            Relation::Masked { mask, value } => self.masked(test.argument, mask & bits, value),
        })
    }

    /// `register & mask == value`
    fn masked(&self, register: u8, mask: u64, value: u64) -> Bdd {
        if value & !mask != 0 {
            return self.variables.mk_false();
        }
        let mut clause = BddPartialValuation::empty();
        for bit in (0..64).filter(|bit| mask >> bit & 1 == 1) {
            clause.set_value(variable(register, bit), value >> bit & 1 == 1);
        }
        self.variables.mk_conjunctive_clause(&clause)
    }

    /// `register & bits < value`
    fn below(&self, register: u8, bits: u64, value: u64) -> Bdd {
        self.ordered(register, bits, value, true)
    }

    /// `register & bits > value`
    fn above(&self, register: u8, bits: u64, value: u64) -> Bdd {
        self.ordered(register, bits, value, false)
    }

    /// Strictly below or above `value`, built from the lowest bit up: the highest bit in which the two differ decides,
    /// and the greater has a one there.
    fn ordered(&self, register: u8, bits: u64, value: u64, value_is_greater: bool) -> Bdd {
        let mut ordered = self.variables.mk_false();
        for bit in (0..64).filter(|bit| bits >> bit & 1 == 1) {
            let value_bit = value >> bit & 1 == 1;
            let differs = self.variables.mk_literal(variable(register, bit), !value_bit);
            ordered =
                if value_bit == value_is_greater { ordered.or(&differs) } else { ordered.and_not(&differs) };
        }
        ordered
    }
}

/// The diagram variable of a register's bit.
fn variable(register: u8, bit: u16) -> BddVariable {
    let index = u16::from(register) * REGISTER_BITS + (REGISTER_BITS - 1 - bit);
    BddVariable::from_index(usize::from(index))
}

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

    /// Whether every call of the other set is in this one.
    pub fn covers(&self, other: &Self) -> bool {
        other.without(self).is_empty()
    }

    /// Whether membership depends on a register's value.
    pub fn looks_at(&self, register: u8) -> bool {
        let registers = self.0.support_set();
        registers
            .into_iter()
            .any(|variable| variable.to_index() / usize::from(REGISTER_BITS) == usize::from(register))
    }

    /// The argument registers of one call in the set, unconstrained bits zero; `None` if the set is empty.
    pub fn example(&self) -> Option<[u64; 6]> {
        let clause = self.0.first_clause()?;
        let mut registers = [0; 6];
        for (variable, is_set) in clause.to_values() {
            let (register, place) = (
                variable.to_index() / usize::from(REGISTER_BITS),
                variable.to_index() % usize::from(REGISTER_BITS),
            );
            registers[register] |= u64::from(is_set) << (usize::from(REGISTER_BITS) - 1 - place);
        }
        Some(registers)
    }
}
