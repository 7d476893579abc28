//! What is known at each instruction of a program, whichever way it was reached.

use std::fmt;

use super::{Comparison, Instruction, Operand, Operation, Register, Source};
use crate::constants;
use crate::syscalls::{Arch, Syscall, by_number, decode};

/// A word of `struct seccomp_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// `nr`
    Number,
    /// `arch`
    Arch,
    /// Half of `instruction_pointer`.
    Pointer(Half),
    /// Half of an argument register.
    Argument(u8, Half),
}

/// Half of a register of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Half {
    Low,
    High,
}

impl Word {
    /// The word at an offset in bytes; `None` where a program may not load.
    pub(super) fn at(offset: u32) -> Option<Self> {
        let half = if offset.is_multiple_of(8) { Half::Low } else { Half::High };
        Some(match offset {
            0 => Self::Number,
            4 => Self::Arch,
            8 | 12 => Self::Pointer(half),
            16..=60 if offset.is_multiple_of(4) => {
                Self::Argument(u8::try_from((offset - 16) / 8).ok()?, half)
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => f.write_str("nr"),
            Self::Arch => f.write_str("arch"),
            Self::Pointer(half) => write!(f, "instruction_pointer.{half}"),
            Self::Argument(index, half) => write!(f, "args[{index}].{half}"),
        }
    }
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::High => "high",
        })
    }
}

/// What every path to an instruction agrees on, before it is executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The word that the accumulator holds, unchanged.
    pub(super) accumulator: Option<Word>,
    /// The call's number.
    number: Option<u32>,
}

impl Known {
    fn agree(self, other: Self) -> Self {
        Self {
            accumulator: self.accumulator.filter(|_| self.accumulator == other.accumulator),
            number: self.number.filter(|_| self.number == other.number),
        }
    }

    fn after(self, operation: Operation) -> Self {
        let accumulator = match operation {
            Operation::Load(Register::A, Source::Data(offset)) => Word::at(offset),
            Operation::Load(Register::A, _)
            | Operation::Arithmetic(..)
            | Operation::Negate
            | Operation::CopyXToA => None,
            _ => self.accumulator,
        };
        Self { accumulator, ..self }
    }

    /// What is known in addition where the accumulator equals a constant.
    fn where_equal(self, constant: u32) -> Self {
        match self.accumulator {
            Some(Word::Number) => Self { number: Some(constant), ..self },
            _ => self,
        }
    }

    /// What an instruction's constant stands for.
    pub(super) fn comment(self, operation: Operation, arch: Arch) -> Option<String> {
        match operation {
            Operation::Load(Register::A, Source::Data(offset)) => {
                let Word::Argument(index, _) = Word::at(offset)? else { return None };
                Some(self.call(arch)?.arguments.get(usize::from(index))?.name.to_owned())
            }
            Operation::Branch { operand: Operand::K(constant), comparison, .. } => match self.accumulator? {
                Word::Number if comparison != Comparison::AnyBit => {
                    Some(by_number(arch, constant)?.name.to_owned())
                }
                Word::Arch => arch_name(constant).map(str::to_owned),
                Word::Argument(index, Half::Low) if comparison != Comparison::AnyBit => {
                    let call = self.call(arch)?;
                    let argument = call.arguments.get(usize::from(index))?;
                    // Other values say nothing that the constant does not say already.
                    let has_names = !constants::families(call, argument).is_empty();
                    has_names.then(|| decode::argument(arch, call, argument, u64::from(constant)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn call(self, arch: Arch) -> Option<&'static Syscall> {
        by_number(arch, self.number?)
    }
}

fn arch_name(audit_value: u32) -> Option<&'static str> {
    match audit_value {
        value if value == Arch::X86_64.audit_value() => Some(Arch::X86_64.name()),
        value if value == Arch::Aarch64.audit_value() => Some(Arch::Aarch64.name()),
        _ => None,
    }
}

/// What is known before each instruction. Jumps go forward alone, so one pass sees each predecessor first.
pub(super) fn trace(program: &[Instruction]) -> Vec<Known> {
    let mut before: Vec<Option<Known>> = vec![None; program.len()];
    if let Some(first) = before.first_mut() {
        *first = Some(Known::default());
    }
    for (at, instruction) in program.iter().enumerate() {
        let (Some(known), Some(operation)) = (before[at], Operation::decode(instruction)) else { continue };
        let mut pass_on = |distance: u32, known: Known| {
            if let Some(state) = before.get_mut((at + 1).saturating_add(distance as usize)) {
                *state = Some(state.map_or(known, |other| other.agree(known)));
            }
        };
        match operation {
            Operation::ReturnConstant(_) | Operation::ReturnA => {}
            Operation::Jump(distance) => pass_on(distance, known),
            Operation::Branch { comparison, operand, then, otherwise } => {
                let then_known = match (comparison, operand) {
                    (Comparison::Equal, Operand::K(constant)) => known.where_equal(constant),
                    _ => known,
                };
                pass_on(u32::from(then), then_known);
                pass_on(u32::from(otherwise), known);
            }
            _ => pass_on(0, known.after(operation)),
        }
    }
    before.into_iter().map(Option::unwrap_or_default).collect()
}
