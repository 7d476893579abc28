//! A value that a program computes: 32 functions of a call's bits.

use std::rc::Rc;

use biodivine_lib_bdd::Bdd;

use crate::bpf::{Arithmetic, Comparison};
use crate::prove::diagrams::{Diagrams, Exhausted};
use crate::prove::layout::word_bit;

/// Bits of a value.
const BITS: usize = 32;

/// A 32-bit value for each call, bit by bit, the lowest first.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Word(Rc<[Bdd; BITS]>);

impl Word {
    /// The same value for every call.
    pub(super) fn constant(diagrams: &Diagrams, value: u32) -> Self {
        Self::from_bits(|bit| diagrams.constant(value >> bit & 1 == 1))
    }

    /// A word of the call; 0 to 15.
    pub(super) fn loaded(diagrams: &Diagrams, word: u8) -> Self {
        let place = |bit| u16::try_from(bit).expect("a word has 32 bits");
        Self::from_bits(|bit| diagrams.variable(word_bit(word, place(bit))))
    }

    fn from_bits(bit: impl FnMut(usize) -> Bdd) -> Self {
        Self(Rc::new(std::array::from_fn(bit)))
    }

    /// For which calls a bit is one; 0 is the lowest.
    pub(super) fn bit(&self, bit: usize) -> &Bdd {
        &self.0[bit]
    }

    /// The same value with each bit computed from that of two words.
    fn bitwise(
        &self,
        other: &Self,
        mut operation: impl FnMut(&Bdd, &Bdd) -> Result<Bdd, Exhausted>,
    ) -> Result<Self, Exhausted> {
        let bits: Result<Vec<_>, _> =
            self.0.iter().zip(other.0.iter()).map(|(one, other)| operation(one, other)).collect();
        Ok(Self::from_vec(bits?))
    }

    fn from_vec(bits: Vec<Bdd>) -> Self {
        let bits: [Bdd; BITS] = bits.try_into().expect("a word has 32 bits");
        Self(Rc::new(bits))
    }

    fn inverted(&self) -> Self {
        Self::from_bits(|bit| self.0[bit].not())
    }

    /// The word moved towards its highest bit, zeros behind.
    fn shifted_left(&self, by: usize, diagrams: &Diagrams) -> Self {
        let bit = |bit: usize| bit.checked_sub(by).map(|from| self.0[from].clone());
        Self::from_bits(|at| bit(at).unwrap_or_else(|| diagrams.constant(false)))
    }

    /// The word moved towards its lowest bit, zeros behind.
    fn shifted_right(&self, by: usize, diagrams: &Diagrams) -> Self {
        Self::from_bits(|at| self.0.get(at + by).cloned().unwrap_or_else(|| diagrams.constant(false)))
    }

    /// `then` where the condition holds, `otherwise` where not.
    fn choose(
        diagrams: &mut Diagrams,
        condition: &Bdd,
        then: &Self,
        otherwise: &Self,
    ) -> Result<Self, Exhausted> {
        then.bitwise(otherwise, |then, otherwise| diagrams.choose(condition, then, otherwise))
    }

    /// `-self`, two's complement.
    pub(super) fn negated(&self, diagrams: &mut Diagrams) -> Result<Self, Exhausted> {
        Self::constant(diagrams, 0).subtract(self, diagrams)
    }

    /// What [`Arithmetic::apply`] computes of two words. For calls by which a division divides by zero the result
    /// means nothing.
    pub(super) fn apply(
        &self,
        arithmetic: Arithmetic,
        operand: &Self,
        diagrams: &mut Diagrams,
    ) -> Result<Self, Exhausted> {
        match arithmetic {
            Arithmetic::Add => self.add(operand, diagrams.constant(false), diagrams),
            Arithmetic::Subtract => self.subtract(operand, diagrams),
            Arithmetic::Multiply => self.multiply(operand, diagrams),
            Arithmetic::Divide => self.divide(operand, diagrams),
            Arithmetic::And => self.bitwise(operand, |one, other| diagrams.and(one, other)),
            Arithmetic::Or => self.bitwise(operand, |one, other| diagrams.or(one, other)),
            Arithmetic::Xor => self.bitwise(operand, |one, other| diagrams.xor(one, other)),
            Arithmetic::ShiftLeft => self.shift(operand, Self::shifted_left, diagrams),
            Arithmetic::ShiftRight => self.shift(operand, Self::shifted_right, diagrams),
        }
    }

    fn add(&self, other: &Self, mut carry: Bdd, diagrams: &mut Diagrams) -> Result<Self, Exhausted> {
        self.bitwise(other, |one, other| {
            let differ = diagrams.xor(one, other)?;
            let sum = diagrams.xor(&differ, &carry)?;
            carry = diagrams.choose(&differ, &carry, one)?;
            Ok(sum)
        })
    }

    fn subtract(&self, other: &Self, diagrams: &mut Diagrams) -> Result<Self, Exhausted> {
        self.add(&other.inverted(), diagrams.constant(true), diagrams)
    }

    /// The sum of the word's multiples by each bit of the other.
    fn multiply(&self, other: &Self, diagrams: &mut Diagrams) -> Result<Self, Exhausted> {
        let mut product = Self::constant(diagrams, 0);
        for (by, bit) in other.0.iter().enumerate() {
            if bit.is_false() {
                continue;
            }
            let part = self.shifted_left(by, diagrams);
            let part = part.bitwise(&part, |one, _| diagrams.and(one, bit))?;
            product = product.add(&part, diagrams.constant(false), diagrams)?;
        }
        Ok(product)
    }

    /// Long division: the divisor is taken off where the remainder so far is not less.
    fn divide(&self, divisor: &Self, diagrams: &mut Diagrams) -> Result<Self, Exhausted> {
        let mut remainder = Self::constant(diagrams, 0);
        let mut quotient = vec![diagrams.constant(false); BITS];
        for bit in (0..BITS).rev() {
            // The remainder is below the divisor; twice of it may need a bit more than a word has.
            let overflow = remainder.0[BITS - 1].clone();
            let shifted = remainder.shifted_left(1, diagrams);
            remainder =
                Self::from_bits(|at| if at == 0 { self.0[bit].clone() } else { shifted.0[at].clone() });
            let fits = remainder.holds(Comparison::GreaterOrEqual, divisor, diagrams)?;
            let fits = diagrams.or(&fits, &overflow)?;
            let less = remainder.subtract(divisor, diagrams)?;
            remainder = Self::choose(diagrams, &fits, &less, &remainder)?;
            quotient[bit] = fits;
        }
        Ok(Self::from_vec(quotient))
    }

    /// Shifts by each power of two that the lowest five bits of the operand have.
    fn shift(
        &self,
        operand: &Self,
        by: impl Fn(&Self, usize, &Diagrams) -> Self,
        diagrams: &mut Diagrams,
    ) -> Result<Self, Exhausted> {
        let mut shifted = self.clone();
        for (power, bit) in operand.0.iter().take(5).enumerate() {
            let further = by(&shifted, 1 << power, diagrams);
            shifted = Self::choose(diagrams, bit, &further, &shifted)?;
        }
        Ok(shifted)
    }

    /// For which calls two words compare so.
    pub(super) fn holds(
        &self,
        comparison: Comparison,
        operand: &Self,
        diagrams: &mut Diagrams,
    ) -> Result<Bdd, Exhausted> {
        match comparison {
            Comparison::Equal => self.equals(operand, diagrams),
            Comparison::Greater => self.exceeds(operand, diagrams.constant(false), diagrams),
            Comparison::GreaterOrEqual => self.exceeds(operand, diagrams.constant(true), diagrams),
            Comparison::AnyBit => {
                let both = self.bitwise(operand, |one, other| diagrams.and(one, other))?;
                Ok(diagrams.none_of(&*both.0)?.not())
            }
        }
    }

    fn equals(&self, other: &Self, diagrams: &mut Diagrams) -> Result<Bdd, Exhausted> {
        let differ = self.bitwise(other, |one, other| diagrams.xor(one, other))?;
        diagrams.none_of(&*differ.0)
    }

    /// Where the word is greater; where both are equal the answer is `if_equal`. The highest bit in which they differ
    /// decides, so it is looked at last.
    fn exceeds(&self, other: &Self, if_equal: Bdd, diagrams: &mut Diagrams) -> Result<Bdd, Exhausted> {
        let mut exceeds = if_equal;
        for (one, other) in self.0.iter().zip(other.0.iter()) {
            let differ = diagrams.xor(one, other)?;
            exceeds = diagrams.choose(&differ, one, &exceeds)?;
        }
        Ok(exceeds)
    }
}
