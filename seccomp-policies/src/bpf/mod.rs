//! Classic BPF programs: what the kernel accepts, what a program answers for a call, and how it reads.
//!
//! An instruction is decoded in one place ([`Operation::decode`]); all else works on what it yields, so that no two
//! parts of this can disagree on what an opcode means.

mod cache;
mod disassemble;
mod interpret;
mod operation;
mod program;
mod trace;
mod validate;

pub use crate::embed::{Instruction, MAX_INSTRUCTIONS};
pub use cache::{cached_calls, is_cached};
pub use disassemble::{Line, disassemble};
pub use interpret::{Evaluation, Fault, interpret};
pub use operation::{Arithmetic, Comparison, DATA_LENGTH, Operand, Operation, Register, Source};
pub use program::Program;
pub(crate) use trace::Half;
pub use validate::{Invalid, Reason, validate};

/// Words of scratch memory: `BPF_MEMWORDS`, Linux `include/uapi/linux/filter.h`.
pub const MEMORY_WORDS: u32 = 16;

/// An instruction that does not branch.
pub(crate) const fn statement(code: u32, k: u32) -> Instruction {
    branch(code, k, 0, 0)
}

/// A conditional jump: over `jt` instructions where the comparison with `k` holds, over `jf` where not.
pub(crate) const fn branch(code: u32, k: u32, jt: u8, jf: u8) -> Instruction {
    // Opcodes have 16 bits in the kernel's structure and 32 in libc's constants.
    let [low, high, ..] = code.to_le_bytes();
    Instruction { code: u16::from_le_bytes([low, high]), jt, jf, k }
}
