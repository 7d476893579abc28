//! Which diagram variable is which bit of a call.
//!
//! Architecture first, then the number, the arguments in their order, and the instruction pointer, each from its
//! highest bit to its lowest: what tells calls apart comes before what is asked of one call, and with the highest bit
//! first a comparison with a constant takes one or two nodes a bit.

use std::ops::Range;

use biodivine_lib_bdd::BddVariable;

use crate::call::Call;

/// Bits of `struct seccomp_data`: 64 bytes.
pub(super) const BITS: u16 = 512;
/// Argument registers of a call.
pub(super) const REGISTERS: u8 = 6;

const ARCH: u16 = 0;
const NUMBER: u16 = 32;
const ARGUMENTS: u16 = 64;
const INSTRUCTION_POINTER: u16 = 448;

/// Bits of a word, and of a register.
const WORD_BITS: u16 = 32;
const REGISTER_BITS: u16 = 64;

/// A field of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Arch,
    Number,
    Argument(u8),
    InstructionPointer,
}

impl Field {
    pub(super) const ALL: [Self; 9] = [
        Self::Arch,
        Self::Number,
        Self::Argument(0),
        Self::Argument(1),
        Self::Argument(2),
        Self::Argument(3),
        Self::Argument(4),
        Self::Argument(5),
        Self::InstructionPointer,
    ];

    /// The field's variables, from its highest bit to its lowest.
    pub(super) fn variables(self) -> Range<usize> {
        let (first, bits) = match self {
            Self::Arch => (ARCH, WORD_BITS),
            Self::Number => (NUMBER, WORD_BITS),
            Self::Argument(register) => (ARGUMENTS + u16::from(register) * REGISTER_BITS, REGISTER_BITS),
            Self::InstructionPointer => (INSTRUCTION_POINTER, REGISTER_BITS),
        };
        usize::from(first)..usize::from(first + bits)
    }

    /// The variable of a bit; 0 is the field's lowest.
    pub(super) fn bit(self, bit: u16) -> BddVariable {
        BddVariable::from_index(self.variables().end - 1 - usize::from(bit))
    }

    /// What the field holds in a call.
    pub(super) fn value(self, call: &Call) -> u64 {
        match self {
            Self::Arch => call.arch.into(),
            Self::Number => call.number.into(),
            Self::Argument(register) => call.arguments[usize::from(register)],
            Self::InstructionPointer => call.instruction_pointer,
        }
    }
}

/// The variable of a bit of a word of `struct seccomp_data`, as a program on a little-endian machine loads it: the
/// number, the architecture, then both halves of each register, the lower one first.
pub(super) fn word_bit(word: u8, bit: u16) -> BddVariable {
    match word {
        0 => Field::Number.bit(bit),
        1 => Field::Arch.bit(bit),
        2 | 3 => Field::InstructionPointer.bit(bit + half(word)),
        _ => Field::Argument((word - 4) / 2).bit(bit + half(word)),
    }
}

/// Where a word begins in its register.
fn half(word: u8) -> u16 {
    WORD_BITS * u16::from(word % 2)
}

/// The argument register that a variable is a bit of, and which, 0 being the lowest; `None` for a bit of another field.
pub(super) fn argument_of(variable: BddVariable) -> Option<(u8, u16)> {
    let register = (0..REGISTERS)
        .find(|register| Field::Argument(*register).variables().contains(&variable.to_index()))?;
    let above = Field::Argument(register).variables().end - 1 - variable.to_index();
    Some((register, u16::try_from(above).ok()?))
}

/// The call of a valuation of all the variables.
pub(super) fn call(valuation: &[bool]) -> Call {
    let value = |field: Field| {
        valuation[field.variables()].iter().fold(0, |value: u64, bit| value << 1 | u64::from(*bit))
    };
    // Their fields have 32 variables.
    let word = |field| u32::try_from(value(field)).unwrap_or(u32::MAX);
    Call {
        number: word(Field::Number),
        arch: word(Field::Arch),
        instruction_pointer: value(Field::InstructionPointer),
        arguments: std::array::from_fn(|register| value(Field::ALL[2 + register])),
    }
}

/// What a variable holds in a call.
pub(super) fn bit_of(call: &Call, variable: BddVariable) -> bool {
    let index = variable.to_index();
    let field = match index {
        ..32 => Field::Arch,
        32..64 => Field::Number,
        64..448 => Field::ALL[2 + (index - 64) / 64],
        _ => Field::InstructionPointer,
    };
    field.value(call) >> (field.variables().end - 1 - index) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each bit of a word of its own, so that a swap of two would show.
    const CALL: Call = Call {
        number: 0x8765_4321,
        arch: 0xc000_003e,
        instruction_pointer: 0x1122_3344_5566_7788,
        arguments: [1, 1 << 63, 0xdead_beef_0000_0005, 3, u64::MAX, 0x0123_4567_89ab_cdef],
    };

    #[test]
    fn a_call_comes_back_from_its_valuation() {
        let valuation: Vec<_> = (0..512).map(|index| bit_of(&CALL, BddVariable::from_index(index))).collect();
        assert_eq!(call(&valuation), CALL);
    }

    #[test]
    fn a_variable_of_an_argument_knows_its_register_and_bit() {
        for (register, bit) in [(0, 0), (0, 63), (3, 31), (5, 32)] {
            assert_eq!(argument_of(Field::Argument(register).bit(bit)), Some((register, bit)));
        }
        assert_eq!(argument_of(Field::Number.bit(0)), None);
        assert_eq!(argument_of(Field::InstructionPointer.bit(63)), None);
    }

    #[test]
    fn the_variables_of_a_word_are_the_bits_that_a_program_loads() {
        for word in 0..16 {
            let loaded = CALL.word(u32::from(word) * 4).expect("a word of the call");
            for bit in 0..32 {
                assert_eq!(
                    bit_of(&CALL, word_bit(word, bit)),
                    loaded >> bit & 1 == 1,
                    "bit {bit} of word {word}"
                );
            }
        }
    }
}
