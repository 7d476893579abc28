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
pub mod write;

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
