//! What one instruction does, decoded from its opcode.
//!
//! Opcodes: Linux `include/uapi/linux/bpf_common.h`; the set is the one that `seccomp_check_filter`
//! (Linux `kernel/seccomp.c`) lets through, which leaves out `BPF_MOD` and every packet access.

use libc::{
    BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_DIV, BPF_IMM, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP,
    BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MISC, BPF_MUL, BPF_NEG, BPF_OR, BPF_RET,
    BPF_RSH, BPF_ST, BPF_STX, BPF_SUB, BPF_TAX, BPF_TXA, BPF_W, BPF_X, BPF_XOR,
};

use super::Instruction;

/// Bytes of `struct seccomp_data`, which is all that a program can load from.
pub const DATA_LENGTH: u32 = 64;

/// One of the machine's two registers, 32 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// The accumulator.
    A,
    /// The index register.
    X,
}

/// Where a load takes its word from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `struct seccomp_data`, at this offset in bytes.
    Data(u32),
    /// The instruction itself.
    Immediate(u32),
    /// This word of scratch memory.
    Memory(u32),
    /// The length of the data: always [`DATA_LENGTH`].
    Length,
}

/// The second operand of arithmetic and comparisons; the first is `A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A constant.
    K(u32),
    /// The index register.
    X,
}

/// Arithmetic on `A`; 32 bits, wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `A + operand`
    Add,
    /// `A - operand`
    Subtract,
    /// `A * operand`
    Multiply,
    /// `A / operand`; the program returns 0 where the operand is 0.
    Divide,
    /// `A & operand`
    And,
    /// `A | operand`
    Or,
    /// `A ^ operand`
    Xor,
    /// `A << operand`, by its lowest five bits
    ShiftLeft,
    /// `A >> operand`, by its lowest five bits
    ShiftRight,
}

/// A comparison of `A`, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `A == operand`
    Equal,
    /// `A > operand`
    Greater,
    /// `A >= operand`
    GreaterOrEqual,
    /// `A & operand != 0`
    AnyBit,
}

/// One instruction, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fills a register.
    Load(Register, Source),
    /// Writes a register to a word of scratch memory.
    Store(Register, u32),
    /// Replaces `A` by the result.
    Arithmetic(Arithmetic, Operand),
    /// `A = -A`, two's complement.
    Negate,
    /// Goes on so many instructions after the next one.
    Jump(u32),
    /// Goes on `then` instructions after the next one where the comparison holds, `otherwise` where not.
    Branch {
        /// The comparison.
        comparison: Comparison,
        /// With what `A` is compared.
        operand: Operand,
        /// Instructions to leave out where it holds.
        then: u8,
        /// Instructions to leave out where it does not hold.
        otherwise: u8,
    },
    /// Ends the program with a constant.
    ReturnConstant(u32),
    /// Ends the program with what `A` holds.
    ReturnA,
    /// `X = A`
    CopyAToX,
    /// `A = X`
    CopyXToA,
}

impl Operation {
    /// What an instruction does; `None` for an opcode that seccomp refuses.
    pub fn decode(instruction: &Instruction) -> Option<Self> {
        const LOAD_DATA: u32 = BPF_LD | BPF_W | BPF_ABS;
        const LOAD_LENGTH: u32 = BPF_LD | BPF_W | BPF_LEN;
        const LOAD_IMMEDIATE: u32 = BPF_LD | BPF_W | BPF_IMM;
        const LOAD_MEMORY: u32 = BPF_LD | BPF_W | BPF_MEM;
        const LOAD_X_LENGTH: u32 = BPF_LDX | BPF_W | BPF_LEN;
        const LOAD_X_IMMEDIATE: u32 = BPF_LDX | BPF_W | BPF_IMM;
        const LOAD_X_MEMORY: u32 = BPF_LDX | BPF_W | BPF_MEM;
        const NEGATE: u32 = BPF_ALU | BPF_NEG;
        const JUMP: u32 = BPF_JMP | BPF_JA;
        const RETURN_CONSTANT: u32 = BPF_RET | BPF_K;
        const RETURN_A: u32 = BPF_RET | BPF_A;
        const COPY_A_TO_X: u32 = BPF_MISC | BPF_TAX;
        const COPY_X_TO_A: u32 = BPF_MISC | BPF_TXA;

        let k = instruction.k;
        Some(match u32::from(instruction.code) {
            LOAD_DATA => Self::Load(Register::A, Source::Data(k)),
            LOAD_LENGTH => Self::Load(Register::A, Source::Length),
            LOAD_IMMEDIATE => Self::Load(Register::A, Source::Immediate(k)),
            LOAD_MEMORY => Self::Load(Register::A, Source::Memory(k)),
            LOAD_X_LENGTH => Self::Load(Register::X, Source::Length),
            LOAD_X_IMMEDIATE => Self::Load(Register::X, Source::Immediate(k)),
            LOAD_X_MEMORY => Self::Load(Register::X, Source::Memory(k)),
            BPF_ST => Self::Store(Register::A, k),
            BPF_STX => Self::Store(Register::X, k),
            NEGATE => Self::Negate,
            JUMP => Self::Jump(k),
            RETURN_CONSTANT => Self::ReturnConstant(k),
            RETURN_A => Self::ReturnA,
            COPY_A_TO_X => Self::CopyAToX,
            COPY_X_TO_A => Self::CopyXToA,
            code => return Self::decode_with_operand(code, instruction),
        })
    }

    /// The opcodes that have a form with a constant and one with `X`.
    fn decode_with_operand(code: u32, instruction: &Instruction) -> Option<Self> {
        let operand = if code & BPF_X == 0 { Operand::K(instruction.k) } else { Operand::X };
        let operation = code & !(BPF_X | CLASS);
        match code & CLASS {
            BPF_ALU => Some(Self::Arithmetic(decode_arithmetic(operation)?, operand)),
            BPF_JMP => Some(Self::Branch {
                comparison: decode_comparison(operation)?,
                operand,
                then: instruction.jt,
                otherwise: instruction.jf,
            }),
            _ => None,
        }
    }
}

/// The bits of an opcode that say its class: `BPF_CLASS`, Linux `include/uapi/linux/bpf_common.h`.
const CLASS: u32 = 0x07;

fn decode_arithmetic(operation: u32) -> Option<Arithmetic> {
    Some(match operation {
        BPF_ADD => Arithmetic::Add,
        BPF_SUB => Arithmetic::Subtract,
        BPF_MUL => Arithmetic::Multiply,
        BPF_DIV => Arithmetic::Divide,
        BPF_AND => Arithmetic::And,
        BPF_OR => Arithmetic::Or,
        BPF_XOR => Arithmetic::Xor,
        BPF_LSH => Arithmetic::ShiftLeft,
        BPF_RSH => Arithmetic::ShiftRight,
        _ => return None,
    })
}

fn decode_comparison(operation: u32) -> Option<Comparison> {
    Some(match operation {
        BPF_JEQ => Comparison::Equal,
        BPF_JGT => Comparison::Greater,
        BPF_JGE => Comparison::GreaterOrEqual,
        BPF_JSET => Comparison::AnyBit,
        _ => return None,
    })
}

impl Arithmetic {
    /// The result; `None` for a division by zero, which ends a program with 0.
    pub const fn apply(self, a: u32, operand: u32) -> Option<u32> {
        Some(match self {
            Self::Add => a.wrapping_add(operand),
            Self::Subtract => a.wrapping_sub(operand),
            Self::Multiply => a.wrapping_mul(operand),
            Self::Divide => return a.checked_div(operand),
            Self::And => a & operand,
            Self::Or => a | operand,
            Self::Xor => a ^ operand,
            Self::ShiftLeft => a.wrapping_shl(operand),
            Self::ShiftRight => a.wrapping_shr(operand),
        })
    }
}

impl Comparison {
    /// Whether `a` compares so with the operand.
    pub const fn holds(self, a: u32, operand: u32) -> bool {
        match self {
            Self::Equal => a == operand,
            Self::Greater => a > operand,
            Self::GreaterOrEqual => a >= operand,
            Self::AnyBit => a & operand != 0,
        }
    }
}
