//! Runs a program on a call, as the kernel does.

use super::{Instruction, MEMORY_WORDS, Operand, Operation, Register, Source};
use crate::call::Call;

/// What a program answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The value that it returned: `SECCOMP_RET_*` with its data.
    pub value: u32,
    /// How many instructions were executed, the return included.
    pub executed: usize,
}

/// A program that [`super::validate`] refuses did what the kernel would never let it do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Execution went past the last instruction.
    #[error("execution reached instruction {at}, past the last one")]
    PastEnd {
        /// Index of the instruction.
        at: usize,
    },
    /// An opcode that seccomp does not know.
    #[error("instruction {at} has opcode {code:#06x}, which seccomp does not know")]
    Opcode {
        /// Index of the instruction.
        at: usize,
        /// Its opcode.
        code: u16,
    },
    /// A load from or a store to a place that does not exist.
    #[error("instruction {at} uses a place that does not exist")]
    Access {
        /// Index of the instruction.
        at: usize,
    },
}

/// Runs the program on the call.
///
/// Registers start at zero. A division by zero ends the program with 0, as `bpf_convert_filter` (Linux
/// `net/core/filter.c`) has it.
///
/// # Errors
/// A [`Fault`] for what only a program can do that [`super::validate`] refuses.
pub fn interpret(program: &[Instruction], call: &Call) -> Result<Evaluation, Fault> {
    let mut machine = Machine::default();
    let mut at = 0;
    for executed in 1.. {
        let instruction = program.get(at).ok_or(Fault::PastEnd { at })?;
        let operation = Operation::decode(instruction).ok_or(Fault::Opcode { at, code: instruction.code })?;
        match machine.step(operation, call).ok_or(Fault::Access { at })? {
            Step::Skip(distance) => at = at.saturating_add(1).saturating_add(distance as usize),
            Step::Return(value) => return Ok(Evaluation { value, executed }),
        }
    }
    unreachable!("every step moves forward, so the end of the program comes first")
}

/// Where execution goes after an instruction.
enum Step {
    /// On, leaving out so many instructions.
    Skip(u32),
    /// Out, with this value.
    Return(u32),
}

#[derive(Default)]
struct Machine {
    a: u32,
    x: u32,
    memory: [u32; MEMORY_WORDS as usize],
}

impl Machine {
    /// Executes one instruction; `None` where it uses a place that does not exist.
    fn step(&mut self, operation: Operation, call: &Call) -> Option<Step> {
        match operation {
            Operation::Load(register, source) => *self.register(register) = self.load(source, call)?,
            Operation::Store(register, word) => {
                let value = *self.register(register);
                *self.memory.get_mut(word as usize)? = value;
            }
            Operation::Arithmetic(arithmetic, operand) => {
                match arithmetic.apply(self.a, self.operand(operand)) {
                    Some(result) => self.a = result,
                    None => return Some(Step::Return(0)),
                }
            }
            Operation::Negate => self.a = self.a.wrapping_neg(),
            Operation::Jump(distance) => return Some(Step::Skip(distance)),
            Operation::Branch { comparison, operand, then, otherwise } => {
                let holds = comparison.holds(self.a, self.operand(operand));
                return Some(Step::Skip(u32::from(if holds { then } else { otherwise })));
            }
            Operation::ReturnConstant(value) => return Some(Step::Return(value)),
            Operation::ReturnA => return Some(Step::Return(self.a)),
            Operation::CopyAToX => self.x = self.a,
            Operation::CopyXToA => self.a = self.x,
        }
        Some(Step::Skip(0))
    }

    fn register(&mut self, register: Register) -> &mut u32 {
        match register {
            Register::A => &mut self.a,
            Register::X => &mut self.x,
        }
    }

    fn operand(&self, operand: Operand) -> u32 {
        match operand {
            Operand::K(constant) => constant,
            Operand::X => self.x,
        }
    }

    fn load(&self, source: Source, call: &Call) -> Option<u32> {
        match source {
            Source::Data(offset) => call.word(offset),
            Source::Immediate(value) => Some(value),
            Source::Memory(word) => self.memory.get(word as usize).copied(),
            Source::Length => Some(super::DATA_LENGTH),
        }
    }
}
