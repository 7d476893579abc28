//! What of a program's state still matters before each instruction.

use crate::bpf::{Instruction, MEMORY_WORDS, Operand, Operation, Register, Source};

/// A set of places, a bit each: the words of scratch memory, then both registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places(u32);

impl Places {
    const NONE: Self = Self(0);
    const A: Self = Self(1 << MEMORY_WORDS);
    const X: Self = Self(2 << MEMORY_WORDS);

    fn memory(word: u32) -> Self {
        Self(1 << word)
    }

    fn register(register: Register) -> Self {
        match register {
            Register::A => Self::A,
            Register::X => Self::X,
        }
    }

    fn operand(operand: Operand) -> Self {
        match operand {
            Operand::K(_) => Self::NONE,
            Operand::X => Self::X,
        }
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn but(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the accumulator is read again.
    pub(super) fn has_a(self) -> bool {
        self.has(Self::A)
    }

    /// Whether the index register is read again.
    pub(super) fn has_x(self) -> bool {
        self.has(Self::X)
    }

    /// Whether this word of scratch memory is read again.
    pub(super) fn has_memory(self, word: u32) -> bool {
        self.has(Self::memory(word))
    }
}

/// Before each instruction, the places that some path from there reads before it writes them.
///
/// Jumps go forward alone, so one pass from the end sees every successor first. The program is one that the kernel
/// would take.
pub(super) fn live(program: &[Instruction]) -> Vec<Places> {
    let mut live = vec![Places::NONE; program.len() + 1];
    for (at, instruction) in program.iter().enumerate().rev() {
        let operation = Operation::decode(instruction).expect("a valid program");
        let next = |distance: u32| live[at + 1 + distance as usize];
        live[at] = match operation {
            Operation::Load(register, source) => {
                let after = next(0).but(Places::register(register));
                match source {
                    Source::Memory(word) => after.and(Places::memory(word)),
                    Source::Data(_) | Source::Immediate(_) | Source::Length => after,
                }
            }
            Operation::Store(register, word) => {
                next(0).but(Places::memory(word)).and(Places::register(register))
            }
            Operation::Arithmetic(_, operand) => next(0).and(Places::operand(operand)).and(Places::A),
            Operation::Negate => next(0).and(Places::A),
            Operation::Jump(distance) => next(distance),
            Operation::Branch { operand, then, otherwise, .. } => {
                next(then.into()).and(next(otherwise.into())).and(Places::operand(operand)).and(Places::A)
            }
            Operation::ReturnConstant(_) => Places::NONE,
            Operation::ReturnA => Places::A,
            Operation::CopyAToX => next(0).but(Places::X).and(Places::A),
            Operation::CopyXToA => next(0).but(Places::A).and(Places::X),
        };
    }
    live
}
