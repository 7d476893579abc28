//! What the kernel asks of a program before it takes it.
//!
//! Source: `bpf_check_classic` and `check_load_and_stores` (Linux `net/core/filter.c`), then
//! `seccomp_check_filter` (Linux `kernel/seccomp.c`).

use super::{
    Arithmetic, DATA_LENGTH, Instruction, MAX_INSTRUCTIONS, MEMORY_WORDS, Operand, Operation, Source,
};

/// A program that the kernel would refuse, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel would refuse this program at instruction {at}: {reason}")]
pub struct Invalid {
    /// Index of the instruction, from 0; for the program's length and its missing end, the last one.
    pub at: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Why the kernel refuses an instruction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No instruction at all.
    #[error("the program is empty")]
    Empty,
    /// More than [`MAX_INSTRUCTIONS`].
    #[error("the program has {length} instructions, {} more than the {MAX_INSTRUCTIONS} that it may have",
        length - MAX_INSTRUCTIONS)]
    TooLong {
        /// Instructions in the program.
        length: usize,
    },
    /// An opcode that classic BPF lacks or that seccomp does not allow.
    #[error("seccomp has no opcode {code:#06x}")]
    Opcode {
        /// The opcode.
        code: u16,
    },
    /// A load beside `struct seccomp_data` or across two words.
    #[error("offset {offset} is no word of the {DATA_LENGTH} bytes that describe a call")]
    Offset {
        /// Offset in bytes.
        offset: u32,
    },
    /// A jump beyond the end.
    #[error("it jumps to {target}, past the last instruction")]
    Jump {
        /// Index that it jumps to.
        target: u64,
    },
    /// Scratch memory that does not exist.
    #[error("scratch memory has {MEMORY_WORDS} words, none numbered {word}")]
    Memory {
        /// Index of the word.
        word: u32,
    },
    /// Scratch memory that some path to here left unwritten.
    #[error("word {word} of scratch memory is read, but not written on every path to here")]
    Unwritten {
        /// Index of the word.
        word: u32,
    },
    /// A division by the constant zero.
    #[error("it divides by zero")]
    Division,
    /// A shift by the register's width or more.
    #[error("it shifts a register of 32 bits by {bits}")]
    Shift {
        /// Bits to shift by.
        bits: u32,
    },
    /// The last instruction does not return.
    #[error("the last instruction must return")]
    End,
}

/// Whether the kernel would take the program.
///
/// # Errors
/// [`Invalid`] names the first instruction that it would refuse, and why.
pub fn validate(program: &[Instruction]) -> Result<(), Invalid> {
    let length = program.len();
    if length == 0 {
        return Err(Invalid { at: 0, reason: Reason::Empty });
    }
    if length > MAX_INSTRUCTIONS {
        return Err(Invalid { at: length - 1, reason: Reason::TooLong { length } });
    }
    let mut memory = WrittenMemory::new(length);
    for (at, instruction) in program.iter().enumerate() {
        check(instruction, at, length)
            .and_then(|operation| memory.step(operation, at))
            .map_err(|reason| Invalid { at, reason })?;
    }
    match Operation::decode(&program[length - 1]) {
        Some(Operation::ReturnConstant(_) | Operation::ReturnA) => Ok(()),
        _ => Err(Invalid { at: length - 1, reason: Reason::End }),
    }
}

/// What can be said of one instruction by itself and its place.
fn check(instruction: &Instruction, at: usize, length: usize) -> Result<Operation, Reason> {
    let operation = Operation::decode(instruction).ok_or(Reason::Opcode { code: instruction.code })?;
    match operation {
        Operation::Load(_, Source::Data(offset)) if offset >= DATA_LENGTH || !offset.is_multiple_of(4) => {
            Err(Reason::Offset { offset })
        }
        Operation::Load(_, Source::Memory(word)) | Operation::Store(_, word) if word >= MEMORY_WORDS => {
            Err(Reason::Memory { word })
        }
        Operation::Arithmetic(Arithmetic::Divide, Operand::K(0)) => Err(Reason::Division),
        Operation::Arithmetic(Arithmetic::ShiftLeft | Arithmetic::ShiftRight, Operand::K(bits))
            if bits >= u32::BITS =>
        {
            Err(Reason::Shift { bits })
        }
        Operation::Jump(distance) => within(at, distance, length),
        Operation::Branch { then, otherwise, .. } => {
            within(at, u32::from(then), length)?;
            within(at, u32::from(otherwise), length)
        }
        _ => Ok(()),
    }?;
    Ok(operation)
}

/// A jump over `distance` instructions from `at` must land inside the program.
fn within(at: usize, distance: u32, length: usize) -> Result<(), Reason> {
    let target = at as u64 + 1 + u64::from(distance);
    if target < length as u64 { Ok(()) } else { Err(Reason::Jump { target }) }
}

/// Which words of scratch memory every path to an instruction has written, a bit each.
///
/// Jumps go forward alone, so one pass in order sees each predecessor first. Like the kernel, it takes the
/// instruction after a return to be reached from it, which refuses some programs that would be safe.
struct WrittenMemory {
    /// For each instruction, what the jumps to it agree on.
    at_targets: Vec<u16>,
    /// What holds where the previous instruction goes on to the next.
    here: u16,
}

impl WrittenMemory {
    fn new(length: usize) -> Self {
        Self { at_targets: vec![u16::MAX; length], here: 0 }
    }

    fn step(&mut self, operation: Operation, at: usize) -> Result<(), Reason> {
        self.here &= self.at_targets[at];
        match operation {
            Operation::Store(_, word) => self.here |= 1 << word,
            Operation::Load(_, Source::Memory(word)) if self.here & (1 << word) == 0 => {
                return Err(Reason::Unwritten { word });
            }
            Operation::Jump(distance) => self.leave(&[at + 1 + distance as usize]),
            Operation::Branch { then, otherwise, .. } => {
                self.leave(&[at + 1 + usize::from(then), at + 1 + usize::from(otherwise)]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Passes what holds here on to where a jump goes; nothing falls through from it.
    fn leave(&mut self, targets: &[usize]) {
        for &target in targets {
            self.at_targets[target] &= self.here;
        }
        self.here = u16::MAX;
    }
}
